"""A guest reaches its own frames and nothing else, because the MMU says so.

These tests run no hypervisor at all: a G-stage table is written into host RAM, a hart is put into VS-mode
by hand, and the guest tries. There is no Python check in the way that could do the MMU's work.
"""

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.core.csr_bits import (
    INSTRUCTION_GUEST_PAGE,
    LOAD_GUEST_PAGE,
    STORE_GUEST_PAGE,
    VIRTUAL_INSTRUCTION,
)
from emulator.hypervisor.gstage import PTE_R, PTE_W, PTE_X, GStage, frame_address
from emulator.hypervisor.partition import Partition
from emulator.hypervisor.trace import Revision
from emulator.hypervisor.vcpu import prepare_hart
from emulator.isa.assembler import assemble
from emulator.machine.host import Host
from emulator.state import EXIT_BUDGET, EXIT_TRAP, PAGE_BYTES, RAM_BASE

FRAMES = 512
CODE_GPA = RAM_BASE
# Word 0 loads, word 2 stores, word 4 jumps to the address in a0; each is followed by an endless loop.
PROBES = assemble("ld a1, (a0)\n1: j 1b\n sd a2, (a0)\n2: j 2b\n jr a0\n 3: j 3b").segments[0].data
LOAD, STORE, FETCH = 0, 8, 16
CAUSES = {LOAD: LOAD_GUEST_PAGE, STORE: STORE_GUEST_PAGE, FETCH: INSTRUCTION_GUEST_PAGE}
NEEDED = {LOAD: PTE_R, STORE: PTE_W, FETCH: PTE_X}
PERMISSIONS = (PTE_R, PTE_R | PTE_W, PTE_R | PTE_X, PTE_R | PTE_W | PTE_X, PTE_X)

SLOW = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@dataclass
class World:
    """A host full of secrets, and one guest whose pages are scattered among them."""

    host: Host
    pages: dict[int, tuple[int, int]]  # GPA of a page -> (HFN, permissions)
    hgatp: int

    def enter(self, probe: int, address: int) -> int:
        """Let the guest try one access; return the exit code."""
        hart = self.host.harts[0]
        hart.hgatp, hart.virt, hart.priv = self.hgatp, 1, 1
        hart.vsatp = 0
        hart.pc = CODE_GPA + probe
        hart.x[10], hart.x[11], hart.x[12] = address, 0, 0x4141414141414141
        return self.host.run(0, 3)

    def foreign(self) -> str:
        """Return a digest over every frame that the guest does not own, tables included."""
        own = {hfn for hfn, _ in self.pages.values()}
        return self.host.digest_frames(hfn for hfn in range(FRAMES) if hfn not in own)


def build(engine: Any, seed: int) -> World:
    """Lay out a guest by chance.

    Some pages anywhere in the GPA space, with any permissions, and secrets all around.
    """
    chance = random.Random(seed)
    host = Host(1, FRAMES * PAGE_BYTES, 100_000_000, engine)
    prepare_hart(host.harts[0])
    partition = Partition(FRAMES, Revision())
    tables = GStage(host, partition, 0)
    wanted = {CODE_GPA: PTE_R | PTE_X}
    for _ in range(chance.randrange(1, 24)):
        region = chance.choice((RAM_BASE, 0, 1 << 30, 0x1FF << 30, (1 << 41) - (1 << 30)))
        wanted[region + chance.randrange(1 << 18) * PAGE_BYTES] = chance.choice(PERMISSIONS)
    frames = partition.take(len(wanted), 2)
    chance.shuffle(frames)
    pages: dict[int, tuple[int, int]] = {}
    for (gpa, permissions), hfn in zip(wanted.items(), frames, strict=True):
        tables.map(gpa, [hfn], permissions)
        pages[gpa] = (hfn, permissions)
    for hfn in range(FRAMES):
        if hfn not in tables.frames:
            host.write(frame_address(hfn), chance.randbytes(64) * 64)
    host.write(frame_address(pages[CODE_GPA][0]), PROBES)
    return World(host, pages, tables.hgatp(chance.randrange(1 << 14)))


def addresses(world: World) -> st.SearchStrategy[int]:
    """Addresses in the guest's pages, right beside them, in host RAM, and anywhere in 64 bits."""
    pages = sorted(world.pages)
    return st.one_of(
        st.tuples(st.sampled_from(pages), st.integers(-16, PAGE_BYTES + 16)).map(
            lambda pair: sum(pair) % (1 << 64)
        ),
        st.integers(0, FRAMES * PAGE_BYTES + 8).map(lambda offset: RAM_BASE + offset),
        st.integers(0, (1 << 64) - 1),
        st.sampled_from([0, (1 << 41) - 8, 1 << 41, 1 << 56, (1 << 64) - 8, (1 << 64) - 1]),
    )


@given(seed=st.integers(0, 1 << 32), data=st.data())
@SLOW
def test_access_succeeds_exactly_where_the_table_allows_it(
    engine: Any, seed: int, data: st.DataObject
) -> None:
    world = build(engine, seed)
    for _ in range(8):
        probe = data.draw(st.sampled_from([LOAD, STORE, FETCH]))
        address = data.draw(addresses(world)) & (~1 if probe == FETCH else -1)
        before, own = world.foreign(), own_bytes(world)
        code = world.enter(probe, address)
        hart = world.host.harts[0]
        if allowed(world, probe, address):
            assert code == EXIT_BUDGET or probe == FETCH
            if probe == LOAD:
                assert hart.x[11] == expected_word(own, address)
        else:
            assert code == EXIT_TRAP
            assert hart.scause == CAUSES[probe]
            assert hart.x[11] == 0, "a refused load leaves no byte behind"
            assert own_bytes(world) == own, "a refused store leaves no byte behind"
        assert world.foreign() == before


def own_bytes(world: World) -> dict[int, bytes]:
    """Return the guest's memory, page by page."""
    return {gpa: world.host.read_frame(hfn) for gpa, (hfn, _) in world.pages.items()}


def touched(probe: int, address: int) -> list[int]:
    """Return the addresses of the bytes that an access touches; a fetch needs the first two at least."""
    return [(address + offset) % (1 << 64) for offset in range(2 if probe == FETCH else 8)]


def allowed(world: World, probe: int, address: int) -> bool:
    """Say what the table says about an access."""
    flags = (world.pages.get(at & ~(PAGE_BYTES - 1), (0, 0))[1] for at in touched(probe, address))
    return all(permissions & NEEDED[probe] for permissions in flags)


def expected_word(own: dict[int, bytes], address: int) -> int:
    """Return the 8 bytes that the guest should find."""
    found = bytes(own[at & ~(PAGE_BYTES - 1)][at % PAGE_BYTES] for at in touched(LOAD, address))
    return int.from_bytes(found, "little")


@given(
    seed=st.integers(0, 1 << 32),
    instruction=st.sampled_from(
        [
            "hfence.gvma",
            "hlv.d a1, (a0)",
            "hsv.d a2, (a0)",
            "csrw hgatp, zero",
            "csrr a1, hgatp",
            "csrw vsatp, a0",
        ]
    ),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_guest_cannot_use_the_instructions_of_its_hypervisor(
    engine: Any, seed: int, instruction: str
) -> None:
    world = build(engine, seed)
    world.host.write(frame_address(world.pages[CODE_GPA][0]), assemble(instruction).segments[0].data)
    before = world.foreign()
    assert world.enter(0, frame_address(0)) == EXIT_TRAP
    assert world.host.harts[0].scause == VIRTUAL_INSTRUCTION
    assert world.host.harts[0].x[11] == 0
    assert world.foreign() == before


@pytest.mark.parametrize("size", [1, 2, 4])
def test_access_across_the_last_page_is_refused_whole(engine: Any, size: int) -> None:
    world = build(engine, 1)
    gpa = next(
        gpa
        for gpa, (_, flags) in world.pages.items()
        if flags & PTE_W and gpa + PAGE_BYTES not in world.pages
    )
    before = own_bytes(world)
    assert world.enter(STORE, gpa + PAGE_BYTES - size) == EXIT_TRAP
    assert own_bytes(world) == before


def test_random_code_never_escapes(engine: Any) -> None:
    """Whatever the bytes of a guest are, frames of others stay as they are."""
    for seed in range(40):
        world = build(engine, seed)
        chance = random.Random(seed)
        for hfn, _ in world.pages.values():
            world.host.write(frame_address(hfn), chance.randbytes(PAGE_BYTES))
        before = world.foreign()
        hart = world.host.harts[0]
        hart.hedeleg, hart.hideleg, hart.hcounteren = 0xB1FF, 0x444, 7
        for _ in range(20):
            world.enter(
                chance.randrange(0, PAGE_BYTES, 2),
                chance.choice([RAM_BASE, *world.pages, chance.getrandbits(64)]),
            )
            for register in range(1, 32):
                hart.x[register] = chance.choice(
                    [frame_address(chance.randrange(FRAMES)), chance.getrandbits(64)]
                )
            hart.virt, hart.priv = 1, 1
            world.host.run(0, 500)
        assert world.foreign() == before
