"""Round robin: everybody in turn, each for the same timeslice. Weights do not matter."""

from __future__ import annotations

from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo


class RoundRobin(Scheduler):
    """The first who came is the first to run."""

    name = "round-robin"
    title = "Round robin"

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Take the first in the queue."""
        return runqueue[0]
