"""Comparing our notes of a trial with QEMU's, and where the two may differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.core.csr_bits import MPV
from emulator.isa.disassembler import disassemble
from emulator.state import PAGE_BYTES
from tests.differential.bare_metal import Notes, Trial

# QEMU 7.2 keeps VS, the vector state, and lets SD summarize it, in harts without vectors too; in vsstatus it
# never sets SD. mip.MTIP is a real timer.
VECTOR_STATE = 3 << 9 | 1 << 63
MASKS = {"mstatus": ~VECTOR_STATE, "vsstatus": ~VECTOR_STATE, "mip": ~(1 << 7)}
# mtinst and htinst for implicit accesses of the page-table walk (18.6.3).
PSEUDOINSTRUCTIONS = {0x3000, 0x3020}
# "GVA ... is set to 1 for any trap that writes a guest virtual address to mtval" (18.4.1; of hstatus 18.2.1).
# QEMU 7.2 sets it for every trap with V=1 whose mtval is not zero, an illegal instruction's bits for example,
# and never clears mstatus.GVA.
ADDRESS_CAUSES = {0, 1, 3, 4, 5, 6, 7, 12, 13, 15, 20, 21, 23}
INSTRUCTION = {"mcause": "mtinst", "scause": "htinst"}
TVAL = {"mtval": "mcause", "stval": "scause", "vstval": "vscause"}
GVA = {"mstatus": (1 << 38, "mcause", "mtval"), "hstatus": (1 << 6, "scause", "stval")}


def differing(trial: Trial, ours: Notes, theirs: Notes) -> list[str]:
    """Name what differs, our value first."""
    if order_is_free(trial, ours):
        return []
    return [
        f"  {name}: ours {value:#x}, QEMU {theirs[name]:#x}"
        for name, value in ours.items()
        if not agree(name, ours, theirs, trial.ignore.get(name, 0))
    ]


def order_is_free(trial: Trial, ours: Notes) -> bool:
    """Say whether either half of an access may fault first: we take the lower, QEMU the page fault."""
    crosses = trial.sets.get("a0", 0) & 0xFFF > PAGE_BYTES - 8
    return crosses and bool({ours["mcause"], ours["scause"], ours["vscause"]} & {5, 7})


def agree(name: str, ours: Notes, theirs: Notes, ignored: int) -> bool:
    """Compare one register, but for the known differences."""
    a, b = ours[name], theirs[name]
    if name == "htinst" and ours["scause"] not in (20, 21, 23):
        return True  # QEMU 7.2 cannot clear it
    if name in TVAL and ours[TVAL[name]] in (5, 7):
        ignored |= 7  # of a misaligned access outside RAM, QEMU 7.2 gives the aligned address
    if name in ("mtinst", "htinst") and a not in PSEUDOINSTRUCTIONS and b == 0:
        return True  # "may be zero" for an explicit access (18.6.3)
    if name == "vscause" and a in (2, 6):
        # QEMU 7.2 takes exceptions 2 and 6 for the VS-level interrupts of these numbers and subtracts one.
        return b in (a, a - 1)
    if name in GVA:
        bit, cause, tval = GVA[name]
        # Nor does it know that HLV, HSV and MPRV write a guest's address to mtval with V=0.
        if ours[cause] not in ADDRESS_CAUSES or ours[tval] == 0 or (name == "mstatus" and not a & MPV):
            ignored |= bit
    if name in INSTRUCTION and a in (20, 23) and ours[INSTRUCTION[name]] in PSEUDOINSTRUCTIONS:
        # QEMU 7.2 reports a fault of an implicit access as a load's; it is one of the original access type.
        return b in (a, 21)
    return (a ^ b) & MASKS.get(name, -1) & ~ignored & (1 << 64) - 1 == 0


def describe(trial: Trial, ours: Notes, theirs: Notes) -> str:
    """Show a trial whose notes differ."""
    sets = {name: value for name, value in trial.sets.items() if name not in ("first", "second")}
    words = [trial.sets["first"], *([trial.sets["second"]] if "second" in trial.sets else [])]
    lines = [trial.label, "; ".join(disassemble(word, pc=0) for word in words)]
    lines.append("  set: " + ", ".join(f"{name}={value:#x}" for name, value in sets.items()))
    lines.append("  ours: " + ", ".join(f"{name}={value:#x}" for name, value in ours.items() if value))
    return "\n".join(lines + differing(trial, ours, theirs))


def first_differences(trials: Sequence[Trial], ours: Any, theirs: Any, limit: int = 6) -> list[str]:
    """Describe the first trials whose notes differ."""
    found: list[str] = []
    for number, (trial, a, b) in enumerate(zip(trials, ours, theirs, strict=True)):
        if differing(trial, a, b):
            found.append(f"trial {number}: " + describe(trial, a, b))
            if len(found) == limit:
                break
    return found
