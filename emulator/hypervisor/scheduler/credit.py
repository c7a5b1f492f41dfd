"""The credit scheduler: shares by weight, handed out once in each accounting period.

After Xen's first credit scheduler (P. Barham et al., "Xen and the Art of Virtualization", SOSP 2003, for the
setting; xen/common/sched/credit.c for the policy). In each period the time of all pCPUs is divided among the
vCPUs that want to run; running spends it. Who has credit left (UNDER) goes before who has not (OVER), and who
wakes up with credit left goes first of all (BOOST). Left out: run queues for each pCPU and balancing between
them, and caps, which the hypervisor keeps itself, to the cycle.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo

BOOST, UNDER, OVER = 0, 1, 2
PERIOD_TIMESLICES = 10


class Credit(Scheduler):
    """First who was boosted, then who has credit left, then everybody else; in each class who has most."""

    name = "credit"
    title = "Credit"
    uses_weight = True
    preemptive = True

    def __init__(self, timeslice: int, seed: int = 0) -> None:
        """Begin with nobody and no credit."""
        super().__init__(timeslice, seed)
        self.credits: dict[int, int] = {}  # cycles
        self.wanting: dict[int, VcpuInfo] = {}  # who runs or wants to
        self.boosted: set[int] = set()
        self.pcpus = 1
        self.next_accounting = 0

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None:
        """Count the pCPUs, and forget who is gone."""
        self.pcpus = len(pcpus)
        known = {vcpu.id for vcpu in vcpus}
        self.credits = {number: value for number, value in self.credits.items() if number in known}

    def on_wake(self, vcpu: VcpuInfo, now: int) -> None:
        """Boost it, if it has slept with credit left."""
        if self.credits.get(vcpu.id, 0) > 0:
            self.boosted.add(vcpu.id)
        self.wanting[vcpu.id] = vcpu

    def on_sleep(self, vcpu: VcpuInfo, now: int) -> None:
        """Give it no more credit."""
        self.wanting.pop(vcpu.id, None)
        self.boosted.discard(vcpu.id)

    def on_exit(self, vcpu: VcpuInfo, ran: int, now: int) -> None:
        """Take what it has run from its credit."""
        self.credits[vcpu.id] = self.credits.get(vcpu.id, 0) - ran
        self.boosted.discard(vcpu.id)
        self._account(now)

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Take who has most credit in the best class.

        In Xen they take turns: there a VM that is owed nearly a whole pCPU loses what it misses in line.
        """
        self._account(now)
        return min(runqueue, key=lambda vcpu: (self._class(vcpu), -self.credits.get(vcpu.id, 0)))

    def preempts(self, vcpu: VcpuInfo, running: VcpuInfo, now: int) -> bool:
        """Let the boosted go before all others."""
        return self._class(vcpu) == BOOST and self._class(running) != BOOST

    def _class(self, vcpu: VcpuInfo) -> int:
        if vcpu.id in self.boosted:
            return BOOST
        return UNDER if self.credits.get(vcpu.id, 0) >= 0 else OVER

    def _account(self, now: int) -> None:
        """Hand out the credit of the period that has begun; those in which nobody ran have none.

        Nobody keeps more than one period's worth.
        """
        if now < self.next_accounting:
            return
        period = PERIOD_TIMESLICES * self.timeslice_cycles
        self.next_accounting = now - now % period + period
        for number, income in self._incomes(period).items():
            self.credits[number] = min(self.credits.get(number, 0) + income, period)

    def _incomes(self, period: int) -> dict[int, int]:
        """Divide one period of all pCPUs by weight; nobody can use more than one whole pCPU."""
        left, supply = dict(self.wanting), self.pcpus * period
        incomes: dict[int, int] = {}
        while left:
            total = sum(vcpu.share for vcpu in left.values())
            satisfied = [n for n, v in left.items() if supply * v.share >= period * total]
            if not satisfied:
                return incomes | {n: supply * v.share // total for n, v in left.items()}
            for number in satisfied:
                incomes[number] = period
                del left[number]
            supply -= period * len(satisfied)
        return incomes
