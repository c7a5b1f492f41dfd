"""Random page tables of both stages, sound and broken, and random accesses through them, for `bare_metal`.

A world has tables for satp, vsatp and hgatp in the pool. All three map the first megabytes of RAM as they
are, so that PROBE and STUB can always run; everything else in them is by chance, with entries spoilt by
chance.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from emulator.core.csr_bits import (
    MPP_LOW,
    MPRV,
    PTE_A,
    PTE_D,
    PTE_G,
    PTE_R,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    SPP,
    SPV,
)
from emulator.state import PAGE_BYTES, RAM_BASE
from tests.core.tables import Tables
from tests.differential.bare_metal import (
    DATA,
    DATA_PAGES,
    POOL,
    POOL_PAGES,
    PROBE,
    PROBE_USER,
    RAM_BYTES,
    STUB,
    Trial,
)
from tests.differential.operands import value
from tests.differential.privileged_trials import HSTATUS, MODES, STATUS, VU, M, U, chosen, with_bits, word

A0, A1 = 10, 11
GOOD = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D
ADUE = 1 << 61
NOWHERE = 1 << 36  # added to a physical address, it leads past all of QEMU's devices
LOADS = [word(name, rd=A0, rs1=A0, imm=0) for name in ("lb", "lhu", "lw", "ld")]
STORES = [word(name, rs2=A1, rs1=A0, imm=0) for name in ("sb", "sh", "sw", "sd")]
# No atomics: QEMU 7.2 reports their faults as a load's, where the standard says store/AMO.
FETCH = [word("jalr", rd=1, rs1=A0, imm=0)]
# No hlvx: QEMU 7.2 wants read permission for it and not execute permission (18.3).
HLV = [word(name, rd=A0, rs1=A0) for name in ("hlv.bu", "hlv.h", "hlv.w", "hlv.d")]
HSV = [word(name, rs1=A0, rs2=A1) for name in ("hsv.b", "hsv.h", "hsv.w", "hsv.d")]
WIDTHS = {
    code: width
    for codes, widths in ((LOADS, (1, 2, 4, 8)), (STORES, (1, 2, 4, 8)), (FETCH, (2,)))
    for code, width in zip(codes, widths, strict=True)
} | dict(zip(HLV + HSV, (1, 2, 4, 8, 1, 2, 4, 8), strict=True))  # fmt: skip


@dataclass
class Memory:
    """Physical memory in the making, by 64-bit words."""

    words: dict[int, int] = field(default_factory=dict[int, int])

    def load(self, address: int) -> int:
        return self.words.get(address, 0)

    def store(self, address: int, value: int) -> None:
        assert POOL <= address < POOL + POOL_PAGES * PAGE_BYTES
        self.words[address] = value

    def content(self) -> dict[int, bytes]:
        """Return the pool's bytes."""
        pool = bytearray(POOL_PAGES * PAGE_BYTES)
        for address, entry in self.words.items():
            pool[address - POOL : address - POOL + 8] = entry.to_bytes(8, "little")
        return {POOL: bytes(pool)}


@dataclass
class World:
    """Tables, and the addresses that are worth trying under satp, vsatp and, with vsatp bare, hgatp."""

    memory: Memory
    satp: int
    vsatp: int
    hgatp: int
    virtual: dict[str, list[int]]


def build(chance: random.Random) -> World:
    """Make a world."""
    memory = Memory()
    for page in range(DATA_PAGES):
        for offset in range(0, PAGE_BYTES, 8):
            # An ecall, which a fetch can execute, and a mark that says where it was read.
            memory.store(DATA + page * PAGE_BYTES + offset, 0x73 | (page << 20 | offset << 4 | 0xA) << 32)
    host = Tables(memory, POOL, chance.choice((8, 8, 9, 10)))
    guest = Tables(memory, POOL + 24 * PAGE_BYTES, chance.choice((8, 8, 9, 10)))
    nested = Tables(memory, POOL + 52 * PAGE_BYTES, chance.choice((8, 8, 9, 10)), stage2=True)
    for tables in (host, guest):
        tables.map(PROBE, PROBE, GOOD)
        tables.map(STUB, STUB, GOOD)
        tables.map(PROBE_USER, PROBE_USER, GOOD | PTE_U)
    first_free = guest.next_table
    for page in (PROBE, STUB, PROBE_USER, *range(guest.root, first_free, PAGE_BYTES)):
        nested.map(page, page, GOOD | PTE_U)
    physical = [DATA + page * PAGE_BYTES for page in range(DATA_PAGES)]
    gpas = [*physical, *random_pages(chance, 6, nested.mode, root_bits=2)]
    virtual = {
        "satp": fill(chance, host, random_pages(chance, 9, host.mode), physical, PTE_U),
        "vsatp": fill(chance, guest, random_pages(chance, 9, guest.mode), gpas, PTE_U),
    }
    # The tables of the guest that came after the safe ones are mapped by chance, like its data.
    later = list(range(first_free, guest.next_table, PAGE_BYTES))
    for page in later:
        flags = spoilt(chance, GOOD | PTE_U, 0.25)
        # QEMU 7.2 lets MXR make an execute-only page of tables readable; MXR concerns explicit loads
        # (18.5).
        nested.map(page, page, flags if flags & PTE_R else flags & ~PTE_X)
    virtual["hgatp"] = fill(chance, nested, gpas, physical, 0) + later
    return World(memory, host.register(1), guest.register(2), nested.register(3), virtual)


def random_pages(chance: random.Random, count: int, mode: int, root_bits: int = 0) -> list[int]:
    """Return pages anywhere in the address space, some of them neighbours."""
    bits = 12 + 9 * (mode - 5) + root_bits
    pages: list[int] = []
    while len(pages) < count:
        if pages and chance.random() < 0.4:
            page = pages[-1] + PAGE_BYTES
        else:
            # QEMU 7.2 takes the highest bit of a guest physical address for a sign (10.4.1, 18.5.1).
            page = chance.getrandbits(bits - 1 if root_bits else bits) & ~0xFFF
            # Half of them beside the page before, so that they share tables.
            if pages and chance.random() < 0.6:
                page = pages[-1] ^ chance.getrandbits(21) & ~0xFFF
        if page >> 30 != RAM_BASE >> 30 and page < 1 << bits:
            pages.append(page)
    if root_bits:
        return pages
    return [page if not page >> bits - 1 else page | (1 << 64) - (1 << bits) for page in pages]


def spoilt(chance: random.Random, flags: int, odds: float) -> int:
    """Return an entry's flags, with a chance of some being wrong."""
    if chance.random() >= odds:
        return flags
    for _ in range(chance.choice((1, 1, 2))):
        flags ^= chance.choice(
            (
                PTE_V,
                PTE_R,
                PTE_W,
                PTE_X,
                PTE_U,
                PTE_A,
                PTE_D,
                PTE_G,
                PTE_R | PTE_W,
                1 << chance.randrange(54, 64),
            )
        )
    return flags


def fill(chance: random.Random, tables: Tables, pages: list[int], targets: list[int], user: int) -> list[int]:
    """Map pages to targets, at level 0 or as superpages, and spoil some entries. Returns `pages`."""
    for page in pages:
        flags = GOOD | (chance.choice((0, user)) if user else PTE_U)
        level = chance.choice((0, 0, 0, 0, 1)) if page >> 30 != RAM_BASE >> 30 else 0
        target = chance.choice(targets)
        if level:
            # The data begins where a superpage may; a misaligned one is refused.
            target = chance.choice((DATA, target))
        place = tables.free_entry(page, level)
        if place is not None:
            tables.memory.store(place, target >> 2 | spoilt(chance, flags, 0.4))
    for page in pages:
        if chance.random() < 0.08:
            spoil_above(chance, tables, page)
    return pages


def spoil_above(chance: random.Random, tables: Tables, page: int) -> None:
    """Spoil the pointer to the last table of a page; the tables of the safe pages are not under it."""
    place = tables.free_entry(page, 1)
    if page >> 30 != RAM_BASE >> 30 and place is not None:
        tables.memory.store(
            place,
            tables.memory.load(place) ^ chance.choice((PTE_V, PTE_A, PTE_U, PTE_R, PTE_W | PTE_R, 1 << 60)),
        )


def address(chance: random.Random, pages: list[int], width: int, aligned: bool, bare: bool) -> int:
    """Return an address in or near one of the pages."""
    kind = chance.randrange(12)
    anywhere = value(chance) & ~7
    if kind == 0 and anywhere >= DATA and not bare:  # QEMU has devices below RAM
        return anywhere
    offset = chance.choice((0, 8, 0xFF8, 0x800, chance.randrange(0, PAGE_BYTES, 8)))
    if not aligned:
        offset = chance.choice(
            (offset, offset, chance.randrange(PAGE_BYTES), PAGE_BYTES - chance.randrange(1, 8))
        )
    page = chance.choice(pages)
    if kind == 1 and not bare:
        page ^= 1 << chance.randrange(30, 64)
    return page + offset - (offset % width if aligned else 0)


def trials(chance: random.Random, world: World, count: int) -> list[Trial]:
    """Make random accesses in a world."""
    return [trial(chance, world) for _ in range(count)]


def trial(chance: random.Random, world: World) -> Trial:
    """Make one access: plain in any mode, through MPRV, or a hypervisor's."""
    mode = chance.choice((*MODES, *MODES, M))
    virt = mode in ("VS", VU)
    codes = LOADS + STORES + FETCH * 4
    if not virt and chance.random() < 0.4:
        codes = HLV + HSV
    first = chance.choice(codes)
    through_guest = virt or first in HLV + HSV
    sets = {
        "satp": chance.choice((0, world.satp, world.satp)) if mode != M else world.satp,
        "vsatp": chance.choice((0, world.vsatp, world.vsatp)),
        "hgatp": chance.choice((0, world.hgatp, world.hgatp, world.hgatp)),
        "first": first,
        "menvcfg": ADUE,
        "henvcfg": ADUE,
        "a1": value(chance),
    }
    if first in HLV + HSV:
        sets["satp"] = world.satp  # with satp bare QEMU 7.2 turns their page faults into access faults
    sets |= status(chance, mode)
    if first in HLV + HSV:
        sets["vsstatus"] |= STATUS[
            "SUM"
        ]  # "the HS-level sstatus.SUM is ignored" (18.3); QEMU 7.2 takes SUM as 1
    if mode == M and first in FETCH:
        sets["first"] = first = chance.choice(LOADS)
    if mode == U and first in HLV + HSV:
        sets["hstatus"] |= HSTATUS["HU"]  # QEMU 7.2 forgets mtval when it refuses them
    if mode != M:
        sets["sepc"] = PROBE_USER if mode in (U, VU) and sets["vsatp" if virt else "satp"] else PROBE
    sets["medeleg"] = chance.choice((0, 0xF0_B1FF & ~(7 << 8)))
    sets["hedeleg"] = chance.choice((0, 0xB1FF))
    if through_guest:
        pages = world.virtual["vsatp"] if sets["vsatp"] else world.virtual["hgatp"]
    else:
        pages = world.virtual["satp"] if sets["satp"] else [DATA, DATA + PAGE_BYTES]
    aligned = first in FETCH + HLV + HSV or chance.random() < 0.5
    bare = not sets["vsatp" if through_guest else "satp"]
    if mode == M and not through_guest:
        bare = not sets["mstatus"] & MPRV or sets["mstatus"] >> MPP_LOW & 3 == 3
    sets["a0"] = address(chance, pages, WIDTHS[first], aligned, bare)
    if bare and sets["a0"] not in range(RAM_BASE, RAM_BASE + RAM_BYTES):
        sets["a0"] |= NOWHERE
    return Trial(f"access in {mode}", sets)


def status(chance: random.Random, mode: str) -> dict[str, int]:
    """Return the status registers of a mode, with SUM, MXR and, in M-mode, MPRV by chance."""
    bits = {name: STATUS[name] for name in ("SUM", "MXR")}
    # MXR is the same in both: QEMU 7.2 applies vsstatus.MXR to the G-stage and not mstatus.MXR to the
    # VS-stage (18.5).
    sets = {"mstatus": chosen(chance, bits, 0.5)}
    sets["vsstatus"] = sets["mstatus"] & STATUS["MXR"] | chance.choice((0, STATUS["SUM"]))
    sets["hstatus"] = chosen(chance, {name: HSTATUS[name] for name in ("SPVP", "HU")}, 0.5)
    if mode == M:
        # Without MPV: QEMU 7.2 calls the guest-page faults of such accesses page faults, and looks at it with
        # MPP=3.
        sets["mstatus"] |= chance.choice((0, MPRV)) | chance.choice((0, 1, 3)) << MPP_LOW
        return sets
    virt = mode in ("VS", VU)
    extra = {"mstatus": 0 if mode in (U, VU) else SPP, "hstatus": SPV if virt else 0}
    return with_bits(sets, **extra) | {"by_sret": 1}
