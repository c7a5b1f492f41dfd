"""Registers, CSRs and causes: their numbers, and what the numbers say."""

import pytest

from emulator.isa.causes import EXCEPTIONS, INTERRUPT_BIT, INTERRUPTS, describe
from emulator.isa.csrs import CSR_NAMES, CSR_NUMBERS, csr_name, is_read_only, lowest_privilege
from emulator.isa.registers import FLOAT_REGISTER_NUMBERS, FLOAT_REGISTERS, REGISTER_NUMBERS, REGISTERS


@pytest.mark.parametrize(
    ("name", "number"), [("zero", 0), ("ra", 1), ("sp", 2), ("fp", 8), ("s1", 9), ("a0", 10)]
)
def test_registers_have_the_numbers_of_the_abi(name: str, number: int) -> None:
    assert REGISTER_NUMBERS[name] == number


def test_every_register_has_two_names() -> None:
    assert [REGISTER_NUMBERS[name] for name in REGISTERS] == list(range(32))
    assert [FLOAT_REGISTER_NUMBERS[name] for name in FLOAT_REGISTERS] == list(range(32))
    assert all(REGISTER_NUMBERS[f"x{number}"] == number for number in range(32))


@pytest.mark.parametrize(
    ("name", "privilege", "read_only"),
    [
        ("cycle", "U", True),
        ("sstatus", "S", False),
        ("hgatp", "HS", False),
        ("hgeip", "HS", True),
        ("vsatp", "HS", False),
        ("mstatus", "M", False),
        ("mhartid", "M", True),
    ],
)
def test_a_csr_number_says_who_may_use_it(name: str, privilege: str, read_only: bool) -> None:
    assert lowest_privilege(CSR_NUMBERS[name]) == privilege
    assert is_read_only(CSR_NUMBERS[name]) is read_only


def test_csr_numbers_are_unique_and_unknown_ones_are_shown_in_hexadecimal() -> None:
    assert len(CSR_NAMES) == len(CSR_NUMBERS)
    assert csr_name(0x680) == "hgatp"
    assert csr_name(0x8FF) == "0x8ff"


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        (2, "illegal instruction"),
        (10, "environment call from VS-mode"),
        (21, "load guest-page fault"),
        (22, "virtual instruction"),
        (INTERRUPT_BIT | 6, "virtual supervisor timer interrupt"),
        (INTERRUPT_BIT | 63, "reserved interrupt 63"),
        (14, "reserved exception 14"),
    ],
)
def test_a_cause_has_the_name_of_the_specification(cause: int, name: str) -> None:
    assert describe(cause).name == name


def test_every_cause_is_explained_in_a_sentence() -> None:
    for code, cause in [*EXCEPTIONS.items(), *INTERRUPTS.items()]:
        assert cause.code == code
        assert cause.explanation[0].isupper()
        assert cause.explanation.endswith(".")
