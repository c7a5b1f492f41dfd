"""Comparing what two machines noted of the same programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from emulator.fuzz import known
from emulator.fuzz.batch import Batch, Note, Outcome
from emulator.fuzz.known import Origin
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
    for trap in range(max(len(ours), len(theirs))):
        a = ours[trap] if trap < len(ours) else None
        b = theirs[trap] if trap < len(theirs) else None
        if a is None or b is None:
            result.differences.append(Difference(number, trap, a, b))
            return
        if not _agree(a, b):
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
    ours, theirs = origin(a), origin(b)
    row, _ = instruction(batch, program, a)
    why = known.forgiven(ours, theirs, row, batch.world.guest_leaf)
    return why or next(
        filter(
            None,
            (known.unequal_privilege(origin(note), *instruction(batch, program, note)) for note in (a, b)),
        ),
        "",
    )


def origin(note: Note) -> Origin:
    """Return where and in which mode the program trapped, behind the stubs that it was delegated to."""
    status = note["mstatus"], note["hstatus"], note["vsstatus"]
    virtual, level = bool(status[0] >> 39 & 1), status[0] >> 11 & 3
    by_guest = False
    trap = [note[name] for name in ("mepc", "mcause", "mtval", "mtval2", "mtinst")]
    if trap[0] >> 12 == STUB >> 12 and not virtual:
        virtual, level = bool(status[1] >> 7 & 1), status[0] >> 8 & 1
        trap = [note[name] for name in ("sepc", "scause", "stval", "htval", "htinst")]
    if trap[0] >> 12 == STUB >> 12:
        virtual, level, by_guest = True, status[2] >> 8 & 1, True
        trap = [*(note[name] for name in ("vsepc", "vscause", "vstval")), 0, 0]
    place, cause, tval, physical, word = trap
    return Origin(
        place,
        cause,
        tval,
        physical << 2,
        word,
        virtual,
        level,
        by_guest,
        status,
        note["pmpcfg0"] != known.PMP_UNDIVIDED,
    )


def instruction(batch: Batch, program: int, note: Note) -> tuple[Instruction | None, dict[str, int]]:
    """Return the instruction at which the program trapped and its operands, None where there is none."""
    place = origin(note).place
    for base in (CODE, USER_CODE):
        if 0 <= place - base < CODE_WINDOW:
            found = decode(int.from_bytes(batch.programs[program].code[place - base :][:4], "little"))
            return found or (None, {})
    return None, {}
