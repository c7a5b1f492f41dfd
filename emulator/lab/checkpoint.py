"""A whole lab at one instant, in memory, to which it can be taken back.

Host RAM is held by its slots (`Host.hold`), so that a checkpoint costs memory only where something changes
afterwards; everything else is a memento of the objects. Caches (decoded code, fast maps) are dropped, and
what readers have been shown, with the counter of visible changes, goes on: a reader gets everything anew.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emulator.errors import VmLabError
from emulator.hypervisor.decisions import Live
from emulator.hypervisor.trace import Revision
from emulator.lab.memento import Aside, Memento
from emulator.lab.observing import Views
from emulator.lab.registers import SeenRegisters
from emulator.machine.host import Host

if TYPE_CHECKING:
    from emulator.lab.lab import Lab


class CheckpointError(VmLabError):
    """A checkpoint cannot be taken or used: 'this checkpoint is one of another lab'."""


class Checkpoint:
    """Where a lab stood: at `position`, after the actions of `log`, on `host`."""

    def __init__(self, lab: Lab, previous: Checkpoint | None = None) -> None:
        """Take it. What has not changed since `previous` is shared with it. Raises CheckpointError."""
        host = lab.hypervisor.host
        if not host.can_hold:
            raise CheckpointError(
                "the host's backing store has no room for another checkpoint;"
                " drop an older one or delete a snapshot"
            )
        self.lab = lab
        lab.policies.close()
        lab.policies.seal()
        self.position = lab.position
        self.log = list(lab.log)
        self.host = host
        leave = (Host, Revision, Views, SeenRegisters, Aside, Live, type(lab.engine))
        trace = lab.hypervisor.trace
        shallow = [lab.log, lab.monitor.samples, *trace.settled(), *lab.timeline.ages.rows]
        self._memento = Memento([lab], leave, shallow, previous and previous._memento)
        self._ram = host.memento()

    @property
    def actions(self) -> int:
        """How many actions had been applied."""
        return len(self.log)

    @property
    def own_bytes(self) -> int:
        """About the memory that it takes beside RAM."""
        return self._memento.size + 4 * len(self._ram.pages)

    def restore(self) -> None:
        """Take the lab back."""
        self._memento.restore()
        self.host.put_back(self._ram)

    def release(self) -> None:
        """Let go of the memory; the checkpoint cannot be used any more."""
        self._ram.pages.release()


@contextmanager
def all_or_nothing(lab: Lab) -> Generator[None]:
    """Take the lab back to where it stood if what is done inside fails. Raises CheckpointError."""
    before = Checkpoint(lab)
    try:
        yield
    except BaseException:
        lab.restore(before)
        raise
    finally:
        before.release()
