"""Which interrupt is taken, and where to: every mode, every pair, any delegation, by the standard's rules.

QEMU 7.2 is no oracle here: without Ssaia it takes the interrupts of a level by number, which the standard's
order (3.1.9, 10.1.3, 18.2.3) is not. Where each goes alone is compared with it in `tests/differential`.
"""

import random
from itertools import product
from typing import Any

import pytest

from emulator.core.csr_bits import HS_ONLY_INTERRUPTS, INTERRUPT, MIE, S_INTERRUPTS, SIE, VS_INTERRUPTS
from emulator.state import PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import CODE, M_TRAP, S_TRAP, VS_TRAP, Machine

ORDER = ("MEI", "MSI", "MTI", "SEI", "SSI", "STI", "SGEI", "VSEI", "VSSI", "VSTI")
CODES = {
    "SSI": 1, "VSSI": 2, "MSI": 3, "STI": 5, "VSTI": 6, "MTI": 7, "SEI": 9, "VSEI": 10, "MEI": 11, "SGEI": 12,
}  # fmt: skip
BITS = {name: 1 << code for name, code in CODES.items()}
ALL = sum(BITS.values())
MODES = {(PRIV_M, 0): "M", (PRIV_S, 0): "HS", (PRIV_U, 0): "U", (PRIV_S, 1): "VS", (PRIV_U, 1): "VU"}


def expected(hart: Any, pending: int) -> tuple[str, str] | None:
    """Return the interrupt and the mode that takes it, in the words of 3.1.9 and 18.2.2, or None.

    "An interrupt i will trap to M-mode ... if ... (a) either the current privilege mode is M and the MIE bit
    in the mstatus register is set, or the current privilege mode has less privilege than M-mode; (b) bit i is
    set in both mip and mie; (c) if register mideleg exists, bit i is not set in mideleg."
    """
    mode = MODES[hart.priv, hart.virt]
    enabled = {
        "M": mode != "M" or hart.mstatus & MIE,
        "HS": mode in ("U", "VS", "VU") or (mode == "HS" and hart.mstatus & SIE),
        "VS": mode == "VU" or (mode == "VS" and hart.vsstatus & SIE),
    }
    for target in ("M", "HS", "VS"):
        for name in ORDER:
            bit = BITS[name]
            if pending & hart.mie & bit and enabled[target] and destination(hart, bit) == target:
                return name, target
    return None


def destination(hart: Any, bit: int) -> str:
    """Return the mode that an interrupt is for."""
    if not hart.mideleg & bit:
        return "M"
    return "VS" if hart.hideleg & bit else "HS"


def taken(machine: Machine) -> tuple[str, str] | None:
    """Run one cycle; return what was taken, and by whom."""
    hart = machine.hart
    hart.pc = CODE
    machine.run(1)
    names = {code: name for name, code in CODES.items()}
    if hart.pc == M_TRAP:
        return names[hart.mcause ^ INTERRUPT], "M"
    if hart.pc == S_TRAP:
        return names[hart.scause ^ INTERRUPT], "HS"
    if hart.pc == VS_TRAP:
        return names[(hart.vscause ^ INTERRUPT) + 1], "VS"
    assert hart.pc == CODE + 4
    return None


def check(machine: Machine, mode: tuple[int, int], registers: tuple[int, ...]) -> None:
    """Set up a hart, and compare what it does with what it has to."""
    hart = machine.hart
    hart.priv, hart.virt = mode
    hart.mstatus, hart.vsstatus, pending, hart.mie, mideleg, hideleg = registers
    # "read-only one" and "read-only zero" bits (18.4.2, 18.2.2).
    hart.mideleg = mideleg & S_INTERRUPTS | HS_ONLY_INTERRUPTS
    hart.hideleg = hideleg & VS_INTERRUPTS
    hart.mip, hart.hvip, hart.lines = pending & S_INTERRUPTS, pending & VS_INTERRUPTS, pending & ALL
    hart.lines &= ~(S_INTERRUPTS | VS_INTERRUPTS)
    wanted = expected(hart, pending & ALL)
    state = f"{mode} {[hex(value) for value in registers]}"
    assert taken(machine) == wanted, state


@pytest.fixture
def idle(machine: Machine) -> Machine:
    """A machine whose program does nothing."""
    machine.code("nop\n nop")
    return machine


@pytest.mark.parametrize("mode", MODES)
def test_every_pair_in_every_mode(idle: Machine, mode: tuple[int, int]) -> None:
    names = list(BITS.values())
    enables = [(0, 0), (MIE | SIE, SIE), (SIE, 0), (MIE, SIE)]
    delegations = [(0, 0), (S_INTERRUPTS, 0), (S_INTERRUPTS, VS_INTERRUPTS), (BITS["SSI"], BITS["VSEI"])]
    for first, second in product(names, names):
        for (mstatus, vsstatus), delegated in product(enables, delegations):
            pending = first | second
            check(idle, mode, (mstatus, vsstatus, pending, ALL, *delegated))
            check(idle, mode, (mstatus, vsstatus, ALL, pending, *delegated))


def test_any_state(idle: Machine) -> None:
    chance = random.Random(11)
    for _ in range(3000):
        mode = chance.choice(list(MODES))
        check(idle, mode, tuple(chance.getrandbits(13) for _ in range(6)))


def test_all_at_once_come_in_the_standards_order(idle: Machine) -> None:
    """Each handler clears its own: the order of 3.1.9 for M-mode, then what is always delegated."""
    hart = idle.hart
    hart.priv, hart.virt, hart.mideleg, hart.hideleg = PRIV_U, 1, HS_ONLY_INTERRUPTS, VS_INTERRUPTS
    hart.mie, hart.vsstatus, pending = ALL, SIE, ALL
    seen: list[tuple[str, str]] = []
    while pending:
        hart.mip, hart.hvip = pending & ~VS_INTERRUPTS, pending & VS_INTERRUPTS
        hart.priv, hart.virt = PRIV_U, 1
        found = taken(idle)
        assert found is not None
        seen.append(found)
        pending &= ~BITS[found[0]]
    levels = ["M"] * 6 + ["HS"] + ["VS"] * 3
    assert seen == list(zip(ORDER, levels, strict=True))
