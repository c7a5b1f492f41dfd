"""A fair scheduler in the style of EEVDF, which is Linux's since 6.6.

I. Stoica, H. Abdel-Wahab, "Earliest Eligible Virtual Deadline First: A Flexible and Accurate Mechanism for
Proportional Share Resource Allocation", Old Dominion University TR-95-22, 1995. Every vCPU has a virtual
time, which advances by what it has run divided by its weight. Who is behind the weighted mean is *eligible*:
it is owed time. Of those, the one whose next slice would end first (the virtual deadline) runs: latency by
deadline, shares by eligibility. A sleeper keeps its lag, so that sleeping neither gains nor loses. Left out:
slices of one's own for each vCPU, and run queues for each pCPU.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo

SCALE = 1 << 24
MOST_LAG = 2  # slices that a vCPU may be owed, or owe, while it sleeps
MOST_BEHIND = 10  # slices that it may fall behind all others because it wants more than a whole pCPU


class Fair(Scheduler):
    """Of those to whom time is owed, the earliest virtual deadline runs next."""

    name = "fair"
    title = "Fair (EEVDF)"
    uses_weight = True
    preemptive = True

    def __init__(self, timeslice: int, seed: int = 0) -> None:
        """Begin at virtual time 0."""
        super().__init__(timeslice, seed)
        self.wanting: dict[int, VcpuInfo] = {}  # who runs or wants to
        self.times: dict[int, int] = {}
        self.deadlines: dict[int, int] = {}
        self.lags: dict[int, int] = {}  # of those who sleep
        self.floor = 0  # where virtual time goes on when nobody wants to run

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None:
        """Forget who is gone."""
        known = {vcpu.id for vcpu in vcpus}
        self.lags = {number: lag for number, lag in self.lags.items() if number in known}

    def on_wake(self, vcpu: VcpuInfo, now: int) -> None:
        """Place it as far from the mean as it was when it fell asleep."""
        time = self._mean() - self.lags.pop(vcpu.id, 0)
        self.wanting[vcpu.id] = vcpu
        self.times[vcpu.id] = time
        self.deadlines[vcpu.id] = time + self._slice(vcpu)

    def on_sleep(self, vcpu: VcpuInfo, now: int) -> None:
        """Remember its lag."""
        if vcpu.id not in self.wanting:
            return
        most = MOST_LAG * self._slice(vcpu)
        self.floor = self._mean()
        self.lags[vcpu.id] = max(-most, min(most, self.floor - self.times[vcpu.id]))
        for table in (self.wanting, self.times, self.deadlines):
            del table[vcpu.id]

    def on_exit(self, vcpu: VcpuInfo, ran: int, now: int) -> None:
        """Advance its virtual time, and its deadline when the slice is used up."""
        if vcpu.id not in self.wanting:
            return
        others = [time for number, time in self.times.items() if number != vcpu.id]
        least = min(others, default=0) - MOST_BEHIND * self._slice(vcpu)
        time = max(self.times[vcpu.id] + self._virtual(vcpu, ran), least)
        self.times[vcpu.id] = time
        if time >= self.deadlines[vcpu.id]:
            self.deadlines[vcpu.id] = time + self._slice(vcpu)

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Take the earliest deadline of the eligible; if all are ahead, who is least so."""
        mean = self._mean()
        eligible = [vcpu for vcpu in runqueue if self._time(vcpu) <= mean]
        if eligible:
            return min(eligible, key=self._deadline)
        return min(runqueue, key=self._time)

    def preempts(self, vcpu: VcpuInfo, running: VcpuInfo, now: int) -> bool:
        """Let the eligible go before those with a later deadline."""
        return self._time(vcpu) <= self._mean() and self._deadline(vcpu) < self._deadline(running)

    def _mean(self) -> int:
        """Return the mean of all virtual times, weighted: where everybody would be in an ideal world."""
        total = sum(vcpu.share for vcpu in self.wanting.values())
        if not total:
            return self.floor
        return sum(self.times[number] * vcpu.share for number, vcpu in self.wanting.items()) // total

    def _time(self, vcpu: VcpuInfo) -> int:
        return self.times.get(vcpu.id, self.floor)

    def _deadline(self, vcpu: VcpuInfo) -> int:
        return self.deadlines.get(vcpu.id, self.floor)

    def _slice(self, vcpu: VcpuInfo) -> int:
        return self._virtual(vcpu, self.timeslice_cycles)

    def _virtual(self, vcpu: VcpuInfo, ran: int) -> int:
        return ran * SCALE // vcpu.share
