"""Linux kernels for RISC-V: the `Image` format, alone or with its initramfs in a FIT image.

Source: Linux, Documentation/riscv/boot-image-header.rst (header version 0.2) and boot.rst; Flattened Image
Tree Specification 0.8. A FIT image is a device tree whose properties hold the files. Read is what `bundle`
writes: one kernel, at most one ramdisk, and the kernel's symbols if they were kept. Left out: compressed
kernels, hashes, signatures, data outside of the tree.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from emulator.isa.symbols import Symbols
from emulator.machine import fdt, symbol_table
from emulator.machine.elf import ElfError, Executable, Segment
from emulator.state import RAM_BASE

HEADER = struct.Struct("<IIQQQIIQ8s4sI")
MAGIC = b"RSC\x05"
BIG_ENDIAN = 1
FIT_MAGIC = fdt.MAGIC.to_bytes(4, "big")
MAX_IMAGE_BYTES = 256 << 20
MEGA_PAGE = 2 << 20
READ_WRITE_EXECUTE = 7


def is_image(data: bytes) -> bool:
    """Return whether `data` begins as a RISC-V Linux Image does."""
    return len(data) >= HEADER.size and HEADER.unpack_from(data)[9] == MAGIC


def bundle(kernel: bytes, initrd: bytes, description: str, symbols: bytes = b"") -> bytes:
    """Return a FIT image of a kernel and its initramfs, the same bytes for the same files.

    `symbols` is a table of `symbol_table.pack`.
    """
    root = fdt.Node("", {"description": description, "#address-cells": 1})
    images = root.add("images")
    common: dict[str, fdt.Value] = {"arch": "riscv", "os": "linux", "compression": "none"}
    images.add("kernel", data=kernel, type="kernel", **common)
    images.add("ramdisk", data=initrd, type="ramdisk", **common)
    if symbols:
        images.add("symbols", data=symbols, type="vmlab-symbols", compression="zlib")
    configurations = root.add("configurations", default="linux")
    configurations.add("linux", kernel="kernel", ramdisk="ramdisk")
    return fdt.flatten(root)


def unbundle(data: bytes, name: str) -> tuple[bytes, bytes]:
    """Return kernel and initramfs of a FIT image. Raises ElfError naming `name` and what is wrong."""
    return _files(_tree(data, name), name)


def kept_symbols(data: bytes, name: str) -> bytes:
    """Return the symbol table in a FIT image, empty if it has none. Raises ElfError."""
    return _data(_tree(data, name), "symbols") or b""


def description(data: bytes, name: str) -> str:
    """Return what a FIT image says about itself. Raises ElfError."""
    said = _tree(data, name).properties.get("description", b"")
    return said.rstrip(b"\0").decode(errors="replace") if isinstance(said, bytes) else ""


def with_symbols(data: bytes, name: str, symbols: bytes) -> bytes:
    """Return the FIT image that `bundle` makes of the same files with these symbols. Raises ElfError."""
    return bundle(*unbundle(data, name), description(data, name), symbols)


def load_bundle(data: bytes, name: str) -> Executable:
    """Return what a FIT image wants loaded. Raises ElfError naming `name` and what is wrong."""
    root = _tree(data, name)
    loaded = load(*_files(root, name), name)
    runs_at, symbols = symbol_table.unpack(_data(root, "symbols") or b"")
    return replace(loaded, symbols=Symbols(symbols), runs_at=runs_at) if symbols else loaded


def _tree(data: bytes, name: str) -> fdt.Node:
    try:
        return fdt.parse(data)
    except fdt.FdtError as error:
        raise ElfError(f"{name}: is not a FIT image: it {error}") from error


def _files(root: fdt.Node, name: str) -> tuple[bytes, bytes]:
    kernel = _data(root, "kernel")
    if kernel is None:
        raise ElfError(f"{name}: holds no /images/kernel with data; make it with `vmlab guests build linux`")
    return kernel, _data(root, "ramdisk") or b""


def _data(root: fdt.Node, image: str) -> bytes | None:
    found = root.find(f"images/{image}")
    content = found.properties.get("data") if found else None
    return content if isinstance(content, bytes) else None


def load(kernel: bytes, initrd: bytes = b"", name: str = "linux") -> Executable:
    """Return what a kernel wants loaded; it is entered at its first byte.

    Raises ElfError naming `name` and the wrong field.
    """
    if not is_image(kernel):
        raise ElfError(
            f"{name}: is not a RISC-V Linux Image ('RSC\\x05' at offset 56); give arch/riscv/boot/Image,"
            " not vmlinux or a compressed Image.gz"
        )
    _, _, text_offset, size, flags, *_ = HEADER.unpack_from(kernel)
    if flags & BIG_ENDIAN:
        raise ElfError(f"{name}: flags {flags:#x} say big-endian; build it little-endian")
    if text_offset % MEGA_PAGE or text_offset > MAX_IMAGE_BYTES:
        raise ElfError(f"{name}: text_offset {text_offset:#x} is not a small multiple of 2 MiB")
    # "image_size ... is ... the effective size of kernel image", with its bss.
    if not len(kernel) <= size <= MAX_IMAGE_BYTES:
        raise ElfError(
            f"{name}: image_size {size:#x} must be from the file's {len(kernel):#x} to {MAX_IMAGE_BYTES:#x}"
        )
    entry = RAM_BASE + text_offset
    return Executable(
        entry, (Segment(entry, kernel, size, READ_WRITE_EXECUTE),), name, initrd=initrd, device_tree=True
    )
