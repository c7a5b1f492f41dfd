"""What happened: who was on which pCPU when, and the log of exits, faults, state changes and actions.

Everything here is history, kept for people and for checks; nothing in the machine depends on it. Histories
are bounded. `revision` grows with every visible change, so that a reader can ask for what is new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

SliceKind = Literal["run", "hypervisor", "idle"]
EventKind = Literal["action", "state", "exit", "fault", "console", "device"]
# event id, revision, position, clock, reason, text, vm, vcpu, pcpu, pc, cycles charged
ExitRecord = tuple[int, int, int, int, str, str, str, int, int, int, int]

SLICES_KEPT = 4_000  # per pCPU
EXITS_KEPT = 500
EVENTS_KEPT = 2_000
OVERLAP_LOOK_BACK = 8


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


@dataclass(slots=True)
class Slice:
    """A stretch of one pCPU's time, in cycles of its clock; the last one of a pCPU may still grow."""

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
        self.lanes: list[deque[Slice]] = [deque(maxlen=SLICES_KEPT) for _ in range(pcpus)]
        self.exits: deque[ExitRecord] = deque(maxlen=EXITS_KEPT)
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.together: set[tuple[str, str]] = set()
        self.next_event = next_event
        self._next_slice = 1
        self._last: list[Slice | None] = [None] * pcpus

    def slice(
        self, pcpu: int, vm: str | None, vcpu: int | None, kind: SliceKind, start: int, end: int
    ) -> None:
        """Add `start`..`end` to a lane, growing its last slice when that is of the same kind and vCPU."""
        if end == start:
            return
        self.revision.value += 1
        last = self._last[pcpu]
        if (
            last is not None
            and last.kind == kind
            and last.vcpu == vcpu
            and last.vm == vm
            and last.end == start
        ):
            last.end = end
            last.revision = self.revision.value
        else:
            last = Slice(self._next_slice, self.revision.value, pcpu, vm, vcpu, kind, start, end)
            self.lanes[pcpu].append(last)
            self._last[pcpu] = last
            self._next_slice += 1
        if kind == "run" and vm is not None and len(self.lanes) > 1:
            self._note_overlaps(pcpu, vm, start, end)

    def _note_overlaps(self, pcpu: int, vm: str, start: int, end: int) -> None:
        for index, lane in enumerate(self.lanes):
            if index == pcpu:
                continue
            for back in range(1, min(OVERLAP_LOOK_BACK, len(lane)) + 1):
                other = lane[-back]
                if other.end <= start:
                    break
                if other.vm != vm and other.vm is not None and other.kind == "run" and other.start < end:
                    self.together.add((vm, other.vm) if vm < other.vm else (other.vm, vm))

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
        self.revision.value += 1
        number = self.next_event
        self.next_event = number + 1
        self.exits.append(
            (number, self.revision.value, position, clock, reason, text, vm, vcpu, pcpu, pc, cycles)
        )

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
        for lane in self.lanes:
            count = 0
            for one in reversed(lane):
                if one.revision <= revision or count == most:
                    break
                count += 1
            yield from list(lane)[len(lane) - count :]

    def events_since(self, revision: int, most_exits: int = EXITS_KEPT) -> list[Event]:
        """Return the entries that are newer than a revision, oldest first; `most_exits` of them exits."""
        exits = [_exit_event(one) for one in list(self.exits)[-most_exits:] if one[1] > revision]
        others = [event for event in self.events if event.revision > revision]
        return sorted(exits + others, key=lambda event: event.id)


def _exit_event(one: ExitRecord) -> Event:
    number, revision, position, clock, reason, text, vm, vcpu, pcpu, pc, cycles = one
    detail: dict[str, str | int] = {"pc": f"{pc:#018x}", "cycles": cycles}
    return Event(number, revision, position, clock, "exit", vm, vcpu, pcpu, reason, text, detail)
