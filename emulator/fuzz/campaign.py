"""A campaign: batch after batch on both machines, until time or the number of instructions is used up.

The batches of a seed are always the same ones. A program that differs is run alone, then shrunk: variants
without some of its atoms run together in one batch, and the shortest that still differs is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from emulator.fuzz import batch as batches
from emulator.fuzz.batch import Batch, Outcome
from emulator.fuzz.comparison import Difference, Result, compare
from emulator.fuzz.layout import CONTEXT_FIELDS, COUNTER, LINK, POINTERS, SCRATCH
from emulator.fuzz.machines import Machine, NoOutcome, Plain
from emulator.fuzz.program import Atom, Program
from emulator.fuzz.worlds import World

BATCH = 64
VARIANTS = 48
Say = Callable[[str], None]


@dataclass
class Report:
    """What a campaign found."""

    seed: str
    oracle: str
    total: Result = field(default_factory=Result)
    failures: list[str] = field(default_factory=list[str])


class Here(Protocol):
    """The machine that is tested."""

    def run(self, batch: Batch) -> Outcome:
        """Run a batch. Raises NoOutcome."""
        ...


class Campaign:
    """Runs programs here and on an oracle."""

    def __init__(self, ours: Here, oracle: Machine, seed: str, size: int = BATCH) -> None:
        """`size` programs share a world and a run of the oracle."""
        self._ours, self._oracle, self._size = ours, oracle, size
        self._same = isinstance(oracle, Plain)
        self.report = Report(seed, oracle.name)

    def run(self, goes_on: Callable[[Result], bool], say: Say, most_failures: int = 5) -> Report:
        """Run batches while `goes_on`; `say` is told of progress. Raises OracleError."""
        report = self.report
        number = 0
        while goes_on(report.total) and len(report.failures) < most_failures:
            made = batches.make(report.seed, number, self._size)
            for part, found in self.outcomes(made):
                report.total.add(found)
                for difference in found.differences[: most_failures - len(report.failures)]:
                    report.failures.append(self.explain(part, difference))
            number += 1
            say(progress(report))
        return report

    def outcomes(self, batch: Batch) -> Iterator[tuple[Batch, Result]]:
        """Run a batch, in parts where a machine does not end; a program that does not end is a failure."""
        try:
            yield batch, self.compare(batch)
        except NoOutcome as error:
            parts = list(_halves(batch))
            if not parts:
                self.report.failures.append(describe(batch.programs[0], [str(error)]))
            for part in parts:
                yield from self.outcomes(part)

    def compare(self, batch: Batch) -> Result:
        """Run a batch on both machines at the same time. Raises NoOutcome if one of them does not end."""
        other = self._oracle.start(batch)
        try:
            ours = self._ours.run(batch)
        except NoOutcome:
            other.stop()
            raise
        return compare(batch, ours, other.outcome(), same=self._same)

    def explain(self, batch: Batch, difference: Difference) -> str:
        """Shrink a program that differs; return its listing and both states."""
        program = batch.programs[difference.program]
        world = batch.world
        alone = self._first(world, program)
        if alone is None:
            head = f"{program.name}: differs in its batch, not alone"
            return "\n".join([head, *difference.lines(self._oracle.name)])
        small, last = self.shrink(world, program, alone)
        return describe(small, last.lines(self._oracle.name))

    def _first(self, world: World, program: Program) -> Difference | None:
        found = self.compare(Batch(world, (program,))).differences
        return found[0] if found else None

    def shrink(self, world: World, program: Program, difference: Difference) -> tuple[Program, Difference]:
        """Return a program of as few instructions as we find that still differs."""
        size = max(1, len(program.atoms) // 2)
        while size:
            better = self._shorter(world, list(_without_atoms(program, size)))
            if better is not None:
                program, difference = better
                size = min(size, max(1, len(program.atoms) // 2))
            else:
                size //= 2
        while better := self._shorter(world, list(_without_lines(program))):
            program, difference = better
        return program, difference

    def _shorter(self, world: World, variants: list[Program]) -> tuple[Program, Difference] | None:
        for start in range(0, len(variants), VARIANTS):
            found = self._differing(Batch(world, tuple(variants[start : start + VARIANTS])))
            if found:
                return found
        return None

    def _differing(self, batch: Batch) -> tuple[Program, Difference] | None:
        """Return a program that differs; one that does not end, or overwrites the monitor, is passed over."""
        try:
            found = self.compare(batch).differences
        except NoOutcome:
            return next(filter(None, map(self._differing, _halves(batch))), None)
        return (batch.programs[found[0].program], found[0]) if found else None


def _halves(batch: Batch) -> Iterator[Batch]:
    """Return the two halves of a batch, nothing for a single program."""
    middle = len(batch.programs) // 2
    if middle:
        yield replace(batch, programs=batch.programs[:middle])
        yield replace(batch, programs=batch.programs[middle:])


def _without_atoms(program: Program, size: int) -> Iterator[Program]:
    for start in range(0, len(program.atoms), size):
        yield replace(program, atoms=program.atoms[:start] + program.atoms[start + size :])


def _without_lines(program: Program) -> Iterator[Program]:
    for place, atom in enumerate(program.atoms):
        if _belongs_together(atom):
            continue
        for number in range(len(atom.lines)):
            lines = atom.lines[:number] + atom.lines[number + 1 :]
            atoms = (*program.atoms[:place], Atom(atom.label, lines), *program.atoms[place + 1 :])
            yield replace(program, atoms=atoms)


def _belongs_together(atom: Atom) -> bool:
    """Tell whether an atom without one of its lines might not end, or write what must not be written."""
    scaffolding = (LINK, SCRATCH, COUNTER)
    return any(
        line.row is None
        or line.row.kind in ("csr", "csri")
        or any(name == "rd" and value in scaffolding for name, value in line.operands)
        for line in atom.lines
    )


def describe(program: Program, ending: list[str]) -> str:
    """Show a program that differs: its code, its contexts, and what is known of the difference."""
    lines = [
        f"{program.name}: {sum(len(atom.lines) for atom in program.atoms)} instructions",
        *program.listing(),
    ]
    asked = {0} | {
        dict(line.operands)["imm"] - 1
        for atom in program.atoms
        for line in atom.lines
        if line.row is not None and line.row.name == "addi" and dict(line.operands).get("rd") == 3
    }
    for number in sorted(asked):
        if number < len(program.contexts):
            context = program.contexts[number]
            shown = ", ".join(f"{name}={context[name]:#x}" for name in CONTEXT_FIELDS if context[name])
            lines.append(f"context {number}: {shown}")
    used = {
        value for atom in program.atoms for line in atom.lines for name, value in line.operands
        if name.startswith("rs") and value not in POINTERS
    }  # fmt: skip
    shown = ", ".join(f"x{number}={program.registers[number]:#x}" for number in sorted(used) if number)
    return "\n".join([*lines, f"before: {shown}", *ending])


def progress(report: Report) -> str:
    """Return one line that says how far a campaign is."""
    total = report.total
    return (
        f"{total.instructions:,} instructions, {total.programs:,} programs, {total.traps:,} traps,"
        f" {len(report.failures)} unexplained differences"
    )
