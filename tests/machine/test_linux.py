"""Linux images are loaded where their header says, alone or bundled with an initramfs; others are refused."""

import struct

import pytest

from emulator.machine import linux
from emulator.machine.elf import ElfError


def image(
    body: bytes = b"\x73\0\x50\x10", text_offset: int = 0x20_0000, size: int = 0x1000, flags: int = 0
) -> bytes:
    """Return a kernel Image whose first instruction jumps over its header."""
    header = struct.pack(
        "<IIQQQIIQ8s4sI", 0x0400_006F, 0, text_offset, size, flags, 2, 0, 0, b"RISCV", b"RSC\5", 0
    )
    return header + body


def test_a_kernel_is_loaded_at_its_offset_with_room_for_its_bss():
    executable = linux.load(image(), b"files")
    assert executable.entry == 0x8020_0000
    assert [(one.address, one.size) for one in executable.segments] == [(0x8020_0000, 0x1000)]
    assert executable.initrd == b"files"
    assert executable.device_tree


def test_a_bundle_holds_kernel_and_initramfs():
    bundled = linux.bundle(image(), b"files", "a test")
    executable = linux.load_bundle(bundled, "linux")
    assert executable.segments[0].data == image()
    assert executable.initrd == b"files"
    assert linux.bundle(image(), b"files", "a test") == bundled


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x7fELF", "is not a RISC-V Linux Image"),
        (image(flags=1), "big-endian"),
        (image(text_offset=0x1000), "text_offset 0x1000 is not a small multiple of 2 MiB"),
        (image(size=1), "image_size 0x1 must be from"),
        (image(size=1 << 40), "image_size 0x10000000000 must be from"),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_field(data: bytes, problem: str):
    with pytest.raises(ElfError) as caught:
        linux.load(data, name="mine")
    assert str(caught.value).startswith("mine: ")
    assert problem in str(caught.value)


def test_a_bundle_without_a_kernel_is_refused():
    with pytest.raises(ElfError, match="holds no /images/kernel"):
        linux.load_bundle(linux.fdt.flatten(linux.fdt.Node("")), "mine")
    with pytest.raises(ElfError, match="is not a FIT image"):
        linux.load_bundle(linux.FIT_MAGIC, "mine")
