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

SliceKind = Literal["run", "hypervisor", "idle"]
EventKind = Literal["action", "state", "exit", "fault", "console", "device", "alarm"]
# event id, revision, position, clock, reason, text, vm, vcpu, pcpu, pc, cycles charged
ExitRecord = tuple[int, int, int, int, str, str, str, int, int, int, int]
# VM, vCPU, state (of VcpuState, or "paused"), start, end
Wait = tuple[str, int, str, int, int]
# VM, clocks at which its first and last character came, text
Print = tuple[str, int, int, str]

SLICES_KEPT = 4_000  # per pCPU
EXITS_KEPT = 500
EVENTS_KEPT = 2_000
WAITS_KEPT = 4_000  # for each pCPU, of all vCPUs together
PRINTS_KEPT = 1_000
PRINT_CHARACTERS = 80
PRINT_CYCLES = 100_000  # what a VM prints within this time is one piece
OVERLAP_LOOK_BACK = 8


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
        return [*self._lanes, self.exits, self.events, self.waits, self.prints]

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
    ) -> None:
        """Add an exit to the log. Exits are many: what is known is put aside and told when somebody asks."""
        revision, number = self.revision, self.next_event
        revision.value = value = revision.value + 1
        self.next_event = number + 1
        self.exits.append((number, value, position, clock, reason, text, vm, vcpu, pcpu, pc, cycles))

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
    ) -> Event:
        """Add an entry to the log and return it."""
        event = Event(
            self.next_event,
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
        )
        self.next_event += 1
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
        """Return the entries that are newer than a revision, oldest first; `most_exits` of them exits."""
        exits = [_exit_event(one) for one in list(self.exits)[-most_exits:] if one[1] > revision]
        others = [event for event in self.events if event.revision > revision]
        return sorted(exits + others, key=lambda event: event.id)


def _exit_event(one: ExitRecord) -> Event:
    number, revision, position, clock, reason, text, vm, vcpu, pcpu, pc, cycles = one
    detail: dict[str, str | int] = {"pc": f"{pc:#018x}", "cycles": cycles}
    return Event(number, revision, position, clock, "exit", vm, vcpu, pcpu, reason, text, detail)
