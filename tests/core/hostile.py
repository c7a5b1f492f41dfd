"""What hostile software may put into a hart and its memory: values at every edge there is.

A world is a small host whose memory is page tables, code and data, made from a number. A table is a few
entries over and over, so that any index finds one of them: pointers to tables and to themselves, leaves,
entries to outside, noise.
"""

from __future__ import annotations

import ctypes
import random
import struct
from collections.abc import Collection, Sequence
from typing import Any

from emulator.core.csr_bits import FS, MPP, MPRV, MPV, MXR, SUM
from emulator.isa.assembler import assemble
from emulator.isa.encodings import BY_NAME, TABLE, encode
from emulator.isa.instruction import Instruction
from emulator.machine.host import Host
from emulator.state import PAGE_BYTES, RAM_BASE
from tests.core.tables import LEAF, USER

FRAMES = 32
NOP = 0x13
END = RAM_BASE + FRAMES * PAGE_BYTES
ALL_ONES = (1 << 64) - 1
# Tables come first, then data; code is in the middle of RAM and in its last page.
TABLES, TABLE_PAGES = RAM_BASE, 8
DATA, CODE, LAST = RAM_BASE + 12 * PAGE_BYTES, RAM_BASE + 20 * PAGE_BYTES, END - PAGE_BYTES

# Handlers of M- and S-mode, a page each, that go on behind what trapped, or in the code if that was far away;
# after an interrupt an instruction is left out.
HANDLERS = RAM_BASE + 24 * PAGE_BYTES
HANDLER = """
    csrrw t6, {level}scratch, t6
    csrr t6, {level}epc
    srli t6, t6, 31
    addi t6, t6, -1
    beqz t6, near
    auipc t6, {back}
    j far
near:
    csrr t6, {level}epc
far:
    addi t6, t6, 4
    csrw {level}epc, t6
    csrrw t6, {level}scratch, t6
    {level}ret
"""

_PAGES = [*range(TABLES >> 12, (TABLES >> 12) + TABLE_PAGES)] * 2
_PAGES += [DATA >> 12, CODE >> 12, LAST >> 12, END >> 12, (RAM_BASE >> 12) - 1, 0]
# Superpages around RAM, and what does not fit into a host address once it is shifted.
_PAGES += [RAM_BASE >> 12 & ~0x3FFFF, (1 << 44) - 1, 1 << 43, (1 << 44) - 512, 0x3FFFF_FFFF]
_FLAGS = [1, 1, 1, 1, LEAF, USER, USER, USER, USER & ~0x80, 1 << 63 | USER]
_BASES = [0, RAM_BASE, TABLES + PAGE_BYTES, DATA, DATA, CODE, LAST, END, END, 1 << 38, 1 << 56, 1 << 63]
_BASES += [0x1000_0000]
_OFFSETS = [0, 0, 0, 8, 0xFF8, 0xFC0, -1, -2, -3, -4, -7, -8, -63, -64, 1, 2, 64, 0xFFE, 0xFFF]
_ACCESSES = [
    row
    for row in TABLE
    if row.kind in ("load", "store", "lr", "sc", "amo", "hload", "hstore", "fpload", "fpstore")
    or row.name.startswith("cbo")
]
_SYSTEM = [
    BY_NAME[name]
    for name in (
        "sfence.vma", "hfence.vvma", "hfence.gvma", "sret", "mret", "ecall", "wfi", "fence.i", "jalr", "jal",
        "csrrw", "csrrw", "csrrs", "csrrc", "sinval.vma",
    )
]  # fmt: skip
_CSRS = [
    0x100, 0x105, 0x140, 0x141, 0x180, 0x180, 0x14D, 0x200, 0x205, 0x241, 0x24D, 0x280, 0x280, 0x300, 0x302,
    0x303, 0x304, 0x305, 0x341, 0x344, 0x3A0, 0x3A2, 0x3B0, 0x3B1, 0x3BF, 0x600, 0x602, 0x603, 0x605, 0x60A,
    0x645, 0x680, 0x30A, 0x30C, 0x60C, 0x10A, 0x003,
]  # fmt: skip


def page_number(chance: random.Random) -> int:
    """Return a page number for a table entry or a root, anything up to 2^44-1."""
    return chance.getrandbits(44) if chance.random() < 0.15 else chance.choice(_PAGES)


def entry(chance: random.Random) -> int:
    """Return a page-table entry."""
    kind = chance.random()
    if kind < 0.05:
        return chance.getrandbits(64)
    if kind < 0.4:
        # In the right place this is all of RAM at its own address.
        return RAM_BASE >> 2 | chance.choice((LEAF, USER))
    flags = chance.getrandbits(10) if chance.random() < 0.15 else chance.choice(_FLAGS)
    return page_number(chance) << 10 | flags


def root(chance: random.Random, modes: Sequence[int] = (0, 8, 8, 8, 9, 10, 10)) -> int:
    """Return a value of satp, vsatp or hgatp."""
    return chance.choice(modes) << 60 | chance.choice((0, 1)) << 44 | page_number(chance)


def address(chance: random.Random) -> int:
    """Return an address, most often one at an edge."""
    if chance.random() < 0.15:
        return chance.choice((chance.getrandbits(64), RAM_BASE + chance.randrange(END - RAM_BASE)))
    return (chance.choice(_BASES) + chance.choice(_OFFSETS)) & ALL_ONES


def word(chance: random.Random) -> int:
    """Return an instruction, or noise."""
    kind = chance.random()
    if kind < 0.12:
        return chance.getrandbits(32)
    return _instruction(chance, chance.choice(_ACCESSES if kind < 0.8 else _SYSTEM))


def _instruction(chance: random.Random, row: Instruction) -> int:
    operands = {
        name: chance.randrange(1 << row.field_width(name))
        for name in ("rd", "rs1", "rs2", "fd", "fs1", "fs2")
        if name in row.fields
    }
    if "imm" in row.fields:
        offset = chance.randrange(-64, 65)
        operands["imm"] = offset & ~3 if row.kind == "jal" else offset
    if "csr" in row.fields:
        operands["csr"] = chance.choice(_CSRS)
    return encode(row, operands)


def put(host: Host, place: int, content: bytes) -> None:
    """Write a page of a host that has not run yet, at once: un-jitted kernels take their time for a byte."""
    host.write(place, b"\1")
    slot = host._frame_slot[(place - RAM_BASE) // PAGE_BYTES]
    ctypes.memmove(host.store_address + slot * PAGE_BYTES, content, PAGE_BYTES)


def fill(chance: random.Random, host: Host, dropped: Collection[int] = ()) -> int:
    """Write tables, and code that is the same few instructions over and over; return how many those are.

    The instructions whose numbers are in `dropped` become nops.
    """
    for number in range(TABLE_PAGES):
        entries = [entry(chance) for _ in range(chance.randrange(1, 10))]
        page = (entries * 512)[:512]
        put(host, TABLES + number * PAGE_BYTES, struct.pack("<512Q", *page))
    chosen = [word(chance) for _ in range(chance.randrange(1, 40))]
    for number in dropped:
        chosen[number] = NOP
    words = struct.pack(f"<{len(chosen)}I", *chosen)
    code = bytes(chance.choice((0, 0, 2))) + words * (PAGE_BYTES // len(words) + 1)
    for place in (CODE - PAGE_BYTES, CODE, LAST):
        put(host, place, code[:PAGE_BYTES])
    for number, level in enumerate("ms"):
        back = (CODE - HANDLERS - number * PAGE_BYTES >> 12) & 0xFFFFF
        handler = assemble(HANDLER.format(level=level, back=back)).segments[0].data
        put(host, HANDLERS + number * PAGE_BYTES, handler.ljust(PAGE_BYTES, b"\0"))
    return len(chosen)


def enter(chance: random.Random, hart: Any) -> None:
    """Set the registers of a hart."""
    hart.satp, hart.vsatp, hart.hgatp = (chance.choice((0, root(chance), root(chance))) for _ in range(3))
    hart.priv, hart.virt = chance.choice(((0, 0), (1, 0), (3, 0), (3, 0), (0, 1), (1, 1)))
    status = chance.getrandbits(64)
    hart.mstatus = status & (FS | MPP | MPRV | MPV | MXR | SUM | 0xAAA)
    hart.vsstatus = status & (FS | MXR | SUM | 0x122)
    hart.hstatus = status >> 32 & 0x3C0
    hart.menvcfg = hart.henvcfg = hart.senvcfg = chance.choice((0, 0xF0, 7 << 61, 7 << 61 | 0xF0))
    hart.mstateen[:] = hart.hstateen[:] = [ALL_ONES] * 4
    hart.pmpcfg[0] = chance.choice((0, 0, 0, 0, 0x1F, 0x0F1F, 0x1F0F, 0x1F9F_1818))
    hart.pmp_entries = 16 if hart.pmpcfg[0] else 0
    for number in range(16):
        hart.pmpaddr[number] = address(chance) >> 2
    if chance.random() < 0.5:
        hart.pmpaddr[2] = (1 << 54) - 1
        hart.pmpcfg[0] |= 0x1F_0000 if hart.pmpcfg[0] else 0
    hart.mtvec, hart.stvec, hart.vstvec = (
        chance.choice((handler, handler, handler, CODE, LAST + 0xFFC, address(chance))) & ~2
        for handler in (HANDLERS, HANDLERS + PAGE_BYTES, HANDLERS + PAGE_BYTES)
    )
    delegated = chance.choice((0, 0, 0xF0B7FF, 0xB1FF))
    hart.medeleg, hart.mideleg = delegated, delegated
    hart.hedeleg, hart.hideleg = delegated >> 8, delegated & 0x444
    for number in range(1, 32):
        # What instructions write into satp and the like may have any mode.
        hart.x[number] = root(chance, range(16)) if number % 8 == 7 else address(chance)
    hart.pc = (
        chance.choice((CODE, CODE, CODE, CODE - 2, CODE + 2, END - 2, END - 4, LAST, address(chance))) & ~1
    )
