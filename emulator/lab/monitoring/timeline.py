"""A window of a lab's past: what every pCPU and vCPU did in it, what was logged and printed.

The answer's size goes with `width` and not with the length of the window: where more happened than `width`
pieces can show, neighbours become one piece that says who had how many cycles of it. Times are cycles of a
pCPU clock; clocks of pCPUs differ by a quantum at most, and the time of the lab is their mean: the position
at which it is `t` is `base_position + t * pcpus` (`TimelineView.host`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypedDict

from emulator.hypervisor.clocks import QUANTUM_CYCLES
from emulator.hypervisor.trace import END, KIND, START, VCPU, VM, Event
from emulator.lab.memento import Aside
from emulator.lab.monitoring.ages import (
    CODE_MASK,
    CODES,
    EXIT,
    HOST,
    IDLE,
    LANE_SHIFT,
    ROW,
    RUN,
    STATES,
    VCPU_LANES,
    Ages,
    Sums,
    open_waits,
    run_code,
)
from emulator.lab.observation import EventView
from emulator.lab.observing import event_view

if TYPE_CHECKING:
    from emulator.lab.lab import Lab, LogEntry

MOST_WIDTH = 2_000
MOST_EVENTS, MOST_EXITS, MOST_PRINTS, MOST_ACTIONS = 150, 200, 60, 100
FINE = ("exit", "schedule", "interrupt")  # what is told only where there is room for all of it
UNMARKED = ("action", "console")  # they have rows of their own
UNSEEN = ("decide", "answer")
TEXT_CHARACTERS = 80
# What is shown first where there is not room for all of the log.
RANKS = {"fault": 0, "alarm": 1, "state": 2, "device": 3, "console": 4}
Piece = tuple[int, int, Sums]  # start, end, code -> cycles
Lane = list[int]


class TimelineHost(TypedDict):
    """How instants and positions go together: `position = base_position + mean clock * pcpus`."""

    pcpus: int
    clock_hz: int
    base_position: int
    position: int  # where the lab stands, and there:
    clocks_cycles: list[int]  # of each pCPU
    quantum_cycles: int


class VcpuLane(TypedDict):
    """What one vCPU did: codes are places in `states`."""

    vm: str
    vcpu: int
    lane: Lane


class TimelineEvent(EventView):
    """An entry of the log, with its place on the axis."""

    clock_cycles: int


class ActionView(TypedDict):
    """What the student did: entry `seq` of the action log. `seq - 1` actions came before it."""

    seq: int
    position: int
    clock_cycles: int  # mean of the clocks
    verb: str
    vm: str | None
    text: str  # the action's other fields, shortened


class PrintView(TypedDict):
    """What a VM printed."""

    vm: str
    start_cycles: int
    end_cycles: int
    text: str


class TimelineView(TypedDict):
    """A window of the past.

    A lane is [start, piece, piece, ...]. A piece is its length in cycles and a code; or, where several share
    it, the length, minus their number, and for each a code and its cycles, longest first. Code -1: unknown.
    Codes of a pCPU: 0 idle, 1 the hypervisor's own work, 2 + 2 n runs vCPU n of `owners`, 3 + 2 n is the
    hypervisor on behalf of it: an exit, or a world switch.
    """

    from_cycles: int
    to_cycles: int
    first_cycles: int  # nothing is known before
    precision_cycles: int  # 0: every slice is told, else what is shorter than this is added up
    owners: list[tuple[str, int]]
    states: list[str]
    pcpus: list[Lane]
    vcpus: list[VcpuLane]
    events: list[TimelineEvent]
    events_left: int  # entries of the log in the window for which there was no room
    actions: list[ActionView]
    actions_left: int
    prints: list[PrintView]
    host: TimelineHost


class Timeline:
    """The past of one lab; part of it, so that going back takes it back."""

    def __init__(self, lab: Lab) -> None:
        """Begin where the lab stands."""
        clock = min(pcpu.hart.clock for pcpu in lab.hypervisor.pcpus)
        self.ages = Ages(lab.hypervisor, clock)

    def change_host(self, lab: Lab) -> None:
        """Go on with the pCPUs of another host."""
        self.ages.change_host(lab.hypervisor, lab.hypervisor.pcpus[0].hart.clock)


class Past:
    """What windows are cut from: the history up to some position of a line."""

    def __init__(self, lab: Lab, kept: bool = False) -> None:
        """Take the history of a lab as it stands; one that is `kept` does not go on with it."""
        hypervisor = lab.hypervisor
        self.position = lab.position
        self.line = list(lab.log)
        self.clocks = [pcpu.hart.clock for pcpu in hypervisor.pcpus]
        self.open_waits = list(open_waits(hypervisor, hypervisor.mean_clock))
        self.trace = hypervisor.trace.copy() if kept else hypervisor.trace
        self.ages = lab.timeline.ages.copy() if kept else lab.timeline.ages


class Ahead(Aside):
    """What lies ahead of a lab that stands in the past of its line, as it was when it left the present."""

    def __init__(self) -> None:
        """Nothing is known of what lies ahead."""
        self._kept: Past | None = None

    def keep(self, lab: Lab) -> None:
        """Keep the history of a lab that is about to leave the present."""
        self._kept = Past(lab, kept=True)

    def past(self, lab: Lab) -> Past:
        """Return all that is known of a lab's line of history."""
        recorder, kept = lab.recorder, self._kept
        if recorder is None or kept is None or not recorder.behind or kept.position != recorder.present:
            return Past(lab)
        line = [entry for entry in lab.line if entry["action"]["verb"] not in UNSEEN]
        same = line == [entry for entry in kept.line if entry["action"]["verb"] not in UNSEEN]
        return kept if same else Past(lab)


def timeline(lab: Lab, first: int, last: int, width: int) -> TimelineView:
    """Return the window `first` to `last`, in cycles, in about `width` pieces of each lane."""
    width = max(1, min(width, MOST_WIDTH))
    past = lab.ahead.past(lab)
    known = past.trace.kept_from()
    newest = max(past.clocks)
    first, last = max(0, min(first, newest)), min(max(first + 1, last), newest)
    step = max(1, (last - first) // width)
    lanes = _Lanes(past, first, last)
    rows_until = lanes.take_rows(step, known)
    lanes.take_slices(rows_until)
    pcpus = [_encoded(pieces, step, width) for pieces in lanes.pcpus]
    order = list(lab.hypervisor.vms)
    vcpus = {owner: _encoded(pieces, step, width) for owner, pieces in lanes.vcpus(order)}
    owners = lanes.owners
    events, left = _events(lab, past, first, last)
    actions, actions_left = _actions(lab, first, last)
    return {
        "from_cycles": first,
        "to_cycles": last,
        "first_cycles": min(past.ages.first, known),
        "precision_cycles": max(lanes.coarsest, step if lanes.crowded(width) else 0),
        "owners": owners,
        "states": list(STATES),
        "pcpus": pcpus,
        "vcpus": [
            {"vm": owners[owner][0], "vcpu": owners[owner][1], "lane": lane} for owner, lane in vcpus.items()
        ],
        "events": events,
        "events_left": left,
        "actions": actions,
        "actions_left": actions_left,
        "prints": _prints(past, first, last),
        "host": _host(lab),
    }


def _host(lab: Lab) -> TimelineHost:
    hypervisor = lab.hypervisor
    return {
        "pcpus": len(hypervisor.pcpus),
        "clock_hz": lab.host_config.clock,
        "base_position": hypervisor.position_of(0),
        "position": lab.position,
        "clocks_cycles": [pcpu.hart.clock for pcpu in hypervisor.pcpus],
        "quantum_cycles": QUANTUM_CYCLES,
    }


class _Lanes:
    """The pieces of all lanes in a window, oldest first."""

    def __init__(self, past: Past, first: int, last: int) -> None:
        self.past = past
        self.first, self.last = first, last
        self.owners = list(past.ages.owners)
        self._numbers = {owner: number for number, owner in enumerate(self.owners)}
        self.pcpus: list[list[Piece]] = [[] for _ in past.clocks]
        self._vcpus: dict[int, list[Piece]] = {}
        self.coarsest = 0
        self._rows = 0

    def crowded(self, width: int) -> bool:
        """Return whether some lane has more pieces than can be told."""
        lanes = (*self.pcpus, *self._vcpus.values())
        return any(len(pieces) > width for pieces in lanes)

    def vcpus(self, vms: list[str]) -> Iterator[tuple[int, list[Piece]]]:
        """Yield the lanes of vCPUs, those of `vms` first, in their order."""
        places = {name: place for place, name in enumerate(vms)}
        for owner in sorted(
            self._vcpus, key=lambda one: (places.get(self.owners[one][0], len(places)), self.owners[one])
        ):
            yield owner, self._vcpus[owner]

    def take_rows(self, step: int, known: int) -> int:
        """Take what is there as rows; return from where on slices tell it."""
        ages = self.past.ages
        if step < ROW and self.first >= known:
            return self.first
        until = self.first
        for row in ages.levels_from(self.first, step):
            if row.start >= self.last or (step < ROW and row.start >= known):
                break
            self._take_row(row.start, row.end, row.sums)
            until = row.end
        return until

    def _take_row(self, start: int, end: int, sums: Sums) -> None:
        lanes: dict[int, Sums] = {}
        for key, cycles in sums.items():
            lane, code = key >> LANE_SHIFT, key & CODE_MASK
            _add(lanes, lane, code, cycles)
            if lane < VCPU_LANES and code > HOST:
                owner, exits = divmod(code - run_code(0), 2)
                _add(lanes, VCPU_LANES + owner, EXIT if exits else RUN, cycles)
        for lane, shares in lanes.items():
            if lane < len(self.pcpus):
                self.pcpus[lane].append((start, end, shares))
            elif lane >= VCPU_LANES:
                self._vcpus.setdefault(lane - VCPU_LANES, []).append((start, end, shares))
        if sum(map(len, lanes.values())) > len(lanes):  # of what is alone in a row, all is known
            self.coarsest = max(self.coarsest, min(end - start, self.last - self.first))

    def take_slices(self, since: int) -> None:
        """Take what the trace still has of a window's end."""
        trace = self.past.trace
        fresh: dict[int, list[Piece]] = {}
        for pcpu, lane in enumerate(self.pcpus):
            mine: list[Piece] = []
            for one in trace.backwards(pcpu):
                if one[END] <= since:
                    break
                if one[START] < self.last:
                    mine.append(self._piece(one, since, fresh))
            lane += reversed(mine)
        for vm, vcpu, state, start, end in self._waits(since):
            start, end = max(start, since), min(end, self.last)
            if start < end:
                piece = (start, end, {CODES[state]: end - start})
                fresh.setdefault(self._owner(vm, vcpu), []).append(piece)
        for owner, pieces in fresh.items():
            self._vcpus.setdefault(owner, []).extend(_in_order(pieces))

    def _waits(self, since: int) -> Iterator[tuple[str, int, str, int, int]]:
        for one in reversed(self.past.trace.waits):
            if one[4] > since:
                yield one
        yield from self.past.open_waits

    def _piece(self, one: list[object], since: int, fresh: dict[int, list[Piece]]) -> Piece:
        start, end = max(_clock(one[START]), since), min(_clock(one[END]), self.last)
        vm, vcpu = one[VM], one[VCPU]
        if not isinstance(vm, str) or not isinstance(vcpu, int):
            return start, end, {IDLE if one[KIND] == "idle" else HOST: end - start}
        owner, exits = self._owner(vm, vcpu), one[KIND] != "run"
        fresh.setdefault(owner, []).append((start, end, {EXIT if exits else RUN: end - start}))
        return start, end, {run_code(owner) + exits: end - start}

    def _owner(self, vm: str, vcpu: int) -> int:
        """Return a vCPU's number; one that is not in rows yet gets one for this answer."""
        number = self._numbers.get((vm, vcpu))
        if number is None:
            number = self._numbers[(vm, vcpu)] = len(self.owners)
            self.owners.append((vm, vcpu))
        return number


def _clock(value: object) -> int:
    assert isinstance(value, int)
    return value


def _add(lanes: dict[int, Sums], lane: int, code: int, cycles: int) -> None:
    mine = lanes.setdefault(lane, {})
    mine[code] = mine.get(code, 0) + cycles


def _in_order(pieces: list[Piece]) -> Iterator[Piece]:
    """Yield pieces by time, without what was told twice."""
    known = 0
    for start, end, shares in sorted(pieces, key=lambda piece: piece[:2]):
        if end > known:
            yield max(start, known), end, shares
            known = end


def _encoded(pieces: list[Piece], step: int, width: int) -> Lane:
    """Return a lane; where there are more than `width` pieces, neighbours become one of `step` cycles."""
    if not pieces:
        return [0]
    lane: Lane = [pieces[0][0]]
    at = pieces[0][0]
    for start, end, shares in _joined(pieces, step) if len(pieces) > width else pieces:
        if start > at:
            lane += (start - at, -1)
        lane.append(end - start)
        lane += _shares(shares)
        at = end
    return lane


def _shares(shares: Sums) -> Iterable[int]:
    if len(shares) == 1:
        return shares
    if not shares:
        return (-1,)
    order = sorted(shares.items(), key=lambda share: -share[1])
    return (-len(order), *(number for share in order for number in share))


def _joined(pieces: Iterable[Piece], step: int) -> Iterator[Piece]:
    first, last, sums = 0, 0, Sums()
    for start, end, shares in pieces:
        if sums and (end - first > step or start > last):
            yield first, last, sums
            sums = {}
        if not sums:
            first = start
        for code, cycles in shares.items():
            sums[code] = sums.get(code, 0) + cycles
        last = end
    if sums:
        yield first, last, sums


def _events(lab: Lab, past: Past, first: int, last: int) -> tuple[list[TimelineEvent], int]:
    logged = past.trace.all_events()
    inside = [one for one in logged if first <= one.clock <= last and one.kind not in UNMARKED]
    newest = [event for event in inside if event.kind in FINE][-MOST_EXITS - 1 :]
    exits = newest if len(newest) <= MOST_EXITS else []
    others = [event for event in inside if event.kind not in FINE]
    chosen = sorted(others, key=lambda event: (RANKS.get(event.kind, len(RANKS)), -event.id))[:MOST_EVENTS]
    shown = sorted([*chosen, *exits], key=lambda event: event.id)
    return [_event(lab, event) for event in shown], len(inside) - len(shown)


def _event(lab: Lab, event: Event) -> TimelineEvent:
    return {**event_view(lab, event), "clock_cycles": event.clock}


def _actions(lab: Lab, first: int, last: int) -> tuple[list[ActionView], int]:
    """Return the newest actions in a window, and how many more there are. Decisions of policies are none."""
    hypervisor = lab.hypervisor
    base, pcpus = hypervisor.position_of(0), len(hypervisor.pcpus)
    inside = [
        entry
        for entry in lab.line
        if first <= (entry["position"] - base) // pcpus <= last and entry["action"]["verb"] not in UNSEEN
    ]
    shown = inside[-MOST_ACTIONS:]
    return [_action(entry, base, pcpus) for entry in shown], len(inside) - len(shown)


def _action(entry: LogEntry, base: int, pcpus: int) -> ActionView:
    action = entry["action"]
    others = {key: value for key, value in action.items() if key not in ("verb", "vm")}
    vm = action.get("vm")
    return {
        "seq": entry["seq"],
        "position": entry["position"],
        "clock_cycles": (entry["position"] - base) // pcpus,
        "verb": action["verb"],
        "vm": vm if isinstance(vm, str) else None,
        "text": ", ".join(f"{key} {_short(value)}" for key, value in others.items())[:TEXT_CHARACTERS],
    }


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text[:TEXT_CHARACTERS].split())


def _prints(past: Past, first: int, last: int) -> list[PrintView]:
    inside = [one for one in past.trace.prints if one[2] >= first and one[1] <= last]
    return [
        {"vm": vm, "start_cycles": start, "end_cycles": end, "text": text}
        for vm, start, end, text in inside[-MOST_PRINTS:]
    ]
