"""A campaign: batch after batch on both machines, until time or the number of instructions is used up.

The batches of a seed are always the same ones. A program that differs is run alone, then shrunk: variants
without some of its atoms run together in one batch, and the shortest that still differs is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from emulator.fuzz import batch as batches
from emulator.fuzz.batch import Batch
from emulator.fuzz.comparison import Difference, Result, compare
from emulator.fuzz.layout import CONTEXT_FIELDS, POINTERS
from emulator.fuzz.machines import Machine, OracleAborted, OracleError, Ours, Plain
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


class Campaign:
    """Runs programs here and on an oracle."""

    def __init__(self, ours: Ours, oracle: Machine, seed: str, size: int = BATCH) -> None:
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
            try:
                found = self.compare(made)
            except OracleAborted:
                found = Result(explained=Counter({"aborted": 1}))
            report.total.add(found)
            for difference in found.differences[: most_failures - len(report.failures)]:
                report.failures.append(self.explain(made, difference))
            number += 1
            say(progress(report))
        return report

    def compare(self, batch: Batch) -> Result:
        """Run a batch on both machines at the same time."""
        other = self._oracle.start(batch)
        try:
            ours = self._ours.run(batch)
        except OracleError:
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
        return describe(small, last, self._oracle.name)

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
            some = tuple(variants[start : start + VARIANTS])
            try:
                found = self.compare(Batch(world, some)).differences
            except OracleError:
                continue  # a variant without its address overwrote the monitor
            if found:
                return some[found[0].program], found[0]
        return None


def _without_atoms(program: Program, size: int) -> Iterator[Program]:
    for start in range(0, len(program.atoms), size):
        yield replace(program, atoms=program.atoms[:start] + program.atoms[start + size :])


def _without_lines(program: Program) -> Iterator[Program]:
    for place, atom in enumerate(program.atoms):
        # What is written into a CSR is chosen; without the loading of it, the difference is another one.
        if any(line.row is not None and line.row.kind in ("csr", "csri") for line in atom.lines):
            continue
        for number in range(len(atom.lines)):
            lines = atom.lines[:number] + atom.lines[number + 1 :]
            atoms = (*program.atoms[:place], Atom(atom.label, lines), *program.atoms[place + 1 :])
            yield replace(program, atoms=atoms)


def describe(program: Program, difference: Difference, oracle: str) -> str:
    """Show a program that differs: its code, its contexts, the states."""
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
    return "\n".join([*lines, f"before: {shown}", *difference.lines(oracle)])


def progress(report: Report) -> str:
    """Return one line that says how far a campaign is."""
    total = report.total
    return (
        f"{total.instructions:,} instructions, {total.programs:,} programs, {total.traps:,} traps,"
        f" {len(report.failures)} unexplained differences"
    )
