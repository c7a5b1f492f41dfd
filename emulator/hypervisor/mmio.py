"""Trap and emulate: a guest's load or store in the device window, decoded and done by a device.

No page of the device window is mapped in the G-stage table, so an access is a guest page fault (Privileged
ISA 20240411, 18.6.3). What the guest wanted stands in `htinst`, the transformed instruction, or, where the
hart leaves that zero, in the instruction itself, which has just been fetched. Only integer loads and stores
that are aligned and lie within one device's registers are done; others get the access fault that they
would get on a bus.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from emulator.hypervisor import faults
from emulator.hypervisor.board import VmBoard
from emulator.isa.encodings import decode, expand
from emulator.machine.bus import BusFault
from emulator.machine.host import Host
from emulator.state import ITLB_ENTRIES, NO_ADDRESS

TRANSFORMED, UNCOMPRESSED = 1, 2  # htinst bits 0 and 1
PAGE = 0xFFFF_FFFF_FFFF_F000


class MemoryInstruction(NamedTuple):
    """A load (`register` is rd) or a store (`register` is rs2) of `size` bytes."""

    length: int
    write: bool
    size: int
    signed: bool
    register: int
    base: int  # rs1; in a transformed instruction the offset of the fault from the access's first byte
    offset: int


@lru_cache(maxsize=1024)
def decode_access(word: int) -> MemoryInstruction | None:
    """Return what an instruction does to memory; None if it is not an integer load or store."""
    decoded = decode(word)
    if decoded is None:
        return None
    length = decoded[0].length
    row, operands = expand(*decoded)
    if row.kind not in ("load", "store"):
        return None
    write = row.kind == "store"
    register = operands["rs2" if write else "rd"]
    return MemoryInstruction(
        length, write, row.width, not row.name.endswith("u"), register, operands["rs1"], operands["imm"]
    )


@lru_cache(maxsize=1024)
def decode_transformed(htinst: int) -> MemoryInstruction | None:
    """Return what a transformed instruction does to memory; None if it does so across a page."""
    found = decode_access(htinst | UNCOMPRESSED)
    if found is None or found.base:
        return None
    return found if htinst & UNCOMPRESSED else found._replace(length=2)


@lru_cache(maxsize=1024)
def describe(base: int, offset: int, write: bool) -> str:
    """Return an access in words, for the log."""
    if write:
        return f"write to the device at GPA {base:#x}, offset {offset:#x}"
    return f"read from the device at GPA {base:#x}, offset {offset:#x}"


def instruction_of(host: Host, hart: Any) -> MemoryInstruction | None:
    """Return the instruction that has just made a guest page fault, None if it cannot be emulated.

    One whose fault is not at its first byte cannot: it is misaligned and crosses a page.
    """
    htinst = hart.htinst
    if htinst & TRANSFORMED:
        return decode_transformed(htinst)
    found = decode_access(fetched(host, hart))
    if found is None or (hart.x[found.base] + found.offset) & NO_ADDRESS != hart.stval:
        return None
    return found


def emulate(hart: Any, board: VmBoard, access: MemoryInstruction, gpa: int) -> str | None:
    """Let a device do the access and move the guest past it; return what was done.

    None if the device refuses, then nothing has changed.
    """
    base = board.bus.base_of(gpa)
    if base is None or gpa & access.size - 1:
        return None
    pc = hart.pc
    # A device may take the vCPU off its pCPU (a power switch): nothing of it can be touched afterwards.
    hart.pc = (pc + access.length) & NO_ADDRESS
    value = hart.x[access.register] if access.write else 0
    try:
        answer = board.access(gpa, access.size, access.write, value)
    except BusFault:
        hart.pc = pc
        return None
    if not access.write and access.register:
        # Reading never takes a vCPU away.
        hart.x[access.register] = extended(answer, access)
    return describe(base, gpa - base, access.write)


def extended(value: int, access: MemoryInstruction) -> int:
    """Return what a load of `value` leaves in its register."""
    bits = 8 * access.size
    if access.signed and value >> bits - 1:
        value |= NO_ADDRESS << bits & NO_ADDRESS
    return value


def fetched(host: Host, hart: Any) -> int:
    """Return the instruction at a guest's pc, by the TLB entry that it was fetched with."""
    pc = hart.pc
    place = pc >> 12 & ITLB_ENTRIES - 1
    if (hart.itlb_tag[place] ^ pc) & PAGE or pc & 0xFFF == 0xFFE:
        return faults.fetch_instruction(host, hart, pc) or 0
    hpa = hart.itlb_page[place] & PAGE | pc & 0xFFF
    return int.from_bytes(host.read(hpa, 4), "little")
