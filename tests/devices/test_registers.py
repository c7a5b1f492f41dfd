"""Registers of the board's small devices, and what random accesses to them do: nothing bad."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.devices.aclint import Aclint
from emulator.devices.finisher import Finisher
from emulator.devices.plic import Plic
from emulator.devices.rtc import Rtc
from emulator.devices.uart import Uart
from emulator.machine.bus import BusFault, Device

MEI, SEI, MSI = 1 << 11, 1 << 9, 1 << 3
Lines = dict[tuple[int, int], bool]


@pytest.fixture
def lines() -> Lines:
    """Interrupt lines by (hart, bit)."""
    return {}


def wire(lines: Lines) -> Callable[[int, int, bool], None]:
    def set_line(hart: int, bit: int, level: bool) -> None:
        lines[hart, bit] = level

    return set_line


@pytest.fixture
def plic(lines: Lines) -> Plic:
    """A controller of two harts with source 5 at priority 3, enabled for hart 0 in M-mode."""
    plic = Plic(2, wire(lines))
    plic.write(4 * 5, 4, 3)
    plic.write(0x2000, 4, 1 << 5)
    return plic


def test_plic_claims_once_until_completed(plic: Plic, lines: Lines) -> None:
    plic.set_level(5, True)
    assert lines[0, MEI]
    assert not lines[0, SEI]
    assert [plic.read(0x20_0004, 4), plic.read(0x20_0004, 4)] == [5, 0]
    assert not lines[0, MEI]
    plic.write(0x20_0004, 4, 5)
    assert lines[0, MEI]
    plic.read(0x20_0004, 4)
    plic.set_level(5, False)
    plic.write(0x20_0004, 4, 5)
    assert not lines[0, MEI]


def test_plic_threshold_masks_and_priority_decides(plic: Plic, lines: Lines) -> None:
    plic.write(4 * 9, 4, 3)
    plic.write(4 * 2, 4, 4)
    plic.write(0x2000, 4, 1 << 5 | 1 << 9 | 1 << 2)
    for source in (9, 5, 2):
        plic.set_level(source, True)
    plic.write(0x20_0000, 4, 4)
    assert not lines[0, MEI]
    plic.write(0x20_0000, 4, 3)
    assert lines[0, MEI]
    assert [plic.read(0x20_0004, 4) for _ in range(4)] == [2, 5, 9, 0]


def test_plic_contexts_are_machine_then_supervisor_of_each_hart(plic: Plic, lines: Lines) -> None:
    plic.write(0x2000 + 3 * 0x80, 4, 1 << 5)
    plic.set_level(5, True)
    assert lines[1, SEI]
    assert not lines[1, MEI]
    assert plic.read(0x1000, 4) == 1 << 5
    assert plic.read(0x20_3004, 4) == 5


def test_plic_ignores_a_completion_of_a_source_that_is_not_enabled(plic: Plic, lines: Lines) -> None:
    plic.set_level(5, True)
    plic.read(0x20_0004, 4)
    plic.write(0x20_1004, 4, 5)
    assert not lines[0, MEI]


def test_aclint_registers(lines: Lines) -> None:
    aclint = Aclint([0, 0], lambda: 0x1_2345_6789, wire(lines))
    aclint.write(4, 4, 0xFFFF_FFFF)
    assert lines == {(1, MSI): True}
    assert aclint.read(4, 4) == 1
    aclint.write(0x4008, 8, 1 << 40 | 7)
    aclint.write(0x400C, 4, 2)
    assert aclint.read(0x4008, 8) == 2 << 32 | 7
    assert aclint.read(0xBFF8, 8) == 0x1_2345_6789
    assert aclint.read(0xBFFC, 4) == 1
    with pytest.raises(BusFault):
        aclint.read(0x4010, 8)


@pytest.fixture
def sent() -> bytearray:
    """What the UART sends."""
    return bytearray()


@pytest.fixture
def levels() -> list[bool]:
    """The history of an interrupt line."""
    return []


@pytest.fixture
def uart(sent: bytearray, levels: list[bool]) -> Uart:
    """A serial port."""
    return Uart(sent.extend, levels.append)


def test_uart_sends_and_receives(uart: Uart, sent: bytearray, levels: list[bool]) -> None:
    assert uart.read(5, 1) == 0x60
    uart.write(0, 1, ord("x"))
    uart.write(1, 1, 1)
    uart.receive(b"ab")
    assert (uart.read(5, 1), levels[-1]) == (0x61, True)
    assert uart.read(2, 1) & 0xF == 4
    assert [uart.read(0, 1) for _ in range(3)] == [ord("a"), ord("b"), 0]
    assert (bytes(sent), levels[-1]) == (b"x", False)


def test_uart_transmitter_interrupt_is_cleared_by_reading_its_cause(uart: Uart, levels: list[bool]) -> None:
    uart.write(1, 1, 2)
    assert levels[-1]
    assert uart.read(2, 1) & 0xF == 2
    assert uart.read(2, 1) & 0xF == 1
    assert not levels[-1]


def test_uart_divisor_and_loop_back(uart: Uart, sent: bytearray) -> None:
    uart.write(3, 1, 0x83)
    uart.write(0, 1, 0x34)
    uart.write(1, 1, 0x12)
    assert (uart.read(0, 1), uart.read(1, 1), sent) == (0x34, 0x12, b"")
    uart.write(3, 1, 3)
    uart.write(4, 1, 0x1A)
    assert uart.read(6, 1) & 0xF0 == 0x90
    uart.write(0, 1, 7)
    assert (uart.read(0, 1), sent) == (7, b"")


def test_uart_input_is_bounded(uart: Uart) -> None:
    assert uart.receive(bytes(100_000)) == 65_536


def test_finisher_passes_fails_and_resets() -> None:
    said: list[int | str] = []
    finisher = Finisher(said.append, lambda: said.append("reset"))
    for word in (0x5555, 0x2A_3333, 0x7777, 0x1234):
        finisher.write(0, 4, word)
    assert said == [0, 0x2A, "reset"]


def test_rtc_shows_virtual_time_and_rings(levels: list[bool]) -> None:
    now = [5 << 32]
    rtc = Rtc(1 << 33, lambda: now[0], levels.append)
    assert (rtc.read(0, 4), rtc.read(4, 4)) == (0, 7)
    assert rtc.deadline_ns() is None
    rtc.write(0x10, 4, 1)
    rtc.write(0xC, 4, 7)
    rtc.write(8, 4, 1000)
    assert rtc.deadline_ns() == (5 << 32) + 1000
    rtc.elapse((5 << 32) + 1000)
    assert (rtc.deadline_ns(), levels[-1]) == (None, True)
    rtc.write(0x1C, 4, 1)
    assert not levels[-1]


def test_rtc_can_be_set(levels: list[bool]) -> None:
    rtc = Rtc(0, lambda: 10, levels.append)
    rtc.write(4, 4, 3)
    rtc.write(0, 4, 99)
    assert (rtc.read(0, 4), rtc.read(4, 4)) == (99, 3)


def devices() -> list[Device]:
    made: list[Device] = [
        Aclint([0, 0], lambda: 12345, wire({})),
        Plic(2, wire({})),
        Uart(bytearray().extend, [].append),
        Finisher([].append, lambda: None),
        Rtc(0, lambda: 1, [].append),
    ]
    return made


@settings(max_examples=300)
@given(data=st.data(), index=st.integers(0, 4))
def test_any_sequence_of_accesses_is_answered_or_refused(data: st.DataObject, index: int) -> None:
    device = devices()[index]
    for _ in range(data.draw(st.integers(1, 20))):
        size = data.draw(st.sampled_from([1, 2, 4, 8]))
        offset = data.draw(st.integers(0, device.size - size))
        try:
            device.write(offset, size, data.draw(st.integers(0, (1 << 8 * size) - 1)))
            assert device.read(offset, size) >= 0
        except BusFault:
            continue
