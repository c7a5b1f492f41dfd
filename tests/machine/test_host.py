"""Host RAM: frames, backing store, and the records that the kernels work on."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.machine.host import Host, PhysicalAddressError
from emulator.state import ACCESS_LOAD, PAGE_BYTES, RAM_BASE

BYTES = 1 << 20


@pytest.fixture
def host(engine: Any) -> Host:
    return Host(2, BYTES, 100_000_000, engine)


def test_ram_is_zero_and_free_of_charge_at_first(host: Host) -> None:
    assert host.read(RAM_BASE, BYTES) == bytes(BYTES)
    assert host.store_used_bytes == 0
    assert list(host.state_parts())[3:] == []


@given(offset=st.integers(0, BYTES - 1), data=st.binary(max_size=3 * PAGE_BYTES))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read_back_across_frames(host: Host, offset: int, data: bytes) -> None:
    data = data[: BYTES - offset]
    host.write(RAM_BASE + offset, data)
    assert host.read(RAM_BASE + offset, len(data)) == data


@pytest.mark.parametrize(
    ("hpa", "length"),
    [
        (0, 1),
        (RAM_BASE - 1, 2),
        (RAM_BASE + BYTES, 1),
        (RAM_BASE, BYTES + 1),
        (1 << 64, 8),
        ((1 << 64) - 1, 8),
        (RAM_BASE, -1),
    ],
)
def test_address_outside_ram_is_refused(host: Host, hpa: int, length: int) -> None:
    with pytest.raises(PhysicalAddressError, match="is not in RAM"):
        host.read(hpa, length)
    if length > 0:
        with pytest.raises(PhysicalAddressError):
            host.write(hpa, bytes(length))


def test_discarded_frames_are_zero_and_cost_nothing(host: Host) -> None:
    host.write(RAM_BASE, b"secret" * 2000)
    assert host.store_used_bytes == 3 * PAGE_BYTES
    host.discard(range(host.frames))
    assert host.read(RAM_BASE, BYTES) == bytes(BYTES)
    assert host.store_used_bytes == 0


def test_discarded_frames_can_be_written_again_for_ever(host: Host) -> None:
    for _ in range(5):
        host.write(RAM_BASE, b"x" * BYTES)
        host.discard(range(host.frames))
    assert host.store_bytes == 0


def test_discarded_code_is_not_executed_from_a_cache(host: Host) -> None:
    hart = host.harts[0]
    hart.priv, hart.hosted = 3, 0
    host.write(RAM_BASE, bytes.fromhex("1305700093053000"))  # li a0, 7; li a1, 3
    hart.pc = RAM_BASE
    host.run(0, 2)
    host.discard([0])
    host.write(RAM_BASE, bytes.fromhex("1305800093054000"))  # li a0, 8; li a1, 4
    hart.pc = RAM_BASE
    host.run(0, 2)
    assert (hart.x[10], hart.x[11]) == (8, 4)


def test_store_to_a_discarded_frame_never_reaches_who_has_its_memory_now(host: Host) -> None:
    hart = host.harts[0]
    hart.priv, hart.hosted = 3, 0
    host.write(RAM_BASE, bytes.fromhex("2330b500"))  # sd a1, (a0)
    hart.x[10], hart.x[11] = RAM_BASE + 5 * PAGE_BYTES, 0x4141
    for _ in range(2):
        hart.pc = RAM_BASE
        host.run(0, 1)
    assert host.read_frame(5)[:2] == b"AA"
    host.discard([5])
    host.write(RAM_BASE + 6 * PAGE_BYTES, b"mine")
    hart.pc = RAM_BASE
    host.run(0, 1)
    assert host.read_frame(5)[:2] == b"AA"
    assert host.read_frame(6) == b"mine".ljust(PAGE_BYTES, b"\0")


def test_state_does_not_say_how_often_a_frame_was_written(host: Host, engine: Any) -> None:
    other = Host(2, BYTES, 100_000_000, engine)
    host.write(RAM_BASE, b"first")
    host.write(RAM_BASE, b"hello")
    host.write(RAM_BASE + PAGE_BYTES, b"x")
    host.write(RAM_BASE + PAGE_BYTES, b"\0")
    other.write(RAM_BASE, b"hello")
    assert list(host.state_parts()) == list(other.state_parts())


def test_explaining_a_walk_changes_nothing(host: Host) -> None:
    hart = host.harts[0]
    hart.satp = 8 << 60 | (RAM_BASE >> 12)
    before = list(host.state_parts())
    walk = host.translate(hart, 0x1234_5678, ACCESS_LOAD, 1, 0, 0)
    assert walk.count == 1
    assert list(host.state_parts()) == before


def test_digest_depends_on_content_and_order(host: Host) -> None:
    host.write(RAM_BASE, b"a")
    assert host.digest_frames([0, 1]) != host.digest_frames([1, 0])
    assert host.digest_frames([1, 2]) == host.digest_frames([3, 4])
