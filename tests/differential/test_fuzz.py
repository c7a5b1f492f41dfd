"""`vmlab fuzz`: random programs beside QEMU, and what it does at a difference."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from emulator.core.csr_bits import PTE_A
from emulator.fuzz import batch as batches
from emulator.fuzz.atoms import atomic, back_to
from emulator.fuzz.batch import Batch, Outcome
from emulator.fuzz.campaign import BATCH, Campaign
from emulator.fuzz.comparison import Result, compare
from emulator.fuzz.known import REASONS, excused, transformed
from emulator.fuzz.layout import DATA, DATA_PAGES, RECORD_BYTES, RECORD_FIELDS
from emulator.fuzz.machines import NoOutcome, OracleError, Ours, Qemu
from emulator.fuzz.program import Atom, Line, Program
from emulator.fuzz.worlds import World
from emulator.isa.encodings import BY_NAME
from tests.conftest import lack
from tests.differential.operands import SEED


@pytest.fixture
def ours(engine: Any) -> Ours:
    """Our machine."""
    return Ours(engine)


@pytest.fixture
def qemu(qemu_system: str) -> Qemu:
    """QEMU 7.2, whose faults are known."""
    try:
        return Qemu()
    except OracleError as error:
        lack(str(error))


def rounds(count: int, size: int) -> Any:
    return lambda total: total.programs < count * size


def test_random_programs_agree_with_qemu(ours: Ours, qemu: Qemu) -> None:
    campaign = Campaign(ours, qemu, str(SEED))
    report = campaign.run(rounds(4, BATCH), lambda line: None, 1)
    assert not report.failures, f"VMLAB_SEED={SEED}\n" + "\n\n".join(report.failures)
    assert report.total.instructions > 100_000
    assert report.total.explained.keys() <= REASONS.keys()


def test_amos_in_other_modes_leave_the_same_bits_of_entries(ours: Ours, qemu: Qemu) -> None:
    made = batches.make("amo", 6, 24)  # its G-stage lets the guest read what it may not write
    programs = tuple(replace(each, atoms=_amos_in_other_modes(each.name)) for each in made.programs)
    result = Campaign(ours, qemu, "amo").compare(Batch(made.world, programs))
    assert not result.differences
    assert result.explained["amo-cause"]


def _amos_in_other_modes(name: str) -> tuple[Atom, ...]:
    chance = random.Random(name)
    return tuple(Atom(label, (back_to, atomic)[label % 2](chance, label)) for label in range(40))


class Faulty:
    """Our machine, which takes every xor for an or."""

    name = "faulty"

    def __init__(self, ours: Ours) -> None:
        self._ours = ours

    def start(self, batch: Batch) -> Any:
        programs = tuple(replace(each, atoms=tuple(map(_spoil, each.atoms))) for each in batch.programs)
        result = self._ours.run(Batch(batch.world, programs))
        return type("Done", (), {"outcome": lambda self: result})()


def _spoil(atom: Atom) -> Atom:
    lines = tuple(
        replace(line, row=BY_NAME["or"]) if line.row is BY_NAME["xor"] else line for line in atom.lines
    )
    return Atom(atom.label, lines)


def test_planted_fault_is_shrunk_to_its_instruction(ours: Ours) -> None:
    campaign = Campaign(ours, Faulty(ours), "planted", 16)
    report = campaign.run(lambda total: total.programs < 64, lambda line: None, 1)
    assert len(report.failures) == 1
    listing = [line for line in report.failures[0].splitlines() if line.startswith("0x")]
    assert any(" xor " in line for line in listing)
    assert len(listing) <= 8, report.failures[0]
    assert "faulty" in report.failures[0]


def other_result_of_sc(line: Line) -> Line:
    """SC stores always and returns what was there."""
    swaps = {"sc.w": "amoswap.w", "sc.d": "amoswap.d"}
    name = line.row.name if line.row else ""
    return replace(line, row=BY_NAME[swaps[name]]) if name in swaps else line


def rounding_towards_zero(line: Line) -> Line:
    """What is to round down rounds towards zero."""
    operands = tuple((name, 1 if (name, value) == ("rm", 2) else value) for name, value in line.operands)
    return replace(line, operands=operands)


def unchanged(line: Line) -> Line:
    return line


class Broken:
    """Our machine with a fault in instructions, in the setting of A, or in htval."""

    def __init__(
        self, ours: Ours, fault: Callable[[Line], Line], *, accessed: bool = True, shifted: bool = True
    ) -> None:
        self._ours, self._fault, self._accessed, self._shifted = ours, fault, accessed, shifted

    def run(self, batch: Batch) -> Outcome:
        programs = tuple(
            replace(each, atoms=tuple(Atom(a.label, tuple(map(self._fault, a.lines))) for a in each.atoms))
            for each in batch.programs
        )
        world = batch.world
        if not self._accessed:
            # A walk that finds A changes nothing, as one that does not set it.
            leaves = {at: entry | PTE_A for at, entry in world.memory.items() if at < DATA and entry & 14}
            world = replace(world, memory=world.memory | leaves)
        outcome = self._ours.run(Batch(world, programs))
        return outcome if self._shifted else replace(outcome, log=_with_unshifted_htval(outcome.log))


def _with_unshifted_htval(log: bytes) -> bytes:
    changed = bytearray(log)
    place = 8 * RECORD_FIELDS.index("htval")
    for at in range(place, len(log), RECORD_BYTES):
        address = int.from_bytes(log[at : at + 8], "little") << 2
        changed[at : at + 8] = (address & (1 << 64) - 1).to_bytes(8, "little")
    return bytes(changed)


@pytest.mark.parametrize(
    ("fault", "settings", "shown", "where"),
    [
        (other_result_of_sc, {}, " sc.", "  x"),
        (rounding_towards_zero, {}, "rdn", "  f"),
        (unchanged, {"accessed": False}, "", "  hash"),
        (unchanged, {"shifted": False}, "", "  htval"),
    ],
    ids=["sc", "rounding", "accessed", "htval"],
)
def test_broken_core_is_caught_under_the_rules_and_shrunk(
    ours: Ours, qemu: Qemu, fault: Any, settings: dict[str, bool], shown: str, where: str
) -> None:
    campaign = Campaign(Broken(ours, fault, **settings), qemu, "broken")
    batch, difference = next(
        (batch, difference)
        for batch in (batches.make("broken", number, 24) for number in range(12))
        for difference in campaign.compare(batch).differences
        if any(line.startswith(where) for line in difference.lines("QEMU"))
    )
    report = campaign.explain(batch, difference)
    listing = [line for line in report.splitlines() if line.startswith("0x")]
    assert len(listing) <= 14, report
    assert any(shown in line for line in listing), report


class Endless:
    """Our machine, which does not end one program."""

    name = "endless"

    def __init__(self, ours: Ours, name: str) -> None:
        self._ours, self._endless = ours, name

    def start(self, batch: Batch) -> Any:
        return type(
            "Done", (), {"outcome": lambda machine: self._outcome(batch), "stop": lambda machine: None}
        )()

    def _outcome(self, batch: Batch) -> Any:
        if self._endless in [program.name for program in batch.programs]:
            raise NoOutcome("endless did not end within 20 s")
        return self._ours.run(batch)


def test_program_that_does_not_end_is_a_failure_and_the_others_are_compared(ours: Ours) -> None:
    campaign = Campaign(ours, Endless(ours, "e/0/5"), "e", 16)
    report = campaign.run(lambda total: total.programs < 15, lambda line: None, 5)
    assert report.total.programs == 15
    (failure,) = report.failures
    assert failure.startswith("e/0/5: ")
    assert failure.endswith("endless did not end within 20 s")


def test_batches_of_a_seed_are_always_the_same() -> None:
    assert batches.make("a", 3, 2).image() == batches.make("a", 3, 2).image()
    assert batches.make("a", 3, 2).image() != batches.make("b", 3, 2).image()


def test_a_machine_agrees_with_itself_and_counts_what_ran(ours: Ours) -> None:
    made = batches.make("self", 0, 8)
    outcome = ours.run(made)
    result = compare(made, outcome, outcome, same=True)
    assert result.programs == 8
    assert not result.differences
    notes = outcome.notes(8)
    assert result.instructions == sum(each[-1].retired for each in notes)
    assert all(a.retired <= b.retired for each in notes for a, b in pairwise(each))


def test_a_program_without_atoms_retires_its_ending_only(ours: Ours) -> None:
    made = batches.make("empty", 0, 1)
    empty: Program = replace(made.programs[0], atoms=())
    context = empty.contexts[0] | {"mie": 0, "medeleg": 0, "base": 0x8001_0000, "mstatus": 3 << 11}
    batch = Batch(made.world, (replace(empty, contexts=(context,) * len(empty.contexts)),))
    (notes,) = ours.run(batch).notes(1)
    assert [note.retired for note in notes] == [1]  # the ecall itself does not retire


@pytest.mark.parametrize(("shown", "reason"), [(0, "tinst"), (0x5C83, "tinst"), (0xDC83, "tinst")])
def test_mtinst_may_be_zero_or_the_transformed_instruction(shown: int, reason: str) -> None:
    assert _excuse_of_lhu(shown) == reason


@pytest.mark.parametrize("shown", [0x15C83, 0x5C03, 0x5C81, 0x1005C83, 0x3000])
def test_mtinst_that_is_no_transformed_instruction_is_a_difference(shown: int) -> None:
    assert _excuse_of_lhu(shown) == ""


def _excuse_of_lhu(mtinst: int) -> str:
    operands = {"rd": 25, "rs1": 13, "imm": -4}
    note = {"mcause": 13, "mtval": 0x1000, "mtinst": mtinst}
    return excused("mtinst", note, {**note, "mtinst": 0}, BY_NAME["lhu"], operands)


def test_mtinst_of_a_compressed_store_is_that_of_the_long_one_with_bit_1_clear() -> None:
    assert transformed(BY_NAME["c.swsp"], {"rs2": 18, "imm": 8}) == 0x0120_2021


@pytest.mark.parametrize("number", range(4))
def test_superpages_lead_to_what_is_restored_between_programs(number: int) -> None:
    world = batches.make("large", number, 1).world
    for register, pages in world.data.items():
        for page in pages:
            assert not _is_large(world, register, page) or 1 <= page >> 12 & 0x1FF < DATA_PAGES


def _is_large(world: World, register: str, page: int) -> bool:
    value = getattr(world, register)
    table, level = (value & 0xFFF_FFFF_FFFF) << 12, (value >> 60) - 6
    width = 0x7FF if register == "hgatp" else 0x1FF
    while level > 1:
        entry = world.memory.get(table + (page >> 12 + 9 * level & width) * 8, 0)
        table, level, width = entry >> 10 << 12, level - 1, 0x1FF
    return world.memory.get(table + (page >> 21 & width) * 8, 0) >> 10 << 12 == DATA


def test_raw_bits_have_the_length_that_they_say() -> None:
    assert Line(None, word=0).length == 2
    assert Line(None, word=0xFFFF_FFFF).length == 4


def test_command_prints_figures_as_json(qemu: Qemu, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--instructions", "1", "--seed", "7", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["instructions"] >= 1
    assert figures["failures"] == []


def test_missing_qemu_is_a_user_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["fuzz", "--instructions", "1"]) == 2
    assert "qemu-system-riscv64 is not installed" in capsys.readouterr().err


def test_rules_are_listed_in_the_design() -> None:
    table = Path(__file__).parents[2].joinpath("DESIGN.md").read_text().partition("## 9. ")[2]
    rows = dict(row.strip("| ").split(" | ", 1) for row in table.splitlines() if row.startswith("| `"))
    assert rows == {f"`{name}`": reason for name, reason in REASONS.items()}


def test_figures_add_up() -> None:
    total = Result(instructions=1, programs=2, traps=3)
    total.add(Result(instructions=10, programs=20, traps=30))
    assert (total.instructions, total.programs, total.traps) == (11, 22, 33)
