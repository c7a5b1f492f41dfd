"""Drivers that break the rules: the device asks for a reset, and nothing else happens."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.devices.virtio.balloon import VirtioBalloon
from emulator.devices.virtio.block import VirtioBlock
from emulator.devices.virtio.console import VirtioConsole
from emulator.devices.virtio.entropy import VirtioEntropy
from emulator.devices.virtio.mmio import VirtioDevice
from emulator.devices.virtio.network import VirtioNetwork
from emulator.machine.bus import BusFault
from emulator.machine.host import Host
from emulator.state import RAM_BASE
from tests.devices.virtio.driver import BUFFERS, RINGS, SIZE, Driver

HUGE = (1 << 64) - 1
FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
MAKERS: list[Callable[[], VirtioDevice]] = [
    lambda: VirtioConsole(bytearray().extend),
    lambda: VirtioBlock(bytes(4096)),
    lambda: VirtioNetwork(b"\2\0\0\0\0\1", lambda frame: None),
    lambda: VirtioEntropy(3),
    lambda: VirtioBalloon(range(1000), lambda pages: None),
]


@pytest.fixture
def driver(host: Host) -> Driver:
    """A driver of a disk, about to break a rule."""
    return Driver(host, VirtioBlock(bytes(4096)))


def test_a_loop_of_descriptors_ends(driver: Driver) -> None:
    driver.describe(0, 0, BUFFERS, 16, 1, 1)
    driver.describe(0, 1, BUFFERS, 16, 1, 0)
    driver.offer(0, 0)
    assert driver.needs_reset
    assert "does not end" in driver.mmio.broken
    assert driver.read(0x60) == 2


@pytest.mark.parametrize(
    ("address", "length"),
    [
        (0, 16),
        (RAM_BASE - 8, 16),
        (RAM_BASE + (1 << 20) - 8, 16),
        (HUGE, 16),
        (HUGE - 15, 16),
        (RAM_BASE, 0xFFFF_FFFF),
    ],
)
def test_a_buffer_outside_ram_is_refused(driver: Driver, address: int, length: int) -> None:
    driver.describe(0, 0, address, length, 0, 0)
    driver.offer(0, 0)
    assert driver.needs_reset
    assert driver.used(0) == []


@pytest.mark.parametrize("head", [SIZE, 0xFFFF])
def test_a_descriptor_beyond_the_queue_is_refused(driver: Driver, head: int) -> None:
    driver.offer(0, head)
    assert driver.needs_reset


def test_an_index_that_runs_ahead_is_refused(driver: Driver) -> None:
    driver.host.write(driver.rings(0)[1] + 2, struct.pack("<H", SIZE + 1))
    driver.write(0x50, 0)
    assert "ahead" in driver.mmio.broken


def test_a_chain_of_more_bytes_than_any_device_takes_is_refused(driver: Driver) -> None:
    for index in range(SIZE):
        driver.describe(0, index, RAM_BASE, 1 << 20, 1 if index < SIZE - 1 else 0, index + 1)
    driver.offer(0, 0)
    assert "more than" in driver.mmio.broken


def test_a_request_without_a_place_for_its_status_is_refused(driver: Driver) -> None:
    driver.request(0, struct.pack("<IIQ", 0, 0, 0), 0)
    assert driver.needs_reset


def test_readable_after_writable_is_refused(driver: Driver) -> None:
    driver.describe(0, 0, BUFFERS, 16, 3, 1)
    driver.describe(0, 1, BUFFERS, 16, 0, 0)
    driver.offer(0, 0)
    assert driver.needs_reset


@pytest.mark.parametrize("size", [0, 3, 256, 0xFFFF_FFFF])
def test_an_impossible_queue_size_is_refused(driver: Driver, size: int) -> None:
    driver.write(0x44, 0)
    driver.write(0x38, size)
    driver.write(0x44, 1)
    driver.write(0x50, 0)
    assert driver.needs_reset


def test_a_ring_outside_ram_is_refused(driver: Driver) -> None:
    driver.write(0x44, 0)
    driver.write(0x94, 0xFFFF_FFFF)
    driver.write(0x44, 1)
    driver.write(0x50, 0)
    assert driver.needs_reset


def test_a_reset_makes_the_device_work_again(driver: Driver) -> None:
    driver.offer(0, SIZE)
    assert driver.needs_reset
    fresh = Driver(driver.host, VirtioBlock(bytes(4096)))
    driver.host.write(RINGS, bytes(0x3000))
    driver.available = [0]
    driver.start(0)
    assert not driver.needs_reset
    target = driver.request(0, struct.pack("<IIQ", 0, 0, 0), 513)
    assert driver.used(0) == [(0, 513)]
    assert driver.host.read(target + 512, 1) == b"\0"
    assert not fresh.needs_reset


def test_nothing_is_served_until_the_driver_is_ready(driver: Driver) -> None:
    driver.write(0x70, 0)
    driver.write(0x50, 0)
    assert not driver.needs_reset


accesses = st.tuples(
    st.booleans(),
    st.sampled_from([1, 2, 4, 8]),
    st.one_of(st.integers(0, 0x120), st.sampled_from([0x30, 0x38, 0x44, 0x50, 0x70, 0x80, 0x90, 0xA0])),
    st.one_of(st.integers(0, 16), st.integers(0, HUGE), st.just(RAM_BASE)),
)


@FUZZ
@given(maker=st.sampled_from(MAKERS), script=st.lists(accesses, max_size=40))
def test_registers_take_any_access(
    host: Host, maker: Callable[[], VirtioDevice], script: list[tuple[bool, int, int, int]]
) -> None:
    driver = Driver(host, maker())
    for write, size, offset, value in script:
        try:
            if write:
                driver.mmio.write(offset, size, value & (1 << 8 * size) - 1)
            else:
                assert driver.mmio.read(offset, size) < 1 << 64
        except BusFault:
            continue


addresses = st.one_of(
    st.integers(BUFFERS, BUFFERS + 0x2000), st.integers(RINGS, RINGS + 0x1000), st.integers(0, HUGE)
)
lengths = st.one_of(st.integers(0, 2048), st.integers(0, 0xFFFF_FFFF))
descriptors = st.tuples(addresses, lengths, st.integers(0, 7), st.integers(0, SIZE))


@FUZZ
@given(
    maker=st.sampled_from(MAKERS),
    table=st.lists(descriptors, min_size=SIZE, max_size=SIZE),
    heads=st.lists(st.integers(0, SIZE), max_size=12),
    content=st.binary(max_size=64),
)
def test_rings_may_hold_anything(
    host: Host,
    maker: Callable[[], VirtioDevice],
    table: list[tuple[int, int, int, int]],
    heads: list[int],
    content: bytes,
) -> None:
    driver = Driver(host, maker())
    host.write(BUFFERS, content)
    for queue in range(len(driver.available)):
        for index, descriptor in enumerate(table):
            driver.describe(queue, index, *descriptor)
        for head in heads:
            driver.offer(queue, head)
    assert driver.needs_reset == bool(driver.mmio.broken)
