"""No acknowledged data is lost: disks with caches, injected faults, full pools, losses of power."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.devices.virtio.block import F_FLUSH, SECTOR_BYTES, VirtioBlock
from emulator.devices.virtio.discard import MOST_SECTORS, SEGMENT
from emulator.devices.virtio.disk_faults import DiskFault
from emulator.devices.virtio.disk_limits import DiskLimits, Throttle
from emulator.hypervisor.disks import VolumeMedium
from emulator.hypervisor.storage import CLUSTER_BYTES, Storage
from emulator.machine.host import Host
from tests.devices.virtio.driver import SIZE, Driver

READ, WRITE, FLUSH, DISCARD, ZEROES = 0, 1, 4, 11, 13
SECTORS = 32


class Bench:
    """A driver of one disk, with a clock that goes on to whatever the disk waits for."""

    def __init__(self, host: Host, disk: VirtioBlock) -> None:
        self.now = 0
        self.disk = disk
        disk.now_ns = lambda: self.now
        self.host = host
        self.driver = Driver(host, disk, F_FLUSH)

    def restart(self) -> None:
        """Start the driver anew, as after a loss of power."""
        self.driver = Driver(self.host, self.disk, F_FLUSH)

    def offer(self, kind: int, sector: int, data: bytes = b"", room: int = 0) -> int:
        """Make a request without waiting; return where its answer will be."""
        if self.driver.next_buffer > 0x8000_0000 + (700 << 10):
            self.driver.next_buffer = 0x8001_0000
        head = kind.to_bytes(4, "little") + bytes(4) + sector.to_bytes(8, "little")
        return self.driver.request(0, head + data, room + 1)

    def wait(self) -> None:
        """Let time pass until the disk waits for nothing."""
        while self.disk.deadline_ns is not None:
            self.now = max(self.now, self.disk.deadline_ns)
            self.disk.elapse()

    def ask(self, kind: int, sector: int, data: bytes = b"", room: int = 0) -> tuple[int, bytes]:
        """Make a request and wait; return its status and what was read."""
        target = self.offer(kind, sector, data, room)
        self.wait()
        answer = self.host.read(target, room + 1)
        return answer[-1], answer[:-1]


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, SECTORS - 3), st.integers(1, 3), st.integers(1, 255)),
    st.tuples(st.just("clear"), st.integers(0, SECTORS - 9), st.integers(1, 9), st.sampled_from([11, 13])),
    st.tuples(st.just("flush")),
    st.tuples(
        st.just("fault"),
        st.sampled_from(["write", "flush", "write-back", "any", "read"]),
        st.integers(0, 3),
        st.integers(0, 2_000_000),
    ),
    st.tuples(st.just("power")),
    st.tuples(st.just("full")),
    st.tuples(st.just("room")),
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(STEPS, max_size=30),
    cache=st.sampled_from(["writethrough", "writeback"]),
    iops=st.sampled_from([0, 50]),
    thin=st.booleans(),
)
def test_whatever_happens_acknowledged_data_is_there(
    host: Host, steps: list[tuple[object, ...]], cache: str, iops: int, thin: bool
):
    storage = Storage()
    storage.create_pool("p", SECTORS * SECTOR_BYTES)
    storage.create("v", "p", SECTORS * SECTOR_BYTES)
    medium = VolumeMedium(storage, "v") if thin else None
    disk = VirtioBlock(b"", size=SECTORS * SECTOR_BYTES, medium=medium)
    disk.limits = replace(DiskLimits(), iops=iops, cache=cache)  # pyright: ignore[reportArgumentType]
    bench = Bench(host, disk)
    # What each sector may hold: its last safe content first, then what was written later.
    possible: list[list[int]] = [[0] for _ in range(SECTORS)]
    for step in steps:
        _do(bench, storage, possible, step, cache == "writeback")
        for sector, contents in enumerate(possible):
            found = disk.contents()[sector * SECTOR_BYTES]
            assert found in contents, (step, sector)
    disk.state.faults.clear()
    for sector, contents in enumerate(possible):
        status, data = bench.ask(READ, sector, room=SECTOR_BYTES)
        assert (status, data[0] in contents, len(set(data))) == (0, True, 1)


def _do(
    bench: Bench, storage: Storage, possible: list[list[int]], step: tuple[object, ...], caches: bool
) -> None:
    disk = bench.disk
    match step:
        case ("write", int(sector), int(count), int(value)):
            status, _ = bench.ask(WRITE, sector, bytes([value]) * SECTOR_BYTES * count)
            for number in range(sector, sector + count):
                if status == 0 and not caches:
                    possible[number] = [value]
                elif status == 0:
                    # Seen at once; the loss of power may bring back what was there before it.
                    possible[number].append(value)
                    assert disk.contents()[number * SECTOR_BYTES] == value
                else:
                    possible[number].append(value)  # not acknowledged: either is right
        case ("clear", int(sector), int(count), int(kind)):
            status, _ = bench.ask(kind, 0, SEGMENT.pack(sector, count, 0))
            for number in range(sector, sector + count):
                possible[number] = [0] if status == 0 else [*possible[number], 0]
        case ("flush",):
            status, _ = bench.ask(FLUSH, 0)
            if status == 0:
                for number in range(SECTORS):
                    possible[number] = [disk.contents()[number * SECTOR_BYTES]]
        case ("fault", str(operation), int(skip), int(delay)):
            disk.state.faults.append(DiskFault(operation, skip, 1, delay < 1_000_000, delay))  # pyright: ignore[reportArgumentType]
        case ("power",):
            disk.lose_power()
            bench.restart()
        case ("full",):
            storage.resize_pool("p", max(CLUSTER_BYTES, storage.allocation("p")))
        case _:
            storage.resize_pool("p", SECTORS * SECTOR_BYTES)


def test_what_is_discarded_takes_no_space_and_shows_nothing_of_what_is_below(host: Host):
    storage = Storage()
    storage.create_pool("p", 1 << 20)
    storage.create("golden", "p", 8 * CLUSTER_BYTES)
    storage.write("golden", 0, b"g" * 2 * CLUSTER_BYTES)
    storage.create("v", "p", backing="golden")
    disk = VirtioBlock(b"", medium=VolumeMedium(storage, "v"))
    bench = Bench(host, disk)
    assert bench.ask(WRITE, 8, b"w" * 3 * CLUSTER_BYTES) == (0, b"")
    taken = storage.allocation("p")
    # Clusters 1 (below it there is something), 2 and 3 (nothing), and a part of cluster 0.
    segments = SEGMENT.pack(8, 24, 0) + SEGMENT.pack(3, 2, 0)
    assert bench.ask(DISCARD, 0, segments) == (0, b"")
    assert storage.allocation("p") == taken - 2 * CLUSTER_BYTES + CLUSTER_BYTES
    seen = disk.contents()
    assert seen[CLUSTER_BYTES:] == bytes(7 * CLUSTER_BYTES)
    assert seen[:CLUSTER_BYTES] == b"g" * 1536 + bytes(1024) + b"g" * 1536
    assert storage.read("golden", 0, 2 * CLUSTER_BYTES) == b"g" * 2 * CLUSTER_BYTES


def test_a_disk_with_content_of_its_own_reads_zero_where_it_was_cleared(host: Host):
    disk = VirtioBlock(b"b" * SECTORS * SECTOR_BYTES)
    bench = Bench(host, disk)
    assert bench.ask(ZEROES, 0, SEGMENT.pack(2, 3, 1)) == (0, b"")
    assert disk.contents() == b"b" * 1024 + bytes(1536) + b"b" * (SECTORS - 5) * SECTOR_BYTES


@pytest.mark.parametrize(
    ("kind", "data", "status"),
    [
        (DISCARD, SEGMENT.pack(0, 1, 1), 2),  # no unmap flag for discard
        (ZEROES, SEGMENT.pack(0, 1, 2), 2),
        (DISCARD, SEGMENT.pack(SECTORS, 1, 0), 1),
        (DISCARD, SEGMENT.pack(2**64 - 1, 1, 0), 1),
        (ZEROES, SEGMENT.pack(0, MOST_SECTORS + 1, 0), 1),
        (DISCARD, b"", 1),
        (DISCARD, SEGMENT.pack(0, 1, 0) + b"x", 1),
        (DISCARD, SEGMENT.pack(0, 1, 0) * 5, 1),
    ],
)
def test_what_cannot_be_cleared_is_refused(host: Host, kind: int, data: bytes, status: int):
    disk = VirtioBlock(b"b" * SECTORS * SECTOR_BYTES)
    assert Bench(host, disk).ask(kind, 0, data)[0] == status
    assert disk.contents() == b"b" * SECTORS * SECTOR_BYTES
    read_only = VirtioBlock(b"b" * SECTORS * SECTOR_BYTES, read_only=True)
    assert Bench(host, read_only).ask(DISCARD, 0, SEGMENT.pack(0, 1, 0))[0] == 1


def test_requests_wait_their_turn_and_are_answered_in_order(host: Host):
    disk = VirtioBlock(bytes(SECTORS * SECTOR_BYTES))
    disk.limits = DiskLimits(latency_ns=1_000)
    bench = Bench(host, disk)
    for number in range(2):
        bench.offer(WRITE, number, bytes(SECTOR_BYTES))
    bench.now = 400
    bench.driver.describe(0, 4, bench.driver.next_buffer, 16, 1, 5)
    assert bench.driver.used(0) == []
    assert disk.state.arrivals == [0, 0]
    assert disk.deadline_ns == 1_000
    bench.now = 999
    disk.elapse()
    assert bench.driver.used(0) == []
    bench.wait()
    assert len(bench.driver.used(0)) == 2
    counters = disk.state.counters
    assert (counters.latency_ns, counters.latency_max_ns, counters.depth_max) == (2_000, 1_000, 2)


def test_a_driver_that_breaks_its_queue_while_a_request_waits_is_not_waited_for(host: Host):
    disk = VirtioBlock(bytes(SECTORS * SECTOR_BYTES))
    disk.limits = DiskLimits(latency_ns=1_000)
    bench = Bench(host, disk)
    bench.offer(WRITE, 0, bytes(SECTOR_BYTES))
    host.write(bench.driver.rings(0)[1] + 2, b"\xff\x7f")  # the index runs ahead
    bench.now = 1_000
    disk.elapse()
    assert bench.driver.needs_reset
    assert disk.deadline_ns is None


@pytest.mark.parametrize(("iops", "bandwidth", "seconds"), [(100, 0, 10), (0, 51_200, 10), (200, 51_200, 10)])
def test_rates_hold_to_the_request_over_seconds(iops: int, bandwidth: int, seconds: int):
    throttle, limits = Throttle(), DiskLimits(iops=iops, bandwidth=bandwidth)
    now = done = 0
    while (now := throttle.admit(limits, now, 512)) <= seconds * 1_000_000_000:
        done += 1
    assert done == 100 * seconds + 11  # a full bucket of a tenth of a second at the beginning, and both ends


def test_depth_is_bounded_by_the_queue(host: Host):
    disk = VirtioBlock(bytes(SECTORS * SECTOR_BYTES))
    disk.limits = DiskLimits(latency_ns=1)
    bench = Bench(host, disk)
    host.write(bench.driver.rings(0)[1] + 2, SIZE.to_bytes(2, "little"))
    bench.driver.write(0x50, 0)
    assert len(disk.state.arrivals) <= SIZE
