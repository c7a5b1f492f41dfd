"""Smstateen and Ssstateen: which registers lower levels may reach, and what the enables keep."""

from itertools import product

import pytest

from emulator.core.csr_bits import ILLEGAL_INSTRUCTION, STATEEN_ENVCFG, STATEEN_SE, VIRTUAL_INSTRUCTION
from emulator.isa.extensions import extension_bit
from emulator.state import PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import Machine

MODES = {"M": (PRIV_M, 0), "S": (PRIV_S, 0), "U": (PRIV_U, 0), "VS": (PRIV_S, 1), "VU": (PRIV_U, 1)}
ONES = (1 << 64) - 1
# What guards each register: which state-enable register, its bit, and whether a guest may ever reach it.
GUARDED = {
    "senvcfg": (0, STATEEN_ENVCFG, True),
    "henvcfg": (0, STATEEN_ENVCFG, False),
    **{f"sstateen{n}": (n, STATEEN_SE, True) for n in range(4)},
    **{f"hstateen{n}": (n, STATEEN_SE, False) for n in range(4)},
}


def outcome(machine: Machine, mode: str, line: str) -> int | None:
    """Execute a line in a mode; return the cause of its trap, or None."""
    hart = machine.enter(*MODES[mode])
    hart.mcause = 99
    machine.step(line)
    return None if hart.mcause == 99 else hart.mcause


def expected(mode: str, register: str, by_machine: bool, by_host: bool) -> int | None:
    """What the standard says of an access."""
    guests = GUARDED[register][2]
    if mode == "M":
        return None
    if mode == "U" or not by_machine:
        return ILLEGAL_INSTRUCTION
    if mode == "VU" or (mode == "VS" and (not guests or not by_host)):
        return VIRTUAL_INSTRUCTION
    return None


@pytest.mark.parametrize("register", GUARDED)
@pytest.mark.parametrize("mode", MODES)
def test_register_is_reached_where_every_level_above_allows_it(
    machine: Machine, register: str, mode: str
) -> None:
    number, bit, _ = GUARDED[register]
    hart = machine.hart
    for by_machine, by_host in product((False, True), repeat=2):
        for registers, on in ((hart.mstateen, by_machine), (hart.hstateen, by_host)):
            registers[:] = [ONES] * 4
            registers[number] = bit if on else ONES & ~bit
        for line in (f"csrr a0, {register}", f"csrw {register}, x0"):
            saved = list(hart.hstateen)
            assert outcome(machine, mode, line) == expected(mode, register, by_machine, by_host)
            hart.hstateen[:] = saved


def keeps(machine: Machine, register: str, value: int) -> int:
    """Write a register in M-mode and read it back."""
    machine.hart.x[11] = value
    machine.enter(PRIV_M)
    machine.step(f"csrw {register}, a1\n csrr a0, {register}", steps=2)
    return machine.hart.x[10]


def test_enables_keep_the_bits_of_what_exists(machine: Machine) -> None:
    for number in range(4):
        bits = STATEEN_SE | (STATEEN_ENVCFG if number == 0 else 0)
        assert keeps(machine, f"mstateen{number}", ONES) == bits
        assert keeps(machine, f"hstateen{number}", ONES) == bits
        assert keeps(machine, f"sstateen{number}", ONES) == 0
        assert keeps(machine, f"mstateen{number}", 0) == 0
        assert keeps(machine, f"hstateen{number}", ONES) == 0, "zero where mstateen's is"


def test_hstateen_shows_zero_while_mstateen_is(machine: Machine) -> None:
    assert keeps(machine, "hstateen0", ONES) == STATEEN_SE | STATEEN_ENVCFG
    keeps(machine, "mstateen0", STATEEN_SE)
    machine.step("csrr a0, hstateen0")
    assert machine.hart.x[10] == STATEEN_SE


def test_nothing_is_guarded_without_the_extensions(machine: Machine) -> None:
    hart = machine.hart
    hart.extensions &= ~(extension_bit("smstateen") | extension_bit("ssstateen"))
    hart.mstateen[:] = hart.hstateen[:] = [0] * 4
    assert outcome(machine, "S", "csrr a0, henvcfg") is None
    assert outcome(machine, "VS", "csrr a0, senvcfg") is None
    for register in ("mstateen0", "hstateen1", "sstateen3"):
        assert outcome(machine, "M", f"csrr a0, {register}") == ILLEGAL_INSTRUCTION


def test_ssstateen_alone_lets_the_host_guard(machine: Machine) -> None:
    hart = machine.hart
    hart.extensions &= ~extension_bit("smstateen")
    hart.mstateen[:] = [0] * 4
    assert outcome(machine, "M", "csrr a0, mstateen0") == ILLEGAL_INSTRUCTION
    assert outcome(machine, "VS", "csrr a0, senvcfg") is None
    hart.hstateen[0] = 0
    assert outcome(machine, "VS", "csrr a0, senvcfg") == VIRTUAL_INSTRUCTION
    assert outcome(machine, "S", "csrr a0, senvcfg") is None
