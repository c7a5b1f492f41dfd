"""What happened: who was on which pCPU when, and the log of exits, faults, state changes and actions.

Everything here is history, kept for people and for checks; nothing in the machine depends on it. Histories
are bounded. `revision` grows with every visible change, so that a reader can ask for what is new.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from emulator.hypervisor.causes import Causes

SliceKind = Literal["run", "hypervisor", "idle"]
EventKind = Literal["action", "state", "exit", "fault", "console", "device", "alarm", "schedule", "interrupt"]
# event id, revision, position, clock, reason, text, vm, vcpu, pcpu, pc, cycles charged, cause
ExitRecord = tuple[int, int, int, int, str, str, str, int, int, int, int, int]
# event id, position, clock, kind, reason, vm, vcpu, cause, what else is said
NoteRecord = tuple[int, int, int, EventKind, str, str, "int | None", int, str]
# VM, vCPU, state (of VcpuState, or "paused"), start, end
Wait = tuple[str, int, str, int, int]
# VM, clocks at which its first and last character came, text
Print = tuple[str, int, int, str]

SLICES_KEPT = 4_000  # per pCPU
EXITS_KEPT = 500
EVENTS_KEPT = 2_000
NOTES_KEPT = 2_000
WAITS_KEPT = 4_000  # for each pCPU, of all vCPUs together
PRINTS_KEPT = 1_000
PRINT_CHARACTERS = 80
PRINT_CYCLES = 100_000  # what a VM prints within this time is one piece
OVERLAP_LOOK_BACK = 8
NOTE_TEXTS: dict[tuple[str, str], str] = {
    ("schedule", "woke"): "vCPU {vcpu} of {vm} wants a pCPU: {said}",
    ("interrupt", "timer"): "vCPU {vcpu} of {vm} gets its timer interrupt",
    ("interrupt", "software"): "vCPU {vcpu} of {vm} gets an interrupt from another vCPU",
    ("interrupt", "external"): "vCPU {vcpu} of {vm} gets the interrupt of a device",
}


# Places of a Slice's values.
REVISION, VM, VCPU, KIND, START, END = 1, 3, 4, 5, 6, 7


class Revision:
    """A counter of visible changes."""

    __slots__ = ("value",)

    def __init__(self, value: int = 0) -> None:
        """Begin at `value`."""
        self.value = value

    def advance(self) -> int:
        """Count a change and return its number."""
        self.value += 1
        return self.value


class Slice(NamedTuple):
    """A stretch of one pCPU's time, in cycles of its clock."""

    id: int
    revision: int
    pcpu: int
    vm: str | None
    vcpu: int | None
    kind: SliceKind
    start: int
    end: int


@dataclass(slots=True)
class Event:
    """One entry of the log; `clock` is that of the pCPU, in cycles."""

    id: int
    revision: int
    position: int
    clock: int
    kind: EventKind
    vm: str | None
    vcpu: int | None
    pcpu: int | None
    reason: str
    text: str
    detail: dict[str, str | int] = field(default_factory=dict[str, "str | int"])
    cause: int = 0  # the event that led to it, 0 for none


class Trace:
    """The lanes of all pCPUs, the log, and which VMs have run at the same time."""

    def __init__(self, pcpus: int, revision: Revision, next_event: int = 1) -> None:
        """Begin an empty history."""
        self.revision = revision
        # A slice is kept as a list of the values of a Slice, which is much quicker to make; the last one of a
        # pCPU may still grow.
        self._lanes: list[deque[list[Any]]] = [deque(maxlen=SLICES_KEPT) for _ in range(pcpus)]
        self.exits: deque[ExitRecord] = deque(maxlen=EXITS_KEPT)
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.notes: deque[NoteRecord] = deque(maxlen=NOTES_KEPT)  # who woke, interrupts, lines printed
        self.causes = Causes(pcpus)
        self._action = 0  # the number that the next entry for an action has
        self.waits: deque[Wait] = deque(maxlen=WAITS_KEPT * pcpus)
        self.waits_made = 0
        self.prints: deque[Print] = deque(maxlen=PRINTS_KEPT)
        # Called before slices are dropped, with the pCPU and start of the slice that has just begun.
        self.fold: Callable[[int, int], object] | None = None
        self.fold_at = 0  # the slice with which that is due
        self.together: set[tuple[str, str]] = set()
        self.next_event = next_event
        self._next_slice = 1
        self._last: list[list[Any]] = [[0, 0, index, None, None, "", 0, 0] for index in range(pcpus)]
        self._several = pcpus > 1

    @property
    def lanes(self) -> list[list[Slice]]:
        """What each pCPU did, as far back as it is kept, oldest first."""
        return [[Slice(*one) for one in lane] for lane in self._lanes]

    def settled(self) -> list[deque[Any]]:
        """Return what holds entries that never change, except the last slice of each pCPU."""
        return [*self._lanes, self.exits, self.events, self.notes, self.waits, self.prints]

    def copy(self) -> Trace:
        """Return a history of its own that does not grow any more."""
        kept = Trace(len(self._lanes), Revision(self.revision.value), self.next_event)
        for mine, other in zip(kept.settled(), self.settled(), strict=True):
            mine.extend(other)
        for lane in kept._lanes:
            if lane:
                lane[-1] = list(lane[-1])
        return kept

    @property
    def next_slice(self) -> int:
        """The number that the next slice will have."""
        return self._next_slice

    def kept_from(self) -> int:
        """Return the clock from which on every slice of every pCPU is kept."""
        full = (lane[0][START] for lane in self._lanes if len(lane) == SLICES_KEPT)
        return max(full, default=min((lane[0][START] for lane in self._lanes if lane), default=0))

    def backwards(self, pcpu: int) -> Iterator[list[Any]]:
        """Yield the slices of a pCPU, newest first, as they are kept: do not change them."""
        return reversed(self._lanes[pcpu])

    def slice(
        self, pcpu: int, vm: str | None, vcpu: int | None, kind: SliceKind, start: int, end: int
    ) -> None:
        """Add `start`..`end` to a lane, growing its last slice when that is of the same kind and vCPU."""
        if end == start:
            return
        revision = self.revision
        revision.value = number = revision.value + 1
        last = self._last[pcpu]
        if last[KIND] == kind and last[END] == start and last[VCPU] == vcpu and last[VM] == vm:
            last[END] = end
            last[REVISION] = number
        else:
            last = self._last[pcpu] = [self._next_slice, number, pcpu, vm, vcpu, kind, start, end]
            self._lanes[pcpu].append(last)
            self._next_slice += 1
            if self.fold is not None and self._next_slice >= self.fold_at:
                self.fold(pcpu, start)
        if self._several and kind == "run" and vm is not None:
            self._note_overlaps(pcpu, vm, start, end)

    def _note_overlaps(self, pcpu: int, vm: str, start: int, end: int) -> None:
        for index, lane in enumerate(self._lanes):
            if index == pcpu:
                continue
            for back in range(1, min(OVERLAP_LOOK_BACK, len(lane)) + 1):
                other = lane[-back]
                if other[END] <= start:
                    break
                name = other[VM]
                if name != vm and name is not None and other[KIND] == "run" and other[START] < end:
                    self.together.add((vm, name) if vm < name else (name, vm))

    def wait(self, vm: str, vcpu: int, state: str, start: int, end: int) -> None:
        """Note that a vCPU was on no pCPU from `start` to `end`, and why."""
        self.waits.append((vm, vcpu, state, start, end))
        self.waits_made += 1

    def printed(self, vm: str, text: str, clock: int) -> None:
        """Note what a VM has printed, in pieces of a line at most."""
        last = self.prints[-1] if self.prints else None
        joins = last and last[0] == vm and clock - last[2] <= PRINT_CYCLES and not last[3].endswith("\n")
        if last and joins and len(last[3]) < PRINT_CHARACTERS:
            self.prints[-1] = (vm, last[1], clock, (last[3] + text)[:PRINT_CHARACTERS])
        else:
            self.prints.append((vm, clock, clock, text[:PRINT_CHARACTERS]))

    def log_exit(
        self,
        reason: str,
        text: str,
        position: int,
        clock: int,
        vm: str,
        vcpu: int,
        pcpu: int,
        pc: int,
        cycles: int,
        cause: int,
    ) -> None:
        """Add the exit that was begun to the log.

        Exits are many: what is known is put aside and told when somebody asks.
        """
        revision, causes = self.revision, self.causes
        revision.value = value = revision.value + 1
        causes.now = 0
        self.exits.append(
            (causes.exit, value, position, clock, reason, text, vm, vcpu, pcpu, pc, cycles, cause)
        )

    def note(
        self,
        kind: EventKind,
        reason: str,
        position: int,
        clock: int,
        vm: str,
        vcpu: int | None,
        text: str,
    ) -> int:
        """Note something that happens as often as exits do; return its number."""
        number = self.next_event
        self.next_event = number + 1
        self.notes.append((number, position, clock, kind, reason, vm, vcpu, self.causes.now, text))
        return number

    def reserve(self) -> int:
        """Return the number of an entry that will be made when what follows from it is known."""
        self.next_event += 1
        return self.next_event - 1

    def begin_action(self) -> int:
        """Reserve the number of an action that is about to be applied; all that happens follows from it."""
        self._action = self.causes.now = self.reserve()
        return self._action

    def end_action(self, refused: bool) -> bool:
        """End what follows from an action; return whether it has no entry of its own yet."""
        missing = self._action != 0
        if refused and missing and self.next_event == self._action + 1:
            self.next_event = self._action
        self.causes.now = 0
        if refused:
            self._action = 0
        return missing

    def log(
        self,
        kind: EventKind,
        reason: str,
        text: str,
        position: int,
        clock: int,
        vm: str | None = None,
        vcpu: int | None = None,
        pcpu: int | None = None,
        detail: dict[str, str | int] | None = None,
        number: int = 0,
    ) -> Event:
        """Add an entry to the log, under a `number` that was reserved or the next one, and return it."""
        number, cause = number or self.next_event, self.causes.now
        if kind == "action" and self._action:
            number, cause, self._action = self._action, 0, 0
        event = Event(
            number,
            self.revision.advance(),
            position,
            clock,
            kind,
            vm,
            vcpu,
            pcpu,
            reason,
            text,
            detail or {},
            cause,
        )
        self.next_event = max(self.next_event, number + 1)
        self.events.append(event)
        return event

    def slices_since(self, revision: int, most: int = SLICES_KEPT) -> Iterator[Slice]:
        """Yield the slices that are new or have grown since a revision, oldest first, `most` of each pCPU."""
        for lane in self._lanes:
            count = 0
            for one in reversed(lane):
                if one[REVISION] <= revision or count == most:
                    break
                count += 1
            for one in list(lane)[len(lane) - count :]:
                yield Slice(*one)

    def lanes_since(self, revision: int) -> list[list[list[Any]]]:
        """Return, for each pCPU, the slices that are new or have grown, oldest first: do not change them."""
        found: list[list[list[Any]]] = []
        for lane in self._lanes:
            new = list(itertools.takewhile(lambda one: one[REVISION] > revision, reversed(lane)))
            found.append(new[::-1])
        return found

    def events_since(self, revision: int, most_exits: int = EXITS_KEPT) -> list[Event]:
        """Return the entries that are newer than a revision, oldest first; `most_exits` of them exits.

        Notes, of vCPUs that woke, interrupts and lines printed, are left to `all_events`.
        """
        exits = [_exit_event(one) for one in list(self.exits)[-most_exits:] if one[1] > revision]
        others = [event for event in self.events if event.revision > revision]
        return sorted(exits + others, key=lambda event: event.id)

    def all_events(self) -> list[Event]:
        """Return all entries that are kept, notes included, oldest first."""
        notes = [_note_event(one) for one in self.notes]
        return sorted([*self.events_since(-1), *notes], key=lambda event: event.id)

    def by_number(self) -> dict[int, Event]:
        """Return all entries that are kept by their numbers."""
        return {event.id: event for event in self.all_events()}

    def continue_from(self, old: Trace) -> None:
        """Take over what is kept of a host that is replaced."""
        self.exits, self.events, self.notes = old.exits, old.events, old.notes
        self.together, self.prints = old.together, old.prints
        self.causes.now = old.causes.now
        self._action, old._action = old._action, 0


def _exit_event(one: ExitRecord) -> Event:
    number, revision, position, clock, reason, text, vm, vcpu, pcpu, pc, cycles, cause = one
    detail: dict[str, str | int] = {"pc": f"{pc:#018x}", "cycles": cycles}
    return Event(number, revision, position, clock, "exit", vm, vcpu, pcpu, reason, text, detail, cause)


def _note_event(one: NoteRecord) -> Event:
    number, position, clock, kind, reason, vm, vcpu, cause, said = one
    text = NOTE_TEXTS.get((kind, reason), "{said}").format(vm=vm, vcpu=vcpu, said=said)
    return Event(number, 0, position, clock, kind, vm, vcpu, None, reason, text, {}, cause)
