"""Which mode may do what to which of the 4096 CSRs, and what it then holds: the whole matrix, beside QEMU.

Smstateen, Zicbom and the like, which QEMU 7.2 lacks, are tested by themselves (`tests/core`).
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from emulator.core.csr_bits import FS
from emulator.isa.csrs import csr_name, is_read_only
from tests.differential.comparison import VECTOR_STATE
from tests.differential.csr_matrix import (
    CSRS,
    ILLEGAL,
    MODES,
    OK,
    OPERATIONS,
    SETTINGS,
    STCE,
    VIRTUAL,
    Note,
    Setting,
    our_matrix,
    qemu_matrix,
)

# Values that need not agree: which chip this is, and what counts by itself.
OWN = {"marchid", "mimpid", "mcycle", "minstret", "cycle", "time", "instret"}
# UXL and VS of the status registers, which have one value here.
FIXED = 3 << 32 | 3 << 9
# Bits that need not agree.
BITS = {
    # QEMU 7.2 changes UXL and VS, which are fixed here, and does not compute SD in vsstatus (3.1.6.3,
    # 3.1.6.6).
    "mstatus": FIXED | VECTOR_STATE,
    "sstatus": FIXED | VECTOR_STATE,
    "vsstatus": FIXED | VECTOR_STATE,
    "misa": 1 << 1,  # B was ratified after QEMU 7.2
    "htinst": OK,  # QEMU 7.2 does not write it (18.2.9)
    # No trigger here: one of type 0 and nothing else; QEMU 7.2 has two (Debug Specification, 5.7).
    "tdata1": OK, "tdata2": OK, "tdata3": OK, "tinfo": OK,
}  # fmt: skip


def different_cause(mode: str, number: int, setting: Setting, ours: int, theirs: int) -> bool:
    """Tell whether the two disagree about who may do this, but for QEMU's known mistakes."""
    if ours == theirs:
        return False
    supervisor = number >> 8 == 1
    if mode == "VU" and supervisor and (ours, theirs) == (VIRTUAL, ILLEGAL):
        # "in VU-mode, attempts to access ... supervisor CSRs" are virtual instructions where HS-mode may
        # (18.6.1); QEMU 7.2 calls them illegal.
        return False
    # QEMU 7.2 lets TVM, not VTVM, forbid satp in VS-mode, and nothing hgatp (18.2.10).
    if mode == "VS" and number == 0x180 and setting.hstatus:
        return (ours, theirs) not in ((VIRTUAL, OK), (VIRTUAL, ILLEGAL))
    return not (mode == "S" and number == 0x680 and setting.mstatus & ~FS and (ours, theirs) == (ILLEGAL, OK))


def different_value(name: str, setting: Setting, ours: int, theirs: int) -> bool:
    """Tell whether the two hold different things where they should not."""
    ignored = BITS.get(name, 0)
    if name == "henvcfg" and not setting.values.get("menvcfg", 0) & STCE:
        ignored |= (
            STCE  # "If STCE is zero in menvcfg, it is read-only zero in henvcfg" (18.2.5): not in QEMU 7.2
        )
    if name == "henvcfg":
        ignored |= 1 << 62  # the same of PBMTE
    if name == "hvip":
        ignored |= (
            1 << 6
        )  # with menvcfg.STCE set QEMU 7.2 does not let M-mode write VSTIP: it is writable (18.2.3)
    return bool((ours ^ theirs) & ~ignored)


def difference(key: tuple[str, str, int], setting: Setting, ours: Note, theirs: Note) -> str:
    """Describe how two notes of an access differ, or return nothing."""
    mode, _, number = key
    name = csr_name(number)
    if different_cause(mode, number, setting, ours.cause, theirs.cause):
        return f"cause {ours.cause:#x}, QEMU {theirs.cause:#x}"
    if ours.cause != theirs.cause or name in OWN:
        return ""
    for what in ("read", "after"):
        a, b = getattr(ours, what), getattr(theirs, what)
        if different_value(name, setting, a, b):
            return f"{what} {a:#x}, QEMU {b:#x}"
    return ""


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.label)
def test_every_csr_in_every_mode_is_as_in_qemu(
    engine: Any, qemu_7_2: str, tmp_path: Path, setting: Setting
) -> None:
    ours, theirs = our_matrix(engine, setting), qemu_matrix(qemu_7_2, tmp_path, setting)
    assert len(ours) == len(MODES) * len(OPERATIONS) * CSRS
    found: dict[str, list[str]] = defaultdict(list)
    for key, note in ours.items():
        text = difference(key, setting, note, theirs[key])
        if text:
            mode, operation, number = key
            found[f"{csr_name(number)} ({number:#05x}): {text}"].append(f"{operation} in {mode}")
    assert not found, "\n".join(f"{text}: {', '.join(places)}" for text, places in found.items())


def test_matrix_obeys_the_numbers(engine: Any) -> None:
    """Bits 9:8 of a number are the lowest privilege, 11:10 both set mean read-only (2.1)."""
    for (mode, operation, number), note in our_matrix(engine, SETTINGS[0]).items():
        level = {"M": 3, "S": 2, "U": 0, "VS": 1, "VU": 0}[mode]
        lowest = number >> 8 & 3
        where = f"{csr_name(number)}: {operation} in {mode}"
        if is_read_only(number) and operation != "read":
            assert note.cause == ILLEGAL, where
        if note.cause == OK:
            assert lowest <= level, where
        if note.cause == VIRTUAL:
            assert mode.startswith("V"), where
            assert lowest < 3, where
