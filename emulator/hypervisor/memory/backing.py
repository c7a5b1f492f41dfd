"""What stands behind the pages of one VM's RAM."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

ABSENT = -1  # in `Vm.frames`: no frame stands behind this page


@dataclass
class Backing:
    """The account of a VM, in pages. The counters go from one start of the VM to the next.

    A page is resident, or shares a frame, or is swapped, or nothing stands behind it: it was never touched,
    or the guest has given it to its balloon.
    """

    resident: int = 0  # pages with a frame of their own
    shared: set[int] = field(default_factory=set[int])  # pages that share a frame with others
    swapped: dict[int, int] = field(default_factory=dict[int, int])  # page -> slot of the swap area
    copies: dict[int, int] = field(default_factory=dict[int, int])  # the same, of pages that have a frame too
    used: int = 0  # pages whose A bit was set in the last interval that was looked at
    intervals: int = 0  # of these, those in which the VM ran
    ran: int = 0
    given: int = 0  # frames given at a first touch, by the guest or for a device
    swapped_in: int = 0
    swapped_out: int = 0  # written to the swap area
    refused: str = ""  # why the VM was paused: its guest touched a page for which there was no frame

    def restart(self) -> None:
        """Begin to count anew; what is resident stays."""
        self.given = self.swapped_in = self.swapped_out = 0
        self.used = self.intervals = self.ran = 0
        self.refused = ""

    def state(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        return list({**asdict(self), "shared": sorted(self.shared)}.values())
