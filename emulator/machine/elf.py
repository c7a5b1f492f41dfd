"""ELF64 executables for RISC-V: where their bytes go, checked against every lie a file can tell.

Source: System V ABI, "Object Files" (ELF header, program header), and the RISC-V ELF psABI (EM_RISCV =
243). Only static little-endian executables (ET_EXEC) are read; sections, symbols and relocations are left
out.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from emulator.errors import VmLabError
from emulator.isa.symbols import Symbols

ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
ET_EXEC, ET_DYN, EM_RISCV, PT_LOAD, PT_INTERP, PT_NOTE = 2, 3, 243, 1, 3, 4
# A note by which a program asks for a device tree: sizes of its name and description, type, name.
WANTS_DEVICE_TREE = struct.pack("<III", 6, 0, 1) + b"VMLAB\0"
MAX_PROGRAM_HEADERS = 64
MAX_MEMORY_BYTES = 1 << 30
ADDRESS_LIMIT = 1 << 56
SATP_MODE_SHIFT = 60


class ElfError(VmLabError):
    """A file is not an executable that can be loaded; the message says which field is wrong."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes to place at `address`.

    `size` is at least their length, the rest is zero; `flags` are PF_X 1, W 2, R 4.
    """

    address: int
    data: bytes
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Executable:
    """An entry point and what to load; segments ascend and do not overlap.

    `lines` maps the address of each instruction to its line in `source`, a text called `name`; `symbols` are
    addresses by label. `load` leaves all three empty. An operating system wants a device tree, whose
    address it finds in a1, and may want an initramfs (`initrd`). One that is linked to run elsewhere goes
    there when it turns paging on: `runs_at` is then where its entry is, and what `symbols` are about.
    """

    entry: int
    segments: tuple[Segment, ...]
    name: str = ""
    source: str = ""
    symbols: Symbols = field(default_factory=Symbols)
    lines: Mapping[int, int] = field(default_factory=dict[int, int])
    initrd: bytes = b""
    device_tree: bool = False
    runs_at: int | None = None

    def symbols_under(self, root: int) -> Symbols:
        """Return where the symbols are for a vCPU whose `satp` is `root`."""
        if self.runs_at is None or root >> SATP_MODE_SHIFT:
            return self.symbols
        return self.symbols.moved(self.entry - self.runs_at)


def load(data: bytes, name: str = "program", relocatable: bool = False) -> Executable:
    """Return what an ELF file wants loaded. Raises ElfError naming `name` and the wrong field.

    `relocatable` also takes firmware that relocates itself (ET_DYN without interpreter), at its addresses.
    """
    entry, table, count = _header(data, name, (ET_EXEC, ET_DYN) if relocatable else (ET_EXEC,))
    segments: list[Segment] = []
    device_tree = False
    for index in range(count):
        kind, flags, offset, _, address, filled, size, _ = PROGRAM_HEADER.unpack_from(
            data, table + index * PROGRAM_HEADER.size
        )
        if kind == PT_INTERP:
            raise ElfError(f"{name}: is dynamically linked; link it with -static")
        if kind == PT_NOTE:
            device_tree |= data[offset : offset + filled].startswith(WANTS_DEVICE_TREE)
        if kind == PT_LOAD and size:
            segments.append(
                _segment(data, f"{name}: program header {index}", flags, offset, address, filled, size)
            )
    segments.sort(key=lambda segment: segment.address)
    _reject_overlap(segments, name)
    if not any(s.address <= entry < s.address + s.size for s in segments):
        raise ElfError(f"{name}: e_entry {entry:#x} is in no loaded segment; set it with ENTRY(...) or -e")
    return Executable(entry, tuple(segments), name, device_tree=device_tree)


def _header(data: bytes, name: str, kinds: tuple[int, ...]) -> tuple[int, int, int]:
    """Return entry, offset of the program headers and their count."""
    if len(data) < ELF_HEADER.size or data[:4] != b"\x7fELF":
        raise ElfError(
            f"{name}: is not an ELF file (it must begin with 7f 45 4c 46 and have 64 bytes or more)"
        )
    identity, kind, machine, _, entry, table, _, _, _, entry_size, count, *_ = ELF_HEADER.unpack_from(data)
    if identity[4] != 2 or identity[5] != 1:
        raise ElfError(f"{name}: is not a little-endian 64-bit ELF; build it for riscv64")
    if machine != EM_RISCV:
        raise ElfError(f"{name}: e_machine is {machine}; must be {EM_RISCV} (RISC-V)")
    if kind not in kinds:
        raise ElfError(
            f"{name}: e_type is {kind}; must be {ET_EXEC} (a static executable): link with -static -no-pie"
        )
    if entry_size != PROGRAM_HEADER.size:
        raise ElfError(f"{name}: e_phentsize is {entry_size}; must be {PROGRAM_HEADER.size}")
    if not 1 <= count <= MAX_PROGRAM_HEADERS:
        raise ElfError(f"{name}: e_phnum is {count}; must be from 1 to {MAX_PROGRAM_HEADERS}")
    if table + count * PROGRAM_HEADER.size > len(data):
        raise ElfError(
            f"{name}: its program headers end at {table + count * PROGRAM_HEADER.size:#x}, past its end"
        )
    return entry, table, count


def _segment(
    data: bytes, where: str, flags: int, offset: int, address: int, filled: int, size: int
) -> Segment:
    if filled > size:
        raise ElfError(f"{where}: p_filesz {filled:#x} is larger than p_memsz {size:#x}")
    if offset + filled > len(data):
        raise ElfError(
            f"{where}: its bytes end at {offset + filled:#x}, past the end of the file ({len(data):#x})"
        )
    if size > MAX_MEMORY_BYTES or address + size > ADDRESS_LIMIT:
        raise ElfError(f"{where}: wants {size:#x} bytes at {address:#x}, more than any machine here has")
    return Segment(address, data[offset : offset + filled], size, flags & 7)


def _reject_overlap(segments: list[Segment], name: str) -> None:
    for low, high in itertools.pairwise(segments):
        if low.address + low.size > high.address:
            raise ElfError(f"{name}: the segments at {low.address:#x} and {high.address:#x} overlap")
