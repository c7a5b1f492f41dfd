"""The multi-level feedback queue: short turns are favoured, and nobody has to say in advance who is short.

R. and A. Arpaci-Dusseau, "Operating Systems: Three Easy Pieces", chapter 8, rules 1 to 5; F. J. Corbato et
al., "An Experimental Time-Sharing System", 1962. A vCPU begins at the top. Who has used up its allotment at a
level, in one turn or in many, goes down by one; deeper levels have longer turns. From time to time all rise
to the top again, so that nobody starves and a vCPU may change its ways. Weights do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo

LEVELS = 4
BOOST_TIMESLICES = 100  # from one rise of all to the next


class MultilevelFeedbackQueue(Scheduler):
    """The highest level runs first, each level in turn."""

    name = "mlfq"
    title = "Multi-level feedback queue"
    preemptive = True

    def __init__(self, timeslice: int, seed: int = 0) -> None:
        """Begin with nobody; whoever is not in a table is at the top and has used nothing."""
        super().__init__(timeslice, seed)
        self.levels: dict[int, int] = {}
        self.used: dict[int, int] = {}  # cycles at this level
        self.next_boost = 0

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None:
        """Forget who is gone."""
        known = {vcpu.id for vcpu in vcpus}
        self.levels = {number: level for number, level in self.levels.items() if number in known}
        self.used = {number: used for number, used in self.used.items() if number in known}

    def on_exit(self, vcpu: VcpuInfo, ran: int, now: int) -> None:
        """Count its turn; send it down when its allotment is used up."""
        used = self.used.get(vcpu.id, 0) + ran
        if used >= self._allotment(vcpu):
            self.levels[vcpu.id] = min(self._level(vcpu) + 1, LEVELS - 1)
            used = 0
        self.used[vcpu.id] = used

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Take the first of the highest level."""
        if now >= self.next_boost:
            self.levels.clear()
            self.used.clear()
            self.next_boost = now + BOOST_TIMESLICES * self.timeslice_cycles
        return min(runqueue, key=self._level)

    def timeslice(self, vcpu: VcpuInfo, now: int) -> int:
        """Return what is left of its allotment."""
        return max(1, self._allotment(vcpu) - self.used.get(vcpu.id, 0))

    def preempts(self, vcpu: VcpuInfo, running: VcpuInfo, now: int) -> bool:
        """Let a higher level go first."""
        return self._level(vcpu) < self._level(running)

    def _level(self, vcpu: VcpuInfo) -> int:
        return self.levels.get(vcpu.id, 0)

    def _allotment(self, vcpu: VcpuInfo) -> int:
        return self.timeslice_cycles << self._level(vcpu)
