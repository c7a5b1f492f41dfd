"""Earliest deadline first, with reservations: so many cycles in each period, guaranteed.

C. L. Liu, J. W. Layland, "Scheduling Algorithms for Multiprogramming in a Hard-Real-Time Environment", J. ACM
20(1), 1973: one processor meets all deadlines exactly when utilisations sum up to at most 1. Each vCPU with a
reservation is a constant bandwidth server (L. Abeni, G. Buttazzo, "Integrating Multimedia Applications in
Hard Real-Time Systems", RTSS 1998), as in Linux's SCHED_DEADLINE and Xen's RTDS: a budget, a deadline, and a
rule for waking up that keeps sleepers from disturbing the others. It stays on one pCPU, its *home*, chosen by
first fit. Time that nobody has reserved goes round among all who want to run, in turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo

MOST_RESERVED = 95  # percent of a pCPU; the rest is for exits that cannot be cut short, and for everybody


class EarliestDeadlineFirst(Scheduler):
    """Who has budget left runs before who has not, the earliest deadline first."""

    name = "edf"
    title = "Earliest deadline first"
    preemptive = True

    def __init__(self, timeslice: int, seed: int = 0) -> None:
        """Begin with nobody."""
        super().__init__(timeslice, seed)
        self.reserved: dict[int, VcpuInfo] = {}
        self.places: dict[int, int] = {}
        self.budgets: dict[int, int] = {}
        self.deadlines: dict[int, int] = {}

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None:
        """Find every reservation a home."""
        self.reserved = {vcpu.id: vcpu for vcpu in vcpus if vcpu.reservation}
        self.places, _ = _place(vcpus, pcpus)
        known = self.budgets
        self.budgets = {n: min(known.get(n, v.reservation), v.reservation) for n, v in self.reserved.items()}
        self.deadlines = {n: self.deadlines.get(n, now + v.period) for n, v in self.reserved.items()}

    def refusal(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int]) -> str:
        """Return why the reservations do not fit on the pCPUs, or an empty text."""
        places, left = _place(vcpus, pcpus)
        homeless = next((vcpu for vcpu in vcpus if vcpu.reservation and vcpu.id not in places), None)
        if homeless is None:
            return ""
        rooms = ", ".join(f"pCPU {pcpu}: {room / 10_000:.1f} %" for pcpu, room in left.items())
        return (
            f"vCPU {homeless} reserves {_use(homeless) / 10_000:.1f} % of a pCPU, and none on which it may"
            f" run has so much left ({rooms}; at most {MOST_RESERVED} % of each can be reserved);"
            " reserve less, or make room"
        )

    def on_wake(self, vcpu: VcpuInfo, now: int) -> None:
        """Begin a new period, unless what is left of the old one can be used without hurting anybody."""
        if vcpu.id not in self.reserved:
            return
        left = self.deadlines.get(vcpu.id, 0) - now
        if left <= 0 or self.budgets.get(vcpu.id, 0) * vcpu.period > left * vcpu.reservation:
            self.budgets[vcpu.id] = vcpu.reservation
            self.deadlines[vcpu.id] = now + vcpu.period

    def on_exit(self, vcpu: VcpuInfo, ran: int, now: int) -> None:
        """Take what it has run from its budget.

        A turn that goes on beyond its deadline is paid for by both periods.
        """
        if vcpu.id not in self.budgets:
            return
        before = min(ran, max(0, ran - (now - self.deadlines[vcpu.id])))
        self.budgets[vcpu.id] -= before
        self._replenish(vcpu, now)
        self.budgets[vcpu.id] -= ran - before

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Take the earliest deadline that has budget; else the first in the queue."""
        for vcpu in runqueue:
            self._replenish(vcpu, now)
        urgent = [vcpu for vcpu in runqueue if self.budgets.get(vcpu.id, 0) > 0]
        if urgent:
            return min(urgent, key=lambda vcpu: (self.deadlines[vcpu.id], vcpu.id))
        return runqueue[0]

    def homes(self, vcpu: VcpuInfo) -> Sequence[int]:
        """Return the one pCPU on which its reservation is."""
        return (self.places[vcpu.id],) if vcpu.id in self.places else ()

    def timeslice(self, vcpu: VcpuInfo, now: int) -> int:
        """Return how long it may run until its budget ends, or anybody's begins anew."""
        most = [self.timeslice_cycles, *(at - now for at in self.deadlines.values() if at > now)]
        budget = self.budgets.get(vcpu.id, 0)
        return max(1, min([*most, budget] if budget > 0 else most))

    def preempts(self, vcpu: VcpuInfo, running: VcpuInfo, now: int) -> bool:
        """Let budgets go before turns without one, and earlier deadlines before later ones."""
        return self._rank(vcpu) < self._rank(running)

    def _rank(self, vcpu: VcpuInfo) -> tuple[int, int]:
        has_budget = self.budgets.get(vcpu.id, 0) > 0
        return (0, self.deadlines[vcpu.id]) if has_budget else (1, 0)

    def _replenish(self, vcpu: VcpuInfo, now: int) -> None:
        """Fill the budgets of the periods that have begun by now."""
        if vcpu.id not in self.budgets or now < self.deadlines[vcpu.id]:
            return
        periods = (now - self.deadlines[vcpu.id]) // vcpu.period + 1
        self.deadlines[vcpu.id] += periods * vcpu.period
        self.budgets[vcpu.id] = vcpu.reservation


def _use(vcpu: VcpuInfo) -> int:
    """Return what part of a pCPU it reserves, in millionths, rounded up."""
    return -(-vcpu.reservation * 1_000_000 // vcpu.period)


def _place(vcpus: Sequence[VcpuInfo], pcpus: Sequence[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Return a home for each reservation that fits, the largest first, and what is left of each pCPU."""
    left = dict.fromkeys(sorted(pcpus), MOST_RESERVED * 10_000)
    homes: dict[int, int] = {}
    for vcpu in sorted(vcpus, key=lambda one: (-_use(one), one.id)):
        if not vcpu.reservation:
            continue
        for pcpu, room in left.items():
            if _use(vcpu) <= room and (not vcpu.affinity or pcpu in vcpu.affinity):
                homes[vcpu.id] = pcpu
                left[pcpu] = room - _use(vcpu)
                break
    return homes, left
