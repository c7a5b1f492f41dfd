"""What led to what: the small context from which every event of the log takes its cause.

While an exit is handled, or an action, an alarm's rule or a due timer is carried out, `now` is the number of
the event that this follows from. What is put off (a timer, a request to a device, a vCPU that is ready and
waits) takes the number along, in tables with a place for each vCPU or VM, and gives it back when it is due.
Numbers of events alone: nothing in the machine depends on them. Of several requests that a device has at
once, the one that set its alarm counts for all that is done when it rings.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager


class Causes:
    """The causes of one host; 0 stands for none."""

    def __init__(self, pcpus: int) -> None:
        """Nothing has led to anything."""
        self.now = 0
        self.exit = 0  # the exit that is being handled
        self.runs = [0] * pcpus  # by pCPU: why the vCPU that holds it wanted it
        self.cut = [0] * pcpus  # by pCPU: why its turn ends early
        # By number of the vCPU (VcpuInfo.id): why it wants a pCPU, who set its timer, and why it sleeps.
        self.ready: dict[int, int] = {}
        self.timers: dict[int, int] = {}
        self.sleeps: dict[int, int] = {}
        self.devices: dict[int, int] = {}  # by serial number of the VM: what its devices have to do

    @contextmanager
    def of(self, event: int) -> Generator[None]:
        """Let what happens inside follow from an event."""
        before, self.now = self.now, event
        try:
            yield
        finally:
            self.now = before
