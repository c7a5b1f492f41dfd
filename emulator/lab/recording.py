"""The recorded past of a lab: checkpoints, taken while it runs.

Checkpoints lie close together near the present and ever further apart behind (each gap is at most an eighth
of its age), so that their number grows with the logarithm of the time. How often they are taken depends on
virtual time and on how many pages the last stretch has written, never on the wall clock. Where the lab runs
again through a stretch that has lost its checkpoints, it gets some again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.lab.checkpoint import Checkpoint
from emulator.lab.memento import Aside

if TYPE_CHECKING:
    from emulator.lab.lab import Lab, LogEntry

SPACING = 12_500_000  # positions between checkpoints at least
PAGE_POSITIONS = 20_000  # for each page that had to be copied or was written first, at least
DENSITY = 8  # a gap may be so many times smaller than its age
DEFAULT_BYTES = 64 << 20


class Recording(Aside):
    """The checkpoints of one lab, in order of position. No part of its state."""

    def __init__(self, lab: Lab, limit: int, spacing: int) -> None:
        """Record from here on, in about `limit` bytes."""
        self.lab = lab
        self.limit = limit
        self.spacing = spacing
        self.checkpoints: list[Checkpoint] = []
        self.paused = False
        self.next_position = lab.position
        self._pages = 0  # in use when the last checkpoint was taken

    @property
    def present(self) -> int:
        """The furthest position of this line of history."""
        return self.lab.position

    def run_to(self, position: int) -> None:
        """Run the lab to a position as its hypervisor does, and record on the way."""
        hypervisor = self.lab.hypervisor
        while True:
            hypervisor.run_to(position if self.paused else min(position, self.next_position))
            self.record()
            if hypervisor.stopped or hypervisor.position >= position:
                return

    def record(self) -> None:
        """Take a checkpoint if one is due."""
        lab = self.lab
        if self.paused or lab.position < self.next_position:
            return
        place = self._place()
        if place < len(self.checkpoints) and self.checkpoints[place].position - lab.position < self.spacing:
            self.next_position = self.checkpoints[place].position + self.spacing
            return
        written = lab.hypervisor.host.pages_in_use - self._pages
        due = self.checkpoints[place - 1].position + written * PAGE_POSITIONS if place else 0
        if due > lab.position:
            self.next_position = due
            return
        self._make_room()
        if lab.hypervisor.host.can_hold:
            self._take()
        self._thin()
        self._pages = lab.hypervisor.host.pages_in_use
        self.next_position = lab.position + self.spacing

    def _place(self) -> int:
        """Return how many checkpoints lie at or before where the lab stands."""
        return bisect_right(self.checkpoints, self.lab.position, key=lambda one: one.position)

    def _take(self) -> None:
        """Take a checkpoint; where this process has no memory for it, do without, and with fewer others."""
        place = self._place()
        previous = self.checkpoints[place - 1] if place else None
        try:
            self.checkpoints.insert(place, self.lab.checkpoint(previous))
        except MemoryError:
            for _ in range(len(self.checkpoints) // 2):
                self._drop(1 if len(self.checkpoints) > 1 else 0)

    def forget(self) -> None:
        """Let go of all checkpoints: something else needs the room."""
        while self.checkpoints:
            self._drop(0)

    def _make_room(self) -> None:
        while self.checkpoints and not self.lab.hypervisor.host.can_hold:
            self._drop(0)

    def _thin(self) -> None:
        """Drop what is closer to its neighbours than its age asks for, and what there is no memory for."""
        index = len(self.checkpoints) - 2
        while index > 0:
            if self._gap(index) <= self._age(index) // DENSITY:
                self._drop(index)
            index -= 1
        while len(self.checkpoints) > 2 and self.held_bytes > self.limit:
            self._drop(min(range(1, len(self.checkpoints) - 1), key=self._worth))

    def _gap(self, index: int) -> int:
        """Return the gap that would be left without a checkpoint."""
        return self.checkpoints[index + 1].position - self.checkpoints[index - 1].position

    def _age(self, index: int) -> int:
        return self.present - self.checkpoints[index + 1].position

    def _worth(self, index: int) -> float:
        return self._gap(index) / (1 + self._age(index))

    def _drop(self, index: int) -> None:
        self.checkpoints.pop(index).release()

    def keep_only(self, line: Sequence[LogEntry]) -> None:
        """Let go of the checkpoints that are not on a line of history."""
        for index in range(len(self.checkpoints) - 1, -1, -1):
            if not is_on(self.checkpoints[index], line, self.checkpoints[index].position):
                self._drop(index)

    @property
    def held_bytes(self) -> int:
        """The memory that the past takes beyond the present."""
        now = self.lab.hypervisor.host
        hosts = {id(one.host): one.host for one in self.checkpoints}
        pages = sum(host.store_bytes for host in hosts.values())
        if id(now) in hosts:
            pages -= now.store_used_bytes
        return pages + sum(one.own_bytes for one in self.checkpoints)

    def go_on_recording(self) -> None:
        """Record on from here, after the lab was taken elsewhere."""
        place = self._place()
        self.next_position = self.checkpoints[place - 1].position + self.spacing if place else 0
        self._pages = self.lab.hypervisor.host.pages_in_use

    def __enter__(self) -> None:
        self.paused = True

    def __exit__(self, *_: object) -> None:
        self.paused = False
        self.go_on_recording()


def is_on(checkpoint: Checkpoint, line: Sequence[LogEntry], position: int) -> bool:
    """Return whether a checkpoint lies on a line of history, not behind `position`."""
    count = checkpoint.actions
    return (
        checkpoint.position <= position
        and count <= len(line)
        and (count == len(line) or line[count]["position"] >= checkpoint.position)
        and list(line[:count]) == checkpoint.log
    )
