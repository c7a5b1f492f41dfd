"""What stands behind the pages of one VM's RAM."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

ABSENT = -1  # in `Vm.frames`: no frame stands behind this page


@dataclass
class Backing:
    """The account of a VM, in pages. The counters go from one start of the VM to the next."""

    resident: int = 0  # pages with a frame
    given: int = 0  # frames given at a first touch, by the guest or for a device
    refused: str = ""  # why the VM was paused: its guest touched a page for which there was no frame

    def restart(self) -> None:
        """Begin to count anew; what is resident stays."""
        self.given = 0
        self.refused = ""

    def state(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        return list(astuple(self))
