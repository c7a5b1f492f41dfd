"""Caps: how much pCPU time a VM may take in each accounting period, kept to the cycle.

As `cpu.max` of Linux's control groups (Documentation/admin-guide/cgroup-v2.rst): a quota in each period,
shared by all vCPUs of the VM; when it is used up they wait for the next period. Unlike there a period is
never overdrawn: a vCPU is granted its turn in advance, with room for the exit that ends it. What a VM holds
includes what the hypervisor does on its behalf.
"""

from __future__ import annotations

from typing import Any

from emulator.hypervisor.costs import Costs

LEAST_TURN = 1_000  # cycles; a shorter turn would be all world switch
PERIODS_KEPT = 2  # pCPUs are never further apart than that


def least_quota(costs: Costs) -> int:
    """Return the smallest quota with which a vCPU can have a turn."""
    return costs.longest_exit + costs.longest_switch + LEAST_TURN


class Cap:
    """The account of one VM. Times are clocks of the pCPU that asks."""

    def __init__(self, quota: int, period: int, costs: Costs) -> None:
        """Allow `quota` cycles in each `period`; a quota of at least `least_quota(costs)`."""
        self.costs = costs
        self.quota = quota
        self.period = period
        self.used: dict[int, int] = {}  # period number -> cycles held, and granted to those who run

    def room(self, now: int) -> int:
        """Return for how long a vCPU may be loaded now, the exit at the end not counted."""
        number, into = divmod(now, self.period)
        left = min(self.quota - self.used.get(number, 0), self.period - into) - self.costs.longest_exit
        return left if left >= LEAST_TURN + self.costs.longest_switch else 0

    def next_chance(self, now: int) -> int:
        """Return when to ask again."""
        return now - now % self.period + self.period

    def grant(self, now: int, wanted: int) -> int:
        """Set a turn aside and return its length, at most `wanted`; there is room."""
        cycles = min(self.room(now), wanted)
        self._add(now // self.period, cycles + self.costs.longest_exit)
        return cycles

    def settle(self, begun: int, granted: int, end: int) -> None:
        """Count what was held instead of what was granted at `begun`."""
        self._add(begun // self.period, -granted - self.costs.longest_exit)
        self.book(begun, end)

    def book(self, begun: int, end: int) -> None:
        """Count what was held from `begun` to `end`."""
        while begun < end:
            boundary = min(end, self.next_chance(begun))
            self._add(begun // self.period, boundary - begun)
            begun = boundary
        for number in sorted(self.used)[:-PERIODS_KEPT]:
            del self.used[number]

    def _add(self, number: int, cycles: int) -> None:
        self.used[number] = self.used.get(number, 0) + cycles

    def state(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        return [self.quota, self.period, sorted(self.used.items())]
