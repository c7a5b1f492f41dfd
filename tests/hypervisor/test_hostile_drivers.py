"""Drivers in a guest that break every rule: the device gives up, the neighbour and the hypervisor go on."""

import struct
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.hypervisor.vm import DiskSettings, VmState
from emulator.machine.bus import BusFault
from emulator.state import RAM_BASE
from tests.hypervisor.bench import Bench

DEVICES = {
    "disk": DiskSettings(64 << 10),
    "network": "lan",
    "console": "virtio",
    "rng": True,
    "balloon": True,
}
WAIT = "1: wfi\n j 1b"
FIRST_SLOT, SLOT_BYTES = 0x1000_1000, 0x1000
WINDOWS = [0x10_0004, 0x10_1000, 0xC00_0000, 0xC00_2000, 0xC20_0000, 0x1000_0000]
WINDOWS += [FIRST_SLOT + slot * SLOT_BYTES for slot in range(8)]
WORDS = st.sampled_from([0, 1, 2, 8, 128, RAM_BASE, (1 << 64) - 1]) | st.integers(0, (1 << 64) - 1)
# Queue numbers, sizes and addresses that are nearly right, and descriptors that are anything.
ADDRESSES = st.sampled_from(
    [RAM_BASE, RAM_BASE + 0x8000, RAM_BASE + 0xFFF8, RAM_BASE - 16, 0, (1 << 64) - 16]
)
DESCRIPTOR = st.tuples(ADDRESSES, st.integers(0, (1 << 32) - 1), st.integers(0, 7), st.integers(0, 9))
once = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def with_neighbour(make_bench: Callable[..., Bench]) -> Bench:
    bench = make_bench()
    bench.vm(WAIT, "a", **DEVICES)
    bench.vm(WAIT, "b", network="lan")
    bench.run(20_000)
    return bench


@once
@given(
    script=st.lists(
        st.tuples(st.sampled_from(WINDOWS), st.integers(0, 0x120), st.sampled_from([1, 2, 4, 8]), WORDS),
        max_size=40,
    )
)
def test_any_access_is_answered_or_refused(
    make_bench: Callable[..., Bench], script: list[tuple[int, int, int, int]]
) -> None:
    bench = with_neighbour(make_bench)
    board = bench.hypervisor.vms["a"].board
    assert board is not None
    for base, offset, size, value in script:
        for write in (True, False):
            try:
                answer = board.access(base + offset, size, write, value)
            except BusFault:
                continue
            assert 0 <= answer < 1 << 8 * size
    bench.run(100_000)
    assert bench.hypervisor.vms["b"].state is VmState.IDLE


@once
@given(
    slot=st.integers(0, 4),
    queue=st.integers(0, 1),
    rings=st.tuples(ADDRESSES, ADDRESSES),
    descriptors=st.lists(DESCRIPTOR, min_size=8, max_size=8),
    head=st.integers(0, 9),
    index=st.integers(0, 0xFFFF),
)
def test_hostile_rings_never_reach_a_neighbour(
    make_bench: Callable[..., Bench],
    slot: int,
    queue: int,
    rings: tuple[int, int],
    descriptors: list[tuple[int, int, int, int]],
    head: int,
    index: int,
) -> None:
    bench = with_neighbour(make_bench)
    hypervisor = bench.hypervisor
    vm, neighbour = hypervisor.vms["a"], hypervisor.vms["b"]
    before = bench.host.digest_frames(neighbour.frames)
    assert vm.board is not None
    table = b"".join(struct.pack("<QIHH", *descriptor) for descriptor in descriptors)
    hypervisor.write_guest(vm, RAM_BASE + 0x8000, table)
    base = FIRST_SLOT + slot * SLOT_BYTES

    def write(register: int, value: int) -> None:
        assert vm.board is not None
        vm.board.access(base + register, 4, True, value)

    for register, value in ((0x70, 0), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11), (0x30, queue), (0x38, 8)):
        write(register, value)
    for register, address in zip((0x80, 0x90, 0xA0), (RAM_BASE + 0x8000, *rings), strict=True):
        write(register, address & 0xFFFF_FFFF)
        write(register + 4, address >> 32)
    if vm.contains(rings[0], 8):
        hypervisor.write_guest(vm, rings[0], struct.pack("<HHHH", 0, index, head, head))
    write(0x44, 1)
    write(0x70, 15)
    write(0x50, queue)
    status = vm.board.access(base + 0x70, 4, False, 0)
    assert status in (15, 15 | 64)
    assert bench.host.digest_frames(neighbour.frames) == before
    bench.run(50_000)
    assert neighbour.state is VmState.IDLE
