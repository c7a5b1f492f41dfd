"""A whole lab at one instant, in memory, to which it can be taken back.

Host RAM is held by its slots (`Host.hold`), so that a checkpoint costs memory only where something changes
afterwards; everything else is a memento of the objects. Caches (decoded code, fast maps) are dropped, and
what readers have been shown, with the counter of visible changes, goes on: a reader gets everything anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.errors import VmLabError
from emulator.hypervisor.trace import Revision
from emulator.lab.memento import Memento
from emulator.lab.observing import Views
from emulator.lab.registers import SeenRegisters
from emulator.machine.host import Host

if TYPE_CHECKING:
    from emulator.lab.lab import Lab


class CheckpointError(VmLabError):
    """A checkpoint cannot be taken or used: 'this checkpoint is one of another lab'."""


class Checkpoint:
    """Where a lab stood: at `position`, after the first `actions` entries of its log."""

    def __init__(self, lab: Lab, previous: Checkpoint | None = None) -> None:
        """Take it. What has not changed since `previous` is shared with it. Raises CheckpointError."""
        host = lab.hypervisor.host
        if not host.can_hold:
            raise CheckpointError(
                "the host's backing store has no room for another checkpoint;"
                " drop an older one or delete a snapshot"
            )
        self.lab = lab
        self.position = lab.position
        self.actions = len(lab.log)
        leave = (Host, Revision, Views, SeenRegisters, type(lab.engine))
        shallow = [lab.log, *lab.hypervisor.trace.settled()]
        self._memento = Memento([lab], leave, shallow, previous and previous._memento)
        self._host = host
        self._ram = host.memento()

    def restore(self) -> None:
        """Take the lab back."""
        self._memento.restore()
        self._host.put_back(self._ram)

    def release(self) -> None:
        """Let go of the memory; the checkpoint cannot be used any more."""
        self._ram.pages.release()
