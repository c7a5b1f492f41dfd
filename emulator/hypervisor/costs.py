"""What the hypervisor's own work costs, in cycles of the pCPU that does it.

Guest instructions are counted one by one; the hypervisor is Python and has no instructions to count, so its
work is charged from a table. The defaults are of the order that exits have on real machines (about one to
two thousand cycles for a round trip through a fault, a few hundred for a call), rounded; a host can have
others (`host.costs`). Every exit costs something, so that no two states of a run share a position.
"""

from __future__ import annotations

from collections.abc import Mapping

WORLD_SWITCH = 300  # load another vCPU's registers into a hart
BY_REASON = {
    "sbi": 400,
    "wfi": 300,
    "timer": 500,
    "budget": 500,
    "guest page fault": 1000,
    "demand paging": 1500,  # find a frame and zero it
    "swap in": 2500,  # find a frame, and have the disk read it
    "copy on write": 2000,  # find a frame, and copy the page
    "virtual instruction": 700,
    "external interrupt": 500,
    "mmio": 1500,
    "shadow miss": 2000,  # walk the guest's table in software, write an entry
    "reflected page fault": 1500,  # the same walk, and an injection
    "satp access": 800,
    "address fence": 800,
}
OTHER = 700
TLB_FLUSH = 200  # empty the TLBs of a pCPU at a world switch, without VMIDs
PER_CONSOLE_BYTE = 1
PER_IPI = 100
LONGEST_TEXT = 4096  # bytes for the console in one call
MOST_TARGETS = 8  # of one call for interprocessor interrupts
LEAST_EXIT = 1


def _key(reason: str) -> str:
    return reason.replace(" ", "_")


# Names as in `host.costs`, with their defaults.
DEFAULTS: dict[str, int] = {
    **{_key(reason): cycles for reason, cycles in BY_REASON.items()},
    "other": OTHER,
    "world_switch": WORLD_SWITCH,
    "tlb_flush": TLB_FLUSH,
    "console_byte": PER_CONSOLE_BYTE,
    "ipi": PER_IPI,
}
MAY_BE_FREE = ("tlb_flush", "console_byte", "ipi")


class Costs:
    """The price list of one host: `changes` are by the names of DEFAULTS, everything else has its default."""

    def __init__(self, changes: Mapping[str, int] | None = None) -> None:
        """Set the prices."""
        prices = {**DEFAULTS, **(changes or {})}
        self.prices = prices
        self.other = prices["other"]
        self.by_reason = {reason: prices[_key(reason)] for reason in BY_REASON}
        self.world_switch = prices["world_switch"]
        self.tlb_flush = prices["tlb_flush"]
        self.per_console_byte = prices["console_byte"]
        self.per_ipi = prices["ipi"]
        longest_call = max(LONGEST_TEXT * self.per_console_byte, MOST_TARGETS * self.per_ipi)
        longest = max(self.other, prices["sbi"] + longest_call, *self.by_reason.values())
        # What the exits at the end of a turn can take at most: the longest one, the guest's timer, and
        # the end of the timeslice. Whoever must not be overdrawn keeps so much back.
        self.longest_exit = longest + prices["timer"] + prices["budget"]
        self.longest_switch = self.world_switch + self.tlb_flush

    def of(self, reason: str) -> int:
        """Return what an exit costs."""
        return self.by_reason.get(reason, self.other)
