"""What a host does with its memory, and what a VM may have of it."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.state import PAGE_BYTES

WHOLE = 100


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """How a host gives memory.

    `overcommit` is the memory of all VMs that are on, in percent of the host's, 0 for a static partition: a
    VM has all its frames from its start. With overcommit it gets a frame when it first touches a page.
    The swap area has `swap_pages`; a page is read or written in `swap_latency` cycles. `replacement` names
    the policy that chooses what goes; every `age_every` cycles it is told what was used. With `ksm`,
    `ksm_pages` are scanned every `ksm_every` cycles. `balloon_policy` is asked every `balloon_every` cycles.
    """

    overcommit: int = 0
    swap_pages: int = 0
    replacement: str = "clock"
    swap_latency: int = 10_000
    age_every: int = 1_000_000
    ksm: bool = False
    ksm_pages: int = 100
    ksm_every: int = 1_000_000
    balloon_policy: str = "manual"
    balloon_every: int = 1_000_000

    @property
    def on_demand(self) -> bool:
        """Whether frames are given at the first touch."""
        return self.overcommit > 0


@dataclass(frozen=True, slots=True)
class RamSettings:
    """What a VM may have of the host's frames, in bytes. These can change while it runs.

    It never has more than `limit` at a time (0: no limit); `reservation` is kept for it. Its memory can grow
    to `most` while it is on (0: it cannot). With a `page` of 2 MiB its G-stage table has leaves of that size
    where it can. These two change only while it is off.
    """

    limit: int = 0
    reservation: int = 0
    most: int = 0
    page: int = PAGE_BYTES


NO_LIMITS = RamSettings()
