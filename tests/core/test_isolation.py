"""A guest reaches its own frames and no other byte of the host, whatever it tries.

Random G-stage tables, spoilt by chance, over random guest page tables that the guest itself could have
written, pointing anywhere: into its memory, at its own tables, at host physical addresses of its neighbours,
at nothing. Every access is compared with a translation in plain Python; everything that is not the guest's is
compared with what it was. There is no hypervisor here that could check anything.
"""

from __future__ import annotations

import ctypes
import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.core.csr_bits import HU, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X, SPVP, SUM
from emulator.isa.csrs import CSR_NUMBERS
from emulator.isa.encodings import BY_NAME, encode
from emulator.machine.host import Host
from emulator.state import EXIT_BUDGET, EXIT_MMIO, EXIT_TRAP, MMIO_NONE, PAGE_BYTES, PRIV_S, PRIV_U, RAM_BASE
from tests.core.machine import frame
from tests.core.reference_walk import Reference, Refused
from tests.core.tables import LEAF, USER, Tables
from tests.differential.operands import value
from tests.differential.programs import program

FRAMES = 256
# Frames 0 to 63 hold the G-stage tables and the hypervisor, the last ones the code that makes the accesses.
CODE, HANDLER = frame(FRAMES - 1), frame(FRAMES - 2)
CODE_GPA = 0x8000_0000 + 77 * PAGE_BYTES
CANARY = 0xC5D6_E7F8_A9BA_CBDC
A0, A1, A2 = 10, 11, 12
LOADS = {"lb": 1, "lbu": 1, "lh": 2, "lhu": 2, "lw": 4, "lwu": 4, "ld": 8}
STORES = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}
ATOMICS = {"lr.w": 4, "lr.d": 8, "amoswap.w": 4, "amoadd.d": 8, "amomaxu.d": 8, "sc.w": 4, "sc.d": 8}
HYPERVISOR_LOADS = {"hlv.b": 1, "hlv.hu": 2, "hlv.w": 4, "hlv.d": 8}
HYPERVISOR_STORES = {"hsv.b": 1, "hsv.h": 2, "hsv.w": 4, "hsv.d": 8}
SETTINGS = settings(
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass
class World:
    """A host, one guest on it, and all that the guest may touch."""

    host: Host
    own: list[int]  # frame addresses
    vsatp: int
    hgatp: int
    gpas: list[int]
    gvas: list[int]
    hart: Any = field(init=False)

    def __post_init__(self) -> None:
        self.hart = self.host.harts[0]

    def load(self, address: int) -> int:
        return int.from_bytes(self.host.read(address, 8), "little")

    def store(self, address: int, value: int) -> None:
        self.host.write(address, (value % (1 << 64)).to_bytes(8, "little"))

    def read(self, address: int) -> int | None:
        """Return a word for the reference, None outside RAM."""
        if not RAM_BASE <= address < RAM_BASE + FRAMES * PAGE_BYTES:
            return None
        return self.load(address)

    def reference(self) -> Reference:
        return Reference(self.read, self.vsatp, self.hgatp)

    def foreign(self) -> str:
        """Return a digest of every frame that is not the guest's."""
        own = {(address - RAM_BASE) // PAGE_BYTES for address in self.own}
        return self.host.digest_frames(number for number in range(FRAMES) if number not in own)

    def enter(self, priv: int, virt: int, pc: int) -> None:
        hart = self.hart
        hart.priv, hart.virt, hart.pc, hart.scause, hart.mmio_state = priv, virt, pc, 99, MMIO_NONE


def build(engine: Any, chance: random.Random) -> World:
    """Make a world."""
    host = Host(1, FRAMES * PAGE_BYTES, 100_000_000, engine)
    canary = CANARY.to_bytes(8, "little") * (PAGE_BYTES // 8)
    for number in range(64, FRAMES - 2):
        host.write(frame(number), canary)
    own = [frame(number) for number in chance.sample(range(64, FRAMES - 2), 24)]
    world = World(host, own, 0, 0, [], [])
    for address in own:
        host.write(address, chance.randbytes(PAGE_BYTES))
    nested = Tables(world, frame(4), chance.choice((8, 9, 10)), stage2=True)
    bits = 12 + 9 * (nested.mode - 5) + 2
    nested.map(CODE_GPA, CODE, PTE_V | PTE_R | PTE_X | PTE_U | 0x40)
    for address in own:
        gpa = chance.choice(
            (address, 0x8000_0000 + chance.randrange(64) * PAGE_BYTES, chance.getrandbits(bits))
        )
        gpa &= ~0xFFF
        if gpa != CODE_GPA and nested.next_table < frame(60):
            nested.map(gpa, address, spoilt(chance, USER))
            world.gpas.append(gpa)
    world.hgatp = nested.register(chance.getrandbits(14))
    make_guest_tables(chance, world)
    for name, setting in (("medeleg", 0xF0_B7FF), ("mideleg", 0x1666), ("stvec", HANDLER), ("hosted", 1)):
        setattr(world.hart, name, setting)
    return world


def spoilt(chance: random.Random, flags: int) -> int:
    """Return an entry's flags, one time in five with a bit wrong."""
    return flags ^ 1 << chance.choice((0, 1, 2, 3, 4, 6, 7, 58)) if chance.random() < 0.2 else flags


def make_guest_tables(chance: random.Random, world: World) -> None:
    """Write page tables into the guest's memory, through its own physical addresses."""
    reference = world.reference()

    class GuestMemory:
        """What the guest can write: refused writes are lost, as they would be."""

        def load(self, address: int) -> int:
            try:
                return world.read(reference.host_physical(address, "load")) or 0
            except Refused:
                return 0

        def store(self, address: int, value: int) -> None:
            try:
                place = reference.host_physical(address, "store")
            except Refused:
                return
            if place & ~0xFFF in world.own:
                world.store(place, value)

    usable = sorted(gpa for gpa in world.gpas if writable(reference, gpa))
    if len(usable) < 6:
        return
    for gpa in usable[:5]:
        for offset in range(0, PAGE_BYTES, 8):
            GuestMemory().store(gpa + offset, 0)
    tables = Tables(GuestMemory(), usable[0], 8)
    supply = iter(usable[1:5])
    for _ in range(12):
        gva = chance.choice((0, 1 << 30, (1 << 64) - (1 << 30))) + chance.randrange(1 << 10) * PAGE_BYTES
        tables.next_table = next(supply, 0) or chance.choice(usable)
        # Most often a page of its own; one that it does not have; a host physical address of a neighbour.
        target = chance.choice(
            (*chance.sample(world.gpas, 4), chance.getrandbits(40) & ~0xFFF, frame(chance.randrange(FRAMES)))
        )
        place = tables.free_entry(gva % (1 << 39), 0)
        if place is not None:
            tables.memory.store(place, target >> 2 | spoilt(chance, chance.choice((LEAF, USER))))
            world.gvas.append(gva)
    # The code page, at its own address.
    tables.next_table = chance.choice(usable)
    if chance.random() < 0.7:
        place = tables.free_entry(CODE_GPA, 1)
        if place is not None:
            tables.memory.store(place, (CODE_GPA & ~0x1F_FFFF) >> 2 | LEAF)
    world.vsatp = tables.register(chance.getrandbits(16))


def writable(reference: Reference, gpa: int) -> bool:
    try:
        reference.host_physical(gpa, "load")
        reference.host_physical(gpa, "store")
    except Refused:
        return False
    return True


def an_address(chance: random.Random, world: World, likely: list[int]) -> int:
    """Return an address in or beside one of the `likely` pages, or anywhere that might matter."""
    others = [*world.gpas, *world.gvas, *(frame(number) for number in (0, 4, 60, 100, 200)), 0, CODE_GPA]
    page = chance.choice(likely if likely and chance.random() < 0.6 else others)
    if chance.random() < 0.08:
        page = value(chance)
    near = chance.choice((0, 8, 4095, 4092, 4089, chance.randrange(4096), -1, -8, 4096))
    return (page + near) % (1 << 64)


def expected(world: World, address: int, size: int, need: str, user: bool, sum_bit: bool) -> list[int] | str:
    """Return the host physical address of each byte, or the stage that refuses the access."""
    reference = world.reference()
    try:
        places = [
            reference.translate((address + number) % (1 << 64), need, user, sum_bit) for number in range(size)
        ]
    except Refused as refused:
        return refused.stage
    return places if all(world.read(place & ~7) is not None for place in places) else "outside"


def attempt(chance: random.Random, world: World) -> None:
    """Make one access and compare everything with what it must have been."""
    hypervisor = chance.random() < 0.25
    loads, stores = (HYPERVISOR_LOADS, HYPERVISOR_STORES) if hypervisor else (LOADS, STORES)
    kinds = loads | stores | ({} if hypervisor else ATOMICS)
    name, size = chance.choice(list(kinds.items()))
    need = "load" if name in loads or name.startswith("lr") else "store"
    address = an_address(chance, world, world.gvas if hypervisor else world.gpas)
    word = chance.getrandbits(64)
    user, sum_bit = chance.random() < 0.5, chance.random() < 0.5
    priv = PRIV_U if user else PRIV_S
    row = BY_NAME[name]
    operands = {"rd": A1, "rs1": A0, "rs2": A2}
    instruction = encode(row, {k: v for k, v in operands.items() if k in row.fields})
    world.host.write(CODE, instruction.to_bytes(4, "little"))
    hart = world.hart
    # The code runs with the first stage bare, so that it can always be fetched; HLV and HSV go through vsatp.
    world.enter(PRIV_S if hypervisor else priv, 0 if hypervisor else 1, CODE if hypervisor else CODE_GPA)
    hart.vsstatus = SUM if sum_bit else 0
    hart.hstatus = HU | (0 if user else SPVP)
    hart.hgatp = world.hgatp
    saved, world.vsatp = world.vsatp, world.vsatp if hypervisor else 0
    hart.vsatp = world.vsatp
    hart.x[A0], hart.x[A1], hart.x[A2] = address, 0x77, word
    before, memory = world.foreign(), {place: world.host.read(place, PAGE_BYTES) for place in world.own}
    places = expected(world, address, size, need, user, sum_bit)
    reason = world.host.run(0, 1)
    story = f"{name} at {address:#x}, user {user}, sum {sum_bit}: expected {places}, scause {hart.scause}"
    check(world, reason, name, size, need, address, word, places, memory, story)
    assert world.foreign() == before, story
    world.vsatp = saved


def check(
    world: World,
    reason: int,
    name: str,
    size: int,
    need: str,
    address: int,
    word: int,
    places: list[int] | str,
    memory: dict[int, bytes],
    story: str,
) -> None:
    """Compare registers and the guest's memory with what the access must have done."""
    hart = world.hart
    now = {place: world.host.read(place, PAGE_BYTES) for place in world.own}
    misaligned = address % size != 0
    if isinstance(places, str) or (misaligned and "." in name and not name.startswith("h")):
        assert reason in (EXIT_TRAP, EXIT_MMIO) or hart.scause != 99, story
        assert reason != EXIT_MMIO or places == "outside", story
        assert hart.x[A1] == 0x77, story
        assert now == memory, story
        return
    assert hart.scause == 99, story
    assert reason == EXIT_BUDGET, story
    assert {place & ~0xFFF for place in places} <= {*world.own, CODE}, story
    if need == "load":
        raw = bytes(whole_memory(world, memory, place) for place in places)
        assert hart.x[A1] % (1 << 8 * size) == int.from_bytes(raw, "little"), story
        assert now == memory, story
    elif name in STORES or name in HYPERVISOR_STORES:
        changed = {place: bytearray(content) for place, content in memory.items()}
        for place, byte in zip(places, word.to_bytes(8, "little"), strict=False):
            changed[place & ~0xFFF][place & 0xFFF] = byte
        assert now == changed, story
    else:
        # An atomic: what it computes is tested elsewhere; here, that it touched its own bytes alone.
        touched = {(place & ~0xFFF, place & 0xFFF) for place in places}
        for page, content in memory.items():
            for offset in (n for n in range(PAGE_BYTES) if content[n] != now[page][n]):
                assert (page, offset) in touched, story


def whole_memory(world: World, memory: dict[int, bytes], place: int) -> int:
    """Return a byte of the guest's memory, or of the code page, which it may read."""
    page = place & ~0xFFF
    return memory[page][place & 0xFFF] if page in memory else world.host.read(place, 1)[0]


@given(seed=st.integers(0, 1 << 32))
@SETTINGS
def test_every_access_does_what_the_tables_say_and_nothing_else(engine: Any, seed: int) -> None:
    chance = random.Random(seed)
    world = build(engine, chance)
    for _ in range(40):
        attempt(chance, world)


@given(seed=st.integers(0, 1 << 32))
@SETTINGS
def test_program_with_its_own_page_tables_sees_no_canary(engine: Any, seed: int) -> None:
    """Whole programs under the guest's own tables: fetches, jumps, loads and stores of all kinds."""
    chance = random.Random(seed)
    world = build(engine, chance)
    hart = world.hart
    world.host.write(CODE, program(chance, 60))
    before = world.foreign()
    for _ in range(12):
        pc = CODE_GPA if chance.random() < 0.8 else an_address(chance, world, world.gpas) & ~1
        world.enter(chance.choice((PRIV_S, PRIV_U)), 1, pc)
        hart.vsatp = chance.choice((0, world.vsatp))
        likely = world.gvas if hart.vsatp else world.gpas
        hart.hgatp, hart.vsstatus = world.hgatp, chance.choice((0, SUM))
        hart.hedeleg, hart.vstvec = chance.choice((0, 0xB1FF)), chance.choice((CODE_GPA, pc & ~3))
        for number in range(1, 32):
            hart.x[number] = chance.choice((an_address(chance, world, likely), value(chance)))
        hart.x[2], hart.x[3] = (an_address(chance, world, likely) for _ in range(2))
        world.host.run(0, 200)
        assert world.foreign() == before
        assert_no_canary(world)


def assert_no_canary(world: World) -> None:
    """No register, and no byte of the guest's memory, holds a piece of its neighbours'."""
    hart = world.hart
    registers = {*hart.x[:32], hart.vsepc, hart.vstval, hart.vscause, hart.vsstatus}
    whole = CANARY.to_bytes(8, "little")
    for shift in range(8):
        turned = int.from_bytes(whole[shift:] + whole[:shift], "little")
        low, extended = turned % (1 << 32), (turned % (1 << 32) | 0xFFFF_FFFF << 32) % (1 << 64)
        assert not registers & {turned, low, extended}
        for page in world.own:
            assert turned.to_bytes(8, "little") not in world.host.read(page, PAGE_BYTES)


@pytest.mark.parametrize(
    "field_name", ["hgatp", "htval", "hstatus", "hedeleg", "mtvec", "menvcfg", "pmpcfg0"]
)
def test_guest_cannot_read_what_rules_it(engine: Any, field_name: str) -> None:
    world = build(engine, random.Random(1))
    for name in ("csrrs", "csrrw"):
        world.host.write(
            CODE,
            encode(BY_NAME[name], {"rd": A1, "rs1": 0, "csr": CSR_NUMBERS[field_name]}).to_bytes(4, "little"),
        )
        world.enter(PRIV_S, 1, CODE_GPA)
        world.hart.hgatp, world.hart.vsatp, world.hart.x[A1] = world.hgatp, 0, 0x77
        record = hashlib.sha256(ctypes.string_at(ctypes.addressof(world.hart), 33 * 8)).digest()
        assert world.host.run(0, 1) == EXIT_TRAP
        assert world.hart.scause in (2, 22)
        assert hashlib.sha256(ctypes.string_at(ctypes.addressof(world.hart), 33 * 8)).digest() == record


def test_writable_frame_needs_w_in_the_g_stage(engine: Any) -> None:
    """A read-only page is read-only for the guest whatever the guest's own table grants."""
    world = build(engine, random.Random(5))
    nested = Tables(world, frame(40), 8, stage2=True)
    nested.map(CODE_GPA, CODE, PTE_V | PTE_R | PTE_X | PTE_U | 0x40)
    nested.map(0x1000, world.own[0], USER & ~PTE_W)
    world.host.write(CODE, encode(BY_NAME["sd"], {"rs1": A0, "rs2": A2}).to_bytes(4, "little"))
    content = world.host.read(world.own[0], PAGE_BYTES)
    world.enter(PRIV_S, 1, CODE_GPA)
    world.hart.hgatp, world.hart.vsatp, world.hart.x[A0] = nested.register(), 0, 0x1000
    assert world.host.run(0, 1) == EXIT_TRAP
    assert world.host.read(world.own[0], PAGE_BYTES) == content
