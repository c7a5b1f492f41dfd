"""Comparing what two machines noted of the same programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from emulator.fuzz import known
from emulator.fuzz.batch import Batch, Note, Outcome
from emulator.fuzz.layout import CODE, CODE_WINDOW, RECORD_FIELDS, STUB, USER_CODE
from emulator.isa.encodings import decode
from emulator.isa.instruction import Instruction

MASKS = tuple(known.MASKS.get(name, -1) for name in RECORD_FIELDS)


@dataclass(frozen=True)
class Difference:
    """The first trap at which the machines differ; a note is None if a machine had no such trap."""

    program: int
    trap: int
    ours: Note | None
    theirs: Note | None

    def lines(self, oracle: str) -> list[str]:
        """Name what differs, our value first."""
        if self.ours is None or self.theirs is None:
            return [f"trap {self.trap}: only {'ours' if self.ours else oracle} took it"]
        pairs = zip(RECORD_FIELDS, self.ours.values, self.theirs.values, MASKS, strict=True)
        return [f"trap {self.trap}: where we differ"] + [
            f"  {name}: ours {a:#x}, {oracle} {b:#x}" for name, a, b, mask in pairs if (a ^ b) & mask
        ]


@dataclass
class Result:
    """What comparing a batch found. `instructions` are those of programs up to the last trap compared."""

    instructions: int = 0
    programs: int = 0
    traps: int = 0
    explained: Counter[str] = field(default_factory=Counter[str])
    differences: list[Difference] = field(default_factory=list[Difference])

    def add(self, other: Result) -> None:
        """Add the figures of another batch; its differences are kept by whoever explains them."""
        self.instructions += other.instructions
        self.programs += other.programs
        self.traps += other.traps
        self.explained += other.explained


def compare(batch: Batch, ours: Outcome, theirs: Outcome, *, same: bool) -> Result:
    """Compare two outcomes; `same` machines have no known differences."""
    result = Result()
    count = len(batch.programs)
    for number, (a, b) in enumerate(zip(ours.notes(count), theirs.notes(count), strict=True)):
        result.programs += 1
        _compare_program(result, batch, number, a, b, same)
    return result


def _compare_program(
    result: Result, batch: Batch, number: int, ours: Sequence[Note], theirs: Sequence[Note], same: bool
) -> None:
    after_atomic = False
    for trap in range(max(len(ours), len(theirs))):
        a = ours[trap] if trap < len(ours) else None
        b = theirs[trap] if trap < len(theirs) else None
        if a is None or b is None:
            result.differences.append(Difference(number, trap, a, b))
            return
        after_atomic |= _is_atomic_fault(batch, number, a)
        if after_atomic and not same and _differing(a, b) == ["hash"]:
            result.explained["amo-memory"] += 1
        elif not _agree(a, b):
            reasons = set[str]() if same else excuses(a, b, batch, number)
            if not reasons:
                why = "" if same else _parting(a, b, batch, number)
                if why:
                    result.explained[why] += 1
                else:
                    result.differences.append(Difference(number, trap, a, b))
                return
            result.explained.update(reasons)
        result.traps += 1
        result.instructions += a.retired - (ours[trap - 1].retired if trap else 0)


def _is_atomic_fault(batch: Batch, program: int, note: Note) -> bool:
    row, _ = instruction(batch, program, note)
    return row is not None and row.kind in ("sc", "amo") and origin(note)[1] in known.DATA_CAUSES


def _agree(a: Note, b: Note) -> bool:
    return a.values == b.values or not _differing(a, b)


def _differing(a: Note, b: Note) -> list[str]:
    pairs = zip(RECORD_FIELDS, a.values, b.values, MASKS, strict=True)
    return [name for name, x, y, mask in pairs if (x ^ y) & mask]


def excuses(a: Note, b: Note, batch: Batch, program: int) -> set[str]:
    """Return why all registers that differ may do so; nothing if one of them may not."""
    row, operands = instruction(batch, program, a)
    found = {known.excused(name, a, b, row, operands) for name in _differing(a, b)}
    return set() if "" in found else found


def _parting(a: Note, b: Note, batch: Batch, program: int) -> str:
    for note in (a, b):
        why = known.forgiven(*instruction(batch, program, note), *origin(note)[1:])
        if why:
            return why
    return ""


def origin(note: Note) -> tuple[int, int, int]:
    """Return epc, cause and tval of the program's trap, behind the stubs that it was delegated to."""
    place, cause, tval = note["mepc"], note["mcause"], note["mtval"]
    if place >> 12 == STUB >> 12 and not note["mstatus"] >> 39 & 1:
        place, cause, tval = note["sepc"], note["scause"], note["stval"]
    if place >> 12 == STUB >> 12:
        place, cause, tval = note["vsepc"], note["vscause"], note["vstval"]
    return place, cause, tval


def instruction(batch: Batch, program: int, note: Note) -> tuple[Instruction | None, dict[str, int]]:
    """Return the instruction at which the program trapped and its operands, None where there is none."""
    place, _, _ = origin(note)
    for base in (CODE, USER_CODE):
        if 0 <= place - base < CODE_WINDOW:
            found = decode(int.from_bytes(batch.programs[program].code()[place - base :][:4], "little"))
            return found or (None, {})
    return None, {}
