"""Lottery scheduling: every turn is drawn, and weights are tickets.

C. A. Waldspurger, W. E. Weihl, "Lottery Scheduling: Flexible Proportional-Share Resource Management", OSDI
1994. Shares are met on average: after n turns the error is of the order of the square root of n. Left out:
ticket transfers, currencies, and compensation tickets for turns that end early.
"""

from __future__ import annotations

from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo

MASK = (1 << 64) - 1


class Lottery(Scheduler):
    """Who holds more tickets wins more often. The draws come from the lab's seed."""

    name = "lottery"
    title = "Lottery"
    uses_weight = True
    starvation_free = False  # only very unlikely

    def __init__(self, timeslice: int, seed: int = 0) -> None:
        """Begin the row of draws that belongs to `seed`."""
        super().__init__(timeslice, seed)
        self.random = seed & MASK

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Draw a ticket and return who holds it."""
        ticket = self._draw() % sum(vcpu.share for vcpu in runqueue)
        for vcpu in runqueue:
            ticket -= vcpu.share
            if ticket < 0:
                return vcpu
        return None

    def _draw(self) -> int:
        """Return the next of a row of 64-bit numbers: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
        self.random = (self.random + 0x9E37_79B9_7F4A_7C15) & MASK
        mixed = self.random
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58_476D_1CE4_E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D0_49BB_1331_11EB) & MASK
        return mixed ^ (mixed >> 31)
