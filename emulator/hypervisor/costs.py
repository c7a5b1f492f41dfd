"""What the hypervisor's own work costs, in cycles of the pCPU that does it.

Guest instructions are counted one by one; the hypervisor is Python and has no instructions to count, so its
work is charged from this table. The numbers are of the order that exits have on real machines (about one to
two thousand cycles for a round trip through a fault, a few hundred for a call), rounded. Every exit costs
something, so that no two states of a run share a position.
"""

from __future__ import annotations

WORLD_SWITCH = 300  # load another vCPU's registers into a hart
BY_REASON = {
    "sbi": 400,
    "wfi": 300,
    "timer": 500,
    "budget": 500,
    "guest page fault": 1000,
    "demand paging": 1500,  # find a frame and zero it
    "virtual instruction": 700,
    "external interrupt": 500,
    "mmio": 1500,
}
OTHER = 700
PER_CONSOLE_BYTE = 1
PER_IPI = 100
# What the exits at the end of a turn can take at most: the longest call (a page for the console), the guest's
# timer, and the end of the timeslice. Whoever must not be overdrawn keeps so much back.
LONGEST_EXIT = 6_000


def of(reason: str) -> int:
    """Return what an exit costs."""
    return BY_REASON.get(reason, OTHER)
