"""What every pCPU and vCPU did in the whole past of a lab, in less detail the longer ago it is.

The trace keeps each slice of the newest past. Before it drops them they are added up here into *rows*: who
had how many cycles of each lane between two instants. Level 0 has a row for each ROW cycles, every further
level rows GROWTH times as long, and each level keeps its newest KEPT rows. So an instant is known to within
1/128 of its age (GROWTH / KEPT), or ROW where that is more, in about a megabyte, for hours of virtual time.
Of a stretch in which nothing changes there is one row, however long it is.

When rows are made follows from the history alone and never from where a run was stopped or who looked, so
that a past that is run again has the same rows.
"""

from __future__ import annotations

from array import array
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator.hypervisor.sleeping import ASLEEP
from emulator.hypervisor.trace import END, KIND, START, VCPU, VM, Wait
from emulator.hypervisor.vcpu import Vcpu, VcpuState
from emulator.hypervisor.vm import ACTIVE, ON

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

ROW = 100_000
GROWTH = 8
LEVELS = 6
KEPT = 1024
FOLD_EVERY = 1_500  # slices; a pCPU's trace keeps more than twice as many

# What a lane is doing. A pCPU's codes beyond HOST say for which vCPU (`owners`) as well: see `run_code`.
IDLE, HOST = 0, 1
STATES = ("run", "exit", "ready", "blocked", "idle", "off", "paused")  # of a vCPU
RUN, EXIT = 0, 1
CODES = {"ready": 2, "blocked": 3, "idle": 4, "suspended": 4, "stopped": 5, "paused": 6}
VCPU_LANES = 64  # the first number of a vCPU's lane; before are the pCPUs
LANE_SHIFT = 32
CODE_MASK = (1 << LANE_SHIFT) - 1

WAITING = -1  # as the lane of a Place
Place = tuple[int, str | None, int | None, str]  # pCPU or WAITING, VM, vCPU, kind of slice or state
Sums = dict[int, int]  # lane << LANE_SHIFT | code -> cycles


_STRETCH = itemgetter(VM, VCPU, KIND, START, END)


class Row(NamedTuple):
    """Who had what between two clocks."""

    start: int
    end: int
    sums: dict[Any, int]  # by a number of Sums; by Place before it is kept


def run_code(owner: int) -> int:
    """Return the code of a pCPU that runs a vCPU; one more is the hypervisor on behalf of it."""
    return 2 + 2 * owner


def open_wait(vcpu: Vcpu) -> str | None:
    """Return why a vCPU is on no pCPU since `vcpu.since`; None if it is on one, or its VM is off."""
    if vcpu.vm.lifecycle not in ON or vcpu.pcpu is not None:
        return None
    return vcpu.waits_as


class Ages:
    """The rows of one host, from `start` on."""

    def __init__(self, hypervisor: Hypervisor, start: int) -> None:
        """Begin at a clock, and add up what the trace of a hypervisor is about to drop."""
        self.rows: list[deque[bytes]] = [deque(maxlen=KEPT) for _ in range(LEVELS)]
        self.starts = [start] * LEVELS  # of each level's open row; that of level 0 is where slices go on
        self.owners: list[tuple[str, int]] = []
        self._numbers: dict[tuple[str, int], int] = {}
        self._sums: list[Sums] = [{} for _ in range(LEVELS)]
        self._waits_seen = 0
        self._later: list[Wait] = []
        self.follow(hypervisor, start)

    def follow(self, hypervisor: Hypervisor, clock: int) -> None:
        """Go on with the trace of a hypervisor whose clocks are at `clock`."""
        self._hypervisor = hypervisor
        self._later = []
        self._waits_seen = hypervisor.trace.waits_made
        hypervisor.trace.fold = self.fold
        hypervisor.trace.fold_at = hypervisor.trace.next_slice + FOLD_EVERY

    def change_host(self, hypervisor: Hypervisor, clock: int) -> None:
        """Go on with another host, whose clocks are at `clock`: those of the one before, or later."""
        self._fold_to(clock)
        self.follow(hypervisor, clock)

    def copy(self) -> Ages:
        """Return rows of their own, to which none are added."""
        kept = object.__new__(Ages)
        kept.rows = [deque(rows) for rows in self.rows]
        kept.starts = list(self.starts)
        kept.owners = list(self.owners)
        return kept

    def owner(self, vm: str, vcpu: int) -> int:
        """Return the number of a vCPU."""
        number = self._numbers.get((vm, vcpu))
        if number is None:
            number = self._numbers[(vm, vcpu)] = len(self.owners)
            self.owners.append((vm, vcpu))
        return number

    def levels_from(self, first: int, step: int) -> Iterator[Row]:
        """Yield the rows from a clock on, oldest first: of the coarsest level with rows of at most `step`.

        Where finer rows are gone they are those that are left; the newest are finer than asked for.
        """
        chosen = max([level for level in range(LEVELS) if ROW * GROWTH**level <= step], default=0)
        known = first
        for level in reversed(range(LEVELS)):
            finer = self._first(level - 1) if level > chosen else None
            for row in self._rows_from(level, known):
                if finer is not None and row.end > finer:
                    break
                yield row
                known = row.end

    @property
    def first(self) -> int:
        """The first clock that is known, as far as that is in rows."""
        return min(self._first(level) for level in range(LEVELS))

    def _first(self, level: int) -> int:
        return array("Q", self.rows[level][0])[0] if self.rows[level] else self.starts[level]

    def _rows_from(self, level: int, first: int) -> Iterator[Row]:
        rows = self.rows[level]
        newer = 0
        for packed in reversed(rows):
            if array("Q", packed[8:16])[0] <= first:
                break
            newer += 1
        for packed in islice(rows, len(rows) - newer, None):
            start, end, *rest = array("Q", packed)
            if start >= first or level == LEVELS - 1 or start < first < end:
                yield Row(start, end, dict(zip(rest[::2], rest[1::2], strict=True)))

    # Adding up

    def fold(self, pcpu: int, start: int) -> None:
        """Make rows of all that is over. A slice of `pcpu` begins at `start`.

        The other pCPUs stand where their turns have ended, wherever a run was stopped.
        """
        hypervisor = self._hypervisor
        over = min([start, *(one.hart.clock for one in hypervisor.pcpus if one.index != pcpu)])
        aligned = over // ROW * ROW
        # Where so much happens that slices of less than a row are all that is kept, rows are shorter.
        boundary = aligned if aligned > self.starts[0] else over
        if boundary > self.starts[0]:
            self._fold_to(boundary)
        hypervisor.trace.fold_at = hypervisor.trace.next_slice + FOLD_EVERY

    def _fold_to(self, boundary: int) -> None:
        spread = _Spread(self.starts[0], boundary)
        trace = self._hypervisor.trace
        for pcpu in range(len(self._hypervisor.pcpus)):
            spread.add(map(_STRETCH, trace.backwards(pcpu)), pcpu)
        spread.add(self._waits(boundary), WAITING)
        for row in spread.rows():
            sums: Sums = {}
            for place, cycles in row.sums.items():
                key = self._key(place)
                sums[key] = sums.get(key, 0) + cycles
            self._close(sums, row.start, row.end)
        self.starts[0] = boundary

    def _waits(self, boundary: int) -> Iterator[Wait]:
        trace = self._hypervisor.trace
        fresh = min(trace.waits_made - self._waits_seen, len(trace.waits))
        ended = [*self._later, *islice(trace.waits, len(trace.waits) - fresh, None)]
        self._waits_seen = trace.waits_made
        self._later = [one for one in ended if one[4] > boundary]
        return chain(ended, open_waits(self._hypervisor, boundary))

    def _key(self, key: Place) -> int:
        """Return the number of a place in a row."""
        lane, vm, vcpu, kind = key
        if vm is None or vcpu is None:
            return lane << LANE_SHIFT | (IDLE if kind == "idle" else HOST)
        owner = self.owner(vm, vcpu)
        if lane == WAITING:
            return (VCPU_LANES + owner) << LANE_SHIFT | CODES[kind]
        return lane << LANE_SHIFT | (run_code(owner) + (kind != "run"))

    def _close(self, sums: Sums, start: int, end: int) -> None:
        self._keep(0, sums, start, end)
        for level in range(1, LEVELS):
            width = ROW * GROWTH**level
            if end - start >= width:
                self._end_row(level, start)
                self._keep(level, sums, start, end)
                self.starts[level] = end
                continue
            mine = self._sums[level]
            for key, cycles in sums.items():
                mine[key] = mine.get(key, 0) + cycles
            if end // width > self.starts[level] // width:
                self._end_row(level, end)

    def _end_row(self, level: int, end: int) -> None:
        if end > self.starts[level]:
            self._keep(level, self._sums[level], self.starts[level], end)
        self._sums[level] = {}
        self.starts[level] = end

    def _keep(self, level: int, sums: Sums, start: int, end: int) -> None:
        flat = [start, end, *(number for pair in sums.items() for number in pair)]
        self.rows[level].append(array("Q", flat).tobytes())


def open_waits(hypervisor: Hypervisor, now: int) -> Iterator[Wait]:
    """Yield the waits that have not ended, as if they ended at `now`.

    Who sleeps and whose timer is due wants a pCPU from that instant on, even if nobody has looked yet.
    """
    for vm in hypervisor.vms.values():
        for vcpu in vm.vcpus:
            state = open_wait(vcpu)
            if state is None or now <= vcpu.since:
                continue
            due = vcpu.wakes_at if vcpu.state in ASLEEP and vm.lifecycle in ACTIVE else now
            woken = max(vcpu.since, min(due, now))
            yield vm.name, vcpu.index, state, vcpu.since, woken
            yield vm.name, vcpu.index, VcpuState.READY.value, woken, now


def _zeros() -> defaultdict[Place, int]:
    return defaultdict(int)


class _Spread:
    """Cycles by place in rows from one clock to another. This is the price that every slice pays once."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self._sums: dict[int, defaultdict[Place, int]] = defaultdict(_zeros)  # by number of the row
        self._long: list[tuple[Place, int, int]] = []  # what fills whole rows: from, to

    def add(self, stretches: Iterable[Any], lane: int) -> None:
        """Add (VM, vCPU, kind, start, end) of a lane: newest first; in any order if it is WAITING."""
        row_start = row_end = 0
        mine: dict[Place, int] = {}
        for vm, vcpu, kind, start, end in stretches:
            if row_start <= start and end <= row_end:
                mine[lane, vm, vcpu, kind] += end - start
                continue
            first, last = max(start, self.start), min(end, self.end)
            if first < last:
                self._add_long((lane, vm, vcpu, kind), first, last)
                mine, row_start, row_end = self._row(first)
            elif lane != WAITING and end <= self.start:
                return

    def _row(self, clock: int) -> tuple[dict[Place, int], int, int]:
        """Return the row of a clock, and from where to where it is taken."""
        row = clock // ROW
        return self._sums[row], max(self.start, row * ROW), min(self.end, row * ROW + ROW)

    def _add_long(self, place: Place, first: int, last: int) -> None:
        row, end = divmod(first, ROW)[0], last // ROW
        if row == end:
            self._sums[row][place] += last - first
            return
        if first % ROW:
            self._sums[row][place] += (row + 1) * ROW - first
            row += 1
        if last % ROW:
            self._sums[end][place] += last - end * ROW
        if row < end:
            self._long.append((place, row * ROW, end * ROW))

    def rows(self) -> Iterator[Row]:
        """Yield the rows, oldest first; one for all between them in which nothing changes."""
        edges = {at for row in self._sums for at in (row * ROW, row * ROW + ROW)}
        edges |= {at for _, first, last in self._long for at in (first, last)}
        cuts = sorted({self.start, self.end, *(at for at in edges if self.start < at < self.end)})
        for start, end in pairwise(cuts):
            sums = dict(self._sums.get(start // ROW, {})) if end - start <= ROW else {}
            for place, first, last in self._long:
                if first < end and start < last:
                    sums[place] = sums.get(place, 0) + min(end, last) - max(start, first)
            yield Row(start, end, sums)
