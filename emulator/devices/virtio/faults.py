"""Faults that somebody injects into a virtio device, at its transport: it hangs, or it breaks.

Neither acknowledges anything: a request that meets a fault stays in the driver's queue, as it was. A device
that *stalls* serves nothing until it is healed, and then everything that waits. One that *breaks* asks for a
reset (DEVICE_NEEDS_RESET; Virtio 1.2, section 2.1), which the driver may do at once: the fault is used up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["stall", "break"]


@dataclass
class DeviceFault:
    """What happens after `skip` more requests."""

    kind: FaultKind
    skip: int = 0


def meet_fault(faults: list[DeviceFault]) -> FaultKind | None:
    """Return what happens to the next request; a break is used up by it."""
    for fault in list(faults):
        if fault.skip:
            fault.skip -= 1
            continue
        if fault.kind == "break":
            faults.remove(fault)
        return fault.kind
    return None
