"""What a vCPU's time away from its guest was spent on, and how its translations fared: counts and cycles.

Exits are counted and timed by reason; world switches apart from them. All of a vCPU's hypervisor time is in
one of the two. Translations are what a hart's TLBs and page-table walker count while it is loaded there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

Translations = tuple[int, int, int]  # instruction TLB misses, data TLB misses, walk references


@dataclass(slots=True)
class Counters:
    """The counters of one vCPU since its VM was started, or the sum of several."""

    exits: dict[str, int] = field(default_factory=dict[str, int])
    exit_cycles: dict[str, int] = field(default_factory=dict[str, int])
    switches: int = 0  # world switches to it
    switch_cycles: int = 0
    tlb_flushes: int = 0  # of a whole TLB, because it was switched to
    itlb_misses: int = 0
    dtlb_misses: int = 0
    walk_references: int = 0  # page-table entries read by hardware
    last_reason: str = ""
    last_cycles: int = 0  # of the last exit, all that was charged for it
    loaded_with: Translations = (0, 0, 0)  # what its hart had counted when it was loaded

    def exit(self, reason: str, cycles: int) -> None:
        """Count an exit and what it is charged."""
        self.exits[reason] = self.exits.get(reason, 0) + 1
        self.exit_cycles[reason] = self.exit_cycles.get(reason, 0) + cycles
        self.last_reason, self.last_cycles = reason, cycles

    def extra(self, cycles: int) -> None:
        """Add to what the last exit is charged."""
        self.exit_cycles[self.last_reason] += cycles
        self.last_cycles += cycles

    def switch(self, cycles: int) -> None:
        """Count a world switch."""
        self.switches += 1
        self.switch_cycles += cycles

    def load(self, hart: Any) -> None:
        """Take note of what a hart has counted so far."""
        self.loaded_with = _counted(hart)

    def unload(self, hart: Any) -> None:
        """Count what a hart has counted since `load`."""
        self.itlb_misses, self.dtlb_misses, self.walk_references = self.translations(hart)
        self.loaded_with = (0, 0, 0)

    def translations(self, hart: Any | None) -> Translations:
        """Return the counts of translations, with those of the hart that it is loaded in, if it is."""
        counted = (self.itlb_misses, self.dtlb_misses, self.walk_references)
        if hart is None:
            return counted
        here = zip(counted, _counted(hart), self.loaded_with, strict=True)
        first, second, third = (kept + now - before for kept, now, before in here)
        return first, second, third

    def add(self, other: Counters) -> None:
        """Add the counts of a vCPU that is not loaded."""
        for reason, count in other.exits.items():
            self.exits[reason] = self.exits.get(reason, 0) + count
            self.exit_cycles[reason] = self.exit_cycles.get(reason, 0) + other.exit_cycles[reason]
        self.switches += other.switches
        self.switch_cycles += other.switch_cycles
        self.tlb_flushes += other.tlb_flushes
        self.itlb_misses += other.itlb_misses
        self.dtlb_misses += other.dtlb_misses
        self.walk_references += other.walk_references

    def state(self) -> dict[str, Any]:
        """Return the plain state, for the state hash."""
        return asdict(self)


def in_order_of_count(counts: dict[str, int], values: dict[str, int]) -> dict[str, int]:
    """Return `values` in falling order of `counts`, whose keys they have."""
    return {reason: values[reason] for reason in sorted(counts, key=lambda one: -counts[one])}


def total(parts: Iterable[Counters]) -> Counters:
    """Return the sum of counters of vCPUs that are not loaded."""
    result = Counters()
    for one in parts:
        result.add(one)
    return result


def _counted(hart: Any) -> Translations:
    return hart.itlb_misses, hart.dtlb_misses, hart.walk_references
