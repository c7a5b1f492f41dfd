"""Who runs next. One class for each policy; round robin so far.

A vCPU in the queue has a `ready_at`, the virtual time from which it wants a pCPU. A pCPU whose clock is
behind that may not run it yet: otherwise a vCPU that moves between pCPUs would see time go backwards.
"""

from __future__ import annotations

from typing import Protocol

from emulator.hypervisor.vcpu import Vcpu


class Scheduler(Protocol):
    """A policy. Times are in cycles."""

    queue: list[Vcpu]

    def on_wake(self, vcpu: Vcpu) -> None:
        """Take a vCPU that wants to run."""
        ...

    def on_exit(self, vcpu: Vcpu) -> None:
        """Take back a vCPU whose timeslice is over."""
        ...

    def pick(self, now: int) -> Vcpu | None:
        """Remove and return the vCPU to run on a pCPU whose clock shows `now`."""
        ...

    def timeslice(self, vcpu: Vcpu) -> int:
        """Return how long it may run."""
        ...


class RoundRobin:
    """Everybody in turn, each for the same timeslice."""

    def __init__(self, timeslice_cycles: int) -> None:
        """Begin with an empty queue."""
        self.queue: list[Vcpu] = []
        self.timeslice_cycles = timeslice_cycles

    def on_wake(self, vcpu: Vcpu) -> None:
        """Put it at the end of the queue."""
        self.queue.append(vcpu)

    def on_exit(self, vcpu: Vcpu) -> None:
        """Put it at the end of the queue."""
        self.queue.append(vcpu)

    def pick(self, now: int) -> Vcpu | None:
        """Take the first that may run now."""
        for index, vcpu in enumerate(self.queue):
            if vcpu.ready_at <= now:
                return self.queue.pop(index)
        return None

    def timeslice(self, vcpu: Vcpu) -> int:
        """Return the host's timeslice."""
        return self.timeslice_cycles
