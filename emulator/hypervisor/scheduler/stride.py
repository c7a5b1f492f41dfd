"""Stride scheduling: shares by weight without chance.

C. A. Waldspurger, W. E. Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource Management",
MIT/LCS/TM-528, 1995. Every vCPU has a *pass*, which advances by what it has run, divided by its weight; the
smallest pass runs next. Two vCPUs that both want to run are never apart by more than one turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo

SCALE = 1 << 24
MOST_LAG = 10  # turns


class Stride(Scheduler):
    """The smallest pass runs next."""

    name = "stride"
    title = "Stride"
    uses_weight = True

    def __init__(self, timeslice: int, seed: int = 0) -> None:
        """Begin at pass 0."""
        super().__init__(timeslice, seed)
        self.passes: dict[int, int] = {}
        self.front = 0  # the largest pass that was ever picked

    def on_wake(self, vcpu: VcpuInfo, now: int) -> None:
        """Let it join where the others are: sleeping saves nothing up, and is not a way to get ahead."""
        self.passes[vcpu.id] = max(self.passes.get(vcpu.id, 0), self.front)

    def on_sleep(self, vcpu: VcpuInfo, now: int) -> None:
        """Forget a pass that is behind the others anyway."""
        if self.passes.get(vcpu.id, 0) <= self.front:
            self.passes.pop(vcpu.id, None)

    def on_exit(self, vcpu: VcpuInfo, ran: int, now: int) -> None:
        """Advance its pass.

        A weight that asks for more than one whole pCPU cannot be met: such a vCPU falls behind for ever, and
        must not take it all back from those who come later.
        """
        after = self.passes.get(vcpu.id, self.front) + self._stride(vcpu, ran)
        least = self.front - MOST_LAG * self._stride(vcpu, self.timeslice_cycles)
        self.passes[vcpu.id] = max(after, least)

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Take the smallest pass; of several, who came first."""
        vcpu = min(runqueue, key=lambda one: self.passes.get(one.id, self.front))
        self.front = max(self.front, self.passes.get(vcpu.id, self.front))
        return vcpu

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None:
        """Forget who is gone."""
        known = {vcpu.id for vcpu in vcpus}
        self.passes = {number: value for number, value in self.passes.items() if number in known}

    def _stride(self, vcpu: VcpuInfo, ran: int) -> int:
        return ran * SCALE // vcpu.share
