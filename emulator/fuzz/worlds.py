"""A world: random page tables of both stages, and contexts that a program may be entered in.

Three tables, for satp, vsatp and hgatp, all map the program and the stub soundly. What else they map is by
chance, with
entries spoilt by chance. Every other virtual or guest-physical address lies beyond NOWHERE, so that nothing
is there when
it happens to be used untranslated.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from emulator.core.csr_bits import (
    MPP_LOW,
    MPV,
    MXR,
    PTE_A,
    PTE_D,
    PTE_G,
    PTE_N,
    PTE_PPN,
    PTE_R,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    SIE,
    SPIE,
    SPP,
    SPV,
    SPVP,
)  # fmt: skip
from emulator.fuzz import known
from emulator.fuzz.layout import (
    CODE,
    CONTEXTS,
    DATA,
    DATA_PAGES,
    EXEC,
    EXEC_PAGES,
    FLOATS,
    NOWHERE,
    POINTERS,
    POOL,
    POOL_BYTES,
    STUB,
    TARGET,
    USER_CODE,
)
from emulator.fuzz.operands import value
from emulator.state import PAGE_BYTES

GOOD = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D
RWX = PTE_R | PTE_W | PTE_X
VPN0 = 0x1FF << 12
STCE, PBMTE, ADUE = 1 << 63, 1 << 62, 1 << 61
PMP_ALL = 0x1F
NAPOT_BITS, NAPOT_PATTERN, PBMT_LOW = 4, 8, 61
FS_LOW = 13
NEVER = (1 << 64) - 1
MODES = ("M", "S", "U", "VS", "VU")
# Compressed instructions that lead back from wherever a jump finds them: c.jr ra, c.ebreak, c.li a0 7.
EXEC_CODE = bytes.fromhex("828002901d458280") * (PAGE_BYTES // 8)

Memory = dict[int, int]
Context = dict[str, int]


class Tables:
    """Page tables of one stage, in a memory of 64-bit words."""

    def __init__(self, memory: Memory, free: list[int], mode: int, *, stage2: bool = False) -> None:
        """Begin with an empty root; tables are taken from the end of `free`, a list of pages."""
        self.memory, self.free, self.mode, self.stage2 = memory, free, mode, stage2
        self.pages = [free.pop() for _ in range(4 if stage2 else 1)]
        self.root = self.pages[-1]

    def register(self, identifier: int) -> int:
        """Return the value of satp, vsatp or hgatp."""
        return self.mode << 60 | identifier << 44 | self.root >> 12

    def entry(self, address: int, level: int = 0) -> int | None:
        """Return where the entry for an address stands; None if a leaf is above it or tables are used up."""
        table = self.root
        for current in range(self.mode - 6, level, -1):
            place = table + self._index(address, current) * 8
            if not self.memory.get(place):
                if not self.free:
                    return None
                self.pages.append(self.free.pop())
                self.memory[place] = self.pages[-1] >> 2 | PTE_V
            if self.memory[place] & RWX:
                return None
            table = (self.memory[place] & PTE_PPN) >> 10 << 12
        return table + self._index(address, level) * 8

    def _index(self, address: int, level: int) -> int:
        width = 0x7FF if self.stage2 and level == self.mode - 6 else 0x1FF
        return address >> 12 + 9 * level & width

    def map(self, address: int, target: int, flags: int) -> None:
        """Map a page soundly."""
        place = self.entry(address)
        assert place is not None
        self.memory[place] = target >> 2 | flags


@dataclass
class World:
    """Memory and the registers that lead to the tables.

    `data` and `targets` are addresses worth trying by the table that translates them last: satp, vsatp,
    hgatp.
    """

    memory: Memory
    page_types: bool  # Svnapot and Svpbmt are there
    start: int  # where the pool's pages that are used begin; they end with the data
    satp: int
    vsatp: int
    hgatp: int
    data: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    targets: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    entries: list[int] = field(default_factory=list[int])

    def guest_leaf(self, address: int) -> int:
        """Return the G-stage's entry for a guest-physical address, 0 where there is none."""
        table, level = (self.hgatp & 0xFFF_FFFF_FFFF) << 12, (self.hgatp >> 60) - 6
        width = 0x7FF
        while True:
            entry = self.memory.get(table + (address >> 12 + 9 * level & width) * 8, 0)
            if level == 0 or not entry & PTE_V or entry & RWX:
                return entry
            table, level, width = (entry & PTE_PPN) >> 10 << 12, level - 1, 0x1FF

    def pool(self) -> bytes:
        """Return the bytes of tables and data."""
        pool = bytearray(POOL_BYTES)
        for address, entry in self.memory.items():
            pool[address - POOL : address - POOL + 8] = entry.to_bytes(8, "little")
        return bytes(pool)


def build(chance: random.Random) -> World:
    """Make a world."""
    memory: Memory = {}
    page_types = chance.random() < 0.5
    for place in range(DATA, DATA + DATA_PAGES * PAGE_BYTES, 8):
        memory[place] = value(chance)
    # Below the data, the root of four pages first, which has to be aligned.
    free = list(range(POOL, DATA, PAGE_BYTES))
    nested = Tables(memory, free, chance.choice((8, 8, 9, 10)), stage2=True)
    host = Tables(memory, free, chance.choice((8, 8, 9, 10)))
    guest = Tables(memory, free, chance.choice((8, 8, 9, 10)))
    for tables in (host, guest):
        for page in (STUB, CODE, CODE + PAGE_BYTES):
            tables.map(page, page, GOOD)
        for page in (CODE, CODE + PAGE_BYTES):
            tables.map(USER_CODE - CODE + page, page, GOOD | PTE_U)
    safe = tuple(guest.pages)
    for page in (STUB, CODE, CODE + PAGE_BYTES, *safe):
        nested.map(page, page, GOOD | PTE_U)
    world = World(memory, page_types, 0, host.register(1), guest.register(2), nested.register(3))
    physical = [DATA + page * PAGE_BYTES for page in range(DATA_PAGES)]
    executable = [EXEC + page * PAGE_BYTES for page in range(EXEC_PAGES)]
    gpas = random_pages(chance, 4, nested.mode, root_bits=2)
    exec_gpas = random_pages(chance, 3, nested.mode, root_bits=2)
    for name, tables, data, targets in (
        ("satp", host, physical, executable),
        ("vsatp", guest, gpas, exec_gpas),
    ):
        world.data[name] = fill(chance, world, tables, random_pages(chance, 6, tables.mode), data, PTE_U)
        world.targets[name] = fill(
            chance, world, tables, random_pages(chance, 4, tables.mode), targets, PTE_U
        )
    for page in guest.pages[len(safe) :]:
        # Tables that were made for random pages are mapped by chance, like data.
        flags = spoilt(chance, GOOD | PTE_U, 0.2, page_types=page_types)
        # QEMU 7.2 does not set D here when it sets A and D in such a table.
        flags |= PTE_D if flags & PTE_W else 0
        nested.map(page, page, flags if flags & PTE_R else flags & ~PTE_X)
    world.data["hgatp"] = fill(chance, world, nested, gpas, physical, 0)
    world.targets["hgatp"] = fill(chance, world, nested, exec_gpas, executable, 0)
    for name, tables in (("satp", host), ("vsatp", guest), ("hgatp", nested)):
        lead_back(chance, tables, world.data[name])
    world.start = free[-1] + PAGE_BYTES if free else POOL
    return world


def lead_back(chance: random.Random, tables: Tables, pages: list[int]) -> None:
    """Let some entries of level 1 point to the table that they stand in."""
    for page in pages:
        place = tables.entry(page, 1)
        if place is not None and chance.random() < 0.06:
            tables.memory[place] = place >> 12 << 10 | PTE_V


def random_pages(chance: random.Random, count: int, mode: int, root_bits: int = 0) -> list[int]:
    """Return pages anywhere beyond NOWHERE, some of them neighbours."""
    bits = 12 + 9 * (mode - 5) + root_bits
    pages: list[int] = []
    while len(pages) < count:
        if pages and chance.random() < 0.4:
            page = pages[-1] + PAGE_BYTES
        elif pages and chance.random() < 0.7:
            page = pages[-1] ^ chance.getrandbits(21) & ~0xFFF  # shares tables with the page before
        else:
            # QEMU 7.2 takes the highest bit of a guest-physical address for a sign (10.4.1, 18.5.1).
            # Entries hold 56 bits.
            page = chance.getrandbits(min(bits - 1, 56) if root_bits else bits) & ~0xFFF
        if chance.random() < 0.4:
            page = page & ~VPN0 | chance.randrange(1, DATA_PAGES) << 12
        if NOWHERE <= page < 1 << bits and page >> 30 != USER_CODE >> 30:
            pages.append(page)
    if root_bits:
        return pages
    return [page if not page >> bits - 1 else page | (1 << 64) - (1 << bits) for page in pages]


def spoilt(chance: random.Random, flags: int, odds: float, *, page_types: bool) -> int:
    """Return an entry's flags, with a chance of some being wrong."""
    if chance.random() >= odds:
        return flags
    single = (PTE_V, PTE_R, PTE_W, PTE_X, PTE_U, PTE_A, PTE_D, PTE_A | PTE_D, PTE_G, PTE_R | PTE_W)
    high = known.PAGE_TYPE_BITS if page_types else known.RESERVED_BITS
    for _ in range(chance.choice((1, 1, 2))):
        flags ^= chance.choice((*single, 1 << chance.choice(high) if chance.random() < 0.3 else PTE_D))
    return known.possible_type(flags) if page_types else flags


def may_be_large(page: int, pages: list[int], bits: int = 9) -> bool:
    """Tell whether 2^`bits` pages from the start of the data on lead there for all pages that are in them."""
    near = [other >> 12 & (1 << bits) - 1 for other in pages if other >> 12 + bits == page >> 12 + bits]
    return all(1 <= place < DATA_PAGES for place in near)


def fill(
    chance: random.Random, world: World, tables: Tables, pages: list[int], targets: list[int], user: int
) -> list[int]:
    """Map pages to targets, at level 0 or as superpages, and spoil some entries. Returns `pages`."""
    for page in pages:
        flags = GOOD | (chance.choice((0, user)) if user else PTE_U)
        level = chance.choice((0, 0, 1)) if may_be_large(page, pages) else 0
        # A superpage begins where data or code to jump to begins; elsewhere it is misaligned and refused.
        target = chance.choice((targets[0], chance.choice(targets))) if level else chance.choice(targets)
        if world.page_types and level == 0:
            flags |= chance.choice((0, 0, 0, 1, 2)) << PBMT_LOW
            if may_be_large(page, pages, NAPOT_BITS) and chance.random() < 0.5:
                target, flags = targets[0] & ~0xFFFF | NAPOT_PATTERN << 12, flags | PTE_N
        place = tables.entry(page, level)
        if place is not None:
            world.entries += [place] * (level == 0)
            world.memory[place] = target >> 2 | spoilt(chance, flags, 0.4, page_types=world.page_types)
    for page in pages:
        place = tables.entry(page, 1)
        if place is not None and chance.random() < 0.08:
            entry = world.memory.get(place, 0)
            high = 1 << chance.choice(known.RESERVED_BITS)
            if world.page_types:
                high = PTE_N if entry and not entry & RWX else 0
            wrong = chance.choice((PTE_V, PTE_A, PTE_U, PTE_R, PTE_W | PTE_R, high))
            world.memory[place] = entry ^ wrong
    return pages


def contexts(chance: random.Random, world: World) -> list[Context]:
    """Make the contexts of one program."""
    return [context(chance, world, chance.choice(MODES)) for _ in range(CONTEXTS)]


def context(chance: random.Random, world: World, mode: str) -> Context:
    """Make one context."""
    virt, user = mode in ("VS", "VU"), mode in ("U", "VU")
    types = PBMTE if world.page_types else 0
    made: Context = {
        "satp": chance.choice((0, world.satp, world.satp)),
        "vsatp": chance.choice((0, world.vsatp, world.vsatp)),
        "hgatp": chance.choice((0, world.hgatp, world.hgatp, world.hgatp)),
        "menvcfg": ADUE | types | chance.choice((0, STCE)) | chance.choice((0, 0xF1)),
        "henvcfg": ADUE | types | chance.choice((0, 0xF1)),
        "stvec": STUB | chance.getrandbits(1),
        "vstvec": STUB | chance.getrandbits(1),
        "stimecmp": chance.choice((0, NEVER, NEVER)),
        "vstimecmp": NEVER,
        "htimedelta": 0,
        "medeleg": chance.choice((0, known.DELEGABLE, known.paired(value(chance)) & known.DELEGABLE)),
        "hedeleg": chance.choice(
            (0, known.GUEST_DELEGABLE, known.paired(value(chance)) & known.GUEST_DELEGABLE)
        ),
    }
    made |= {f"{level}counteren": chance.choice((0, 7, chance.randrange(8))) for level in "mhs"}
    made |= protection(chance)
    made |= status(chance, mode)
    made |= interrupts(chance)
    made["base"] = USER_CODE if user and made["vsatp" if virt else "satp"] else CODE
    made |= pointers(chance, world, mode, made)
    return made


def protection(chance: random.Random) -> Context:
    """Return entries of PMP: the last one allows all, those before it divide data and what is jumped to."""
    made: Context = {f"pmpaddr{number}": 0 for number in range(3)}
    made |= {"pmpaddr3": NEVER, "pmpcfg0": PMP_ALL << 24}
    if chance.random() < 0.7:
        return made
    for number in range(3):
        size = 1 << chance.randrange(2, 14)
        place = chance.choice((DATA, DATA, EXEC)) + chance.randrange(0, DATA_PAGES * PAGE_BYTES, 4)
        made[f"pmpaddr{number}"] = (place & -size | chance.choice((0, size // 2 - 1))) >> 2
        # Off, from the entry before on (the first one would begin at 0), four bytes, or a power of two.
        matching = chance.choice((0, 2, 3, 3) if number == 0 else (1, 1, 2, 3))
        made["pmpcfg0"] |= (matching << 3 | chance.choice((0, 1, 3, 4, 5, 7))) << 8 * number
    return made


def status(chance: random.Random, mode: str) -> Context:
    """Return mstatus, hstatus and vsstatus for entering a mode by mret."""

    def some(bits: tuple[int, ...], odds: float) -> int:
        return sum(1 << bit for bit in bits if chance.random() < odds)

    level = {"M": 3, "S": 1, "VS": 1}.get(mode, 0)
    floats = [chance.choice((3, 3, 3, 3, 3, 0)) << FS_LOW if FLOATS else 0 for _ in range(2)]
    mstatus = some((18, 19), 0.5) | some((20, 21, 22), 0.15) | level << MPP_LOW | floats[0]
    mstatus |= chance.choice((0, SIE)) | chance.choice((0, SPIE)) | chance.choice((0, SPP)) | some((7,), 0.5)
    mstatus |= MPV if mode in ("VS", "VU") else 0
    hstatus = some((9,), 0.5) | some((20, 21, 22), 0.15) | chance.choice((0, SPVP)) | chance.choice((0, SPV))
    vsstatus = (
        some((18, 19), 0.5) | chance.choice((0, SIE)) | chance.choice((0, SPIE)) | chance.choice((0, SPP))
    )
    # The same MXR for both stages: QEMU 7.2 applies vsstatus.MXR to the G-stage and mstatus.MXR not to the
    # VS-stage (18.5).
    vsstatus = vsstatus & ~MXR | mstatus & MXR
    return {"mstatus": mstatus, "hstatus": hstatus, "vsstatus": vsstatus | floats[1]}


def interrupts(chance: random.Random) -> Context:
    """Return what is pending, enabled and delegated; most contexts have no interrupts."""
    made: Context = {
        "mideleg": 0x222,
        "hideleg": 0x444,
        "mie": 0,
        "mip": 0,
        "hvip": 0,
        "msip": 0,
        "mtimecmp": NEVER,
    }
    if chance.random() < 0.5:
        return made
    for name in ("mideleg", "hideleg"):
        made[name] = chance.choice((chance.getrandbits(13), 0x1FFF, 0)) & (0x222 if name[0] == "m" else 0x444)
    made["mip"], made["hvip"] = chance.getrandbits(13) & 0x222, chance.getrandbits(13) & 0x444
    made["hvip"] &= ~known.VSTIP
    made["msip"], made["mtimecmp"] = chance.getrandbits(1), chance.choice((0, NEVER))
    if chance.random() < 0.4:
        # Nothing yet: the program may set what is pending.
        made |= {"mip": 0, "hvip": 0, "msip": 0, "mtimecmp": NEVER}
    made["mie"] = known.one_of_each_level(chance, made["mideleg"] | 0x1444, made["hideleg"])
    return made


def pointers(chance: random.Random, world: World, mode: str, made: Context) -> Context:
    """Return addresses for the pointer registers."""
    space = {"M": "", "S": "satp", "U": "satp", "VS": "vsatp", "VU": "vsatp"}[mode]
    found: Context = {}
    for number in (*POINTERS, TARGET):
        # The last ones serve hypervisor loads and accesses under MPRV.
        through_guest = space == "vsatp" or (number in POINTERS[3:] and chance.random() < 0.7)
        page = _page(chance, world, "vsatp" if through_guest else space, made, number == TARGET)
        offset = chance.choice((0, 8, 0xFF8, 0x800, chance.randrange(0, PAGE_BYTES, 8)))
        found[f"x{number}"] = page + (offset if number != TARGET else offset & ~7)
    return found


def _page(chance: random.Random, world: World, space: str, made: Context, target: bool) -> int:
    pages = world.targets if target else world.data
    if space and made[space]:
        return chance.choice(pages[space])
    if space == "vsatp" and made["hgatp"]:
        return chance.choice(pages["hgatp"])
    if chance.random() < 0.1:
        return NOWHERE + (chance.getrandbits(20) << 12)
    return EXEC if target else DATA + PAGE_BYTES * chance.randrange(DATA_PAGES)
