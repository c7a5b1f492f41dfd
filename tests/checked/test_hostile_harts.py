"""Hostile software on a bare hart and in the walker: whatever it does, the kernels keep to their memory."""

import ctypes
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.build.engine import load_engine
from emulator.machine.host import Host
from emulator.state import (
    EXIT_MMIO,
    EXIT_WFI,
    HART,
    MMIO_ANSWERED,
    MMIO_REFUSED,
    NO_ADDRESS,
    PAGE_BYTES,
    RAM_BASE,
    WALK,
    WALK_REFERENCES,
)
from tests.core.hostile import END, FRAMES, LAST, address, enter, fill

HARTS = 2
LONGEST_WALK = 34
SEEDS = st.integers(0, (1 << 64) - 1)
fuzz = settings(max_examples=2 * settings().max_examples)


def new_host() -> Host:
    return Host(HARTS, FRAMES * PAGE_BYTES, 100_000_000, load_engine(checked=True))


def check_store(host: Host) -> None:
    """Every frame has a slot, every slot knows by how many frames it is had, no slot is both free and had."""
    slots: list[int] = list(host._frame_slot[: host.frames])
    references: list[int] = list(host.slot_references)
    count: int = host.record.free_count
    free: list[int] = list((ctypes.c_uint32 * count).from_address(host.record.free_slots))
    numbers = range(1, len(references))  # of slot 0, which is never given back, nobody counts the frames
    assert [slots.count(slot) for slot in numbers] == references[1:]
    assert sorted([*free, *(slot for slot in numbers if references[slot])]) == list(numbers)


def go_on(host: Host, index: int, budget: int, answer: int) -> None:
    """Run a hart and do for it what the outside would."""
    hart: Any = host.harts[index]
    reason = host.run(index, budget)
    if reason == EXIT_MMIO:
        hart.mmio_value = answer
        hart.mmio_state = MMIO_REFUSED if answer & 1 else MMIO_ANSWERED
    elif reason == EXIT_WFI:
        hart.lines |= 0x80
        hart.mie |= 0x80


@fuzz
@given(seed=SEEDS)
def test_hostile_code_stays_inside(seed: int) -> None:
    chance = random.Random(seed)
    host = new_host()
    fill(chance, host)
    for hart in host.harts:
        enter(chance, hart)
    for _ in range(4):
        for index in range(HARTS):
            go_on(host, index, 60, address(chance))
        # A device writes, or the hypervisor takes a page away.
        place = min(max(address(chance), RAM_BASE), END - 8)
        host.write(place, chance.randbytes(8))
        if chance.random() < 0.5:
            host.discard([(place - RAM_BASE) // PAGE_BYTES])
    check_store(host)


@fuzz
@given(code=st.binary(min_size=2, max_size=256), mode=st.sampled_from([0, 1, 3]), seed=SEEDS)
def test_random_bytes_as_code_stay_inside(code: bytes, mode: int, seed: int) -> None:
    chance = random.Random(seed)
    host = new_host()
    host.write(LAST, (code * (PAGE_BYTES // len(code) + 1))[:PAGE_BYTES])
    hart: Any = host.harts[0]
    hart.priv, hart.mtvec, hart.pc = mode, LAST + 0xF00, LAST
    hart.mstatus = 3 << 13
    for number in range(1, 32):
        hart.x[number] = address(chance)
    for _ in range(4):
        go_on(host, 0, 100, address(chance))
    check_store(host)


@fuzz
@given(seed=SEEDS)
def test_walks_of_any_tables_end_inside(seed: int) -> None:
    chance = random.Random(seed)
    host = new_host()
    hart: Any = host.harts[0]
    fill(chance, host)
    enter(chance, hart)
    hart.pmp_entries = 0
    before, contents = bytes(hart)[: HART.state_bytes], host.digest_frames(range(FRAMES))
    walk: Any = WALK.struct()
    for number in range(48):
        priv, virt, access = number & 1, number >> 1 & 1, number % 3
        place = address(chance)
        hpa = host.engine.translate(hart, host.record, walk, place, access, priv, virt, number >> 2 & 1)
        assert (walk.cause == NO_ADDRESS) == (hpa != NO_ADDRESS)
        assert walk.count <= LONGEST_WALK
        for reference in range(min(walk.count, WALK_REFERENCES)):
            assert RAM_BASE <= walk.address[reference] <= END - 8
    assert bytes(hart)[: HART.state_bytes] == before
    assert host.digest_frames(range(FRAMES)) == contents
