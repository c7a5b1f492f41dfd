"""Guests on the board that behave badly: the machine goes on, the guest gets its access fault."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.devices.virt import Board, BoardConfig
from emulator.devices.virtio.balloon import VirtioBalloon
from emulator.devices.virtio.block import VirtioBlock
from emulator.devices.virtio.console import VirtioConsole
from emulator.devices.virtio.entropy import VirtioEntropy
from emulator.devices.virtio.network import Link
from emulator.state import MMIO_ANSWERED, MMIO_REFUSED, RAM_BASE

BASES = [0x1000, 0x10_0000, 0x10_1000, 0x200_0000, 0xC00_0000, 0x1000_0000]
BASES += [0x1000_1000 + slot * 0x1000 for slot in range(6)]
CODE_BYTES = 4096


@pytest.fixture
def board(engine: Any) -> Board:
    """Two harts and one of each device."""
    devices = [
        VirtioConsole(bytearray().extend),
        VirtioBlock(bytes(1024)),
        Link().card(b"\2\0\0\0\0\1"),
        VirtioEntropy(1),
        VirtioBalloon(range(0), lambda pages: None),
    ]
    board = Board(BoardConfig(2, 1 << 20), engine, bytearray().extend, devices)
    board.start(RAM_BASE)
    return board


accesses = st.tuples(
    st.sampled_from(BASES),
    st.one_of(st.integers(0, 0x120), st.integers(0, 0x60_0000)),
    st.sampled_from([1, 2, 4, 8]),
    st.booleans(),
    st.integers(0, (1 << 64) - 1),
)
once = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


@once
@given(script=st.lists(accesses, max_size=30))
def test_the_bus_answers_or_refuses_every_access(
    board: Board, script: list[tuple[int, int, int, bool, int]]
) -> None:
    hart = board.machine.host.harts[1]
    for base, offset, size, write, value in script:
        hart.mmio_address, hart.mmio_size = base + offset, size
        hart.mmio_write, hart.mmio_value = int(write), value
        board.machine.bus.answer(hart)
        assert hart.mmio_state in (MMIO_ANSWERED, MMIO_REFUSED)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(code=st.binary(min_size=64, max_size=CODE_BYTES))
def test_random_bytes_as_code_use_up_their_time(board: Board, code: bytes) -> None:
    machine = board.machine
    machine.stop_code = None
    machine.host.write(RAM_BASE, code.ljust(CODE_BYTES, b"\0"))
    board.start(RAM_BASE)
    for hart in machine.host.harts:
        hart.priv, hart.mtvec = 3, RAM_BASE
    before = machine.host.harts[0].clock
    went_on = board.run(20_000)
    assert not went_on or machine.stop_code is not None or machine.host.harts[0].clock >= before + 20_000
