"""What can be written as a policy: the base class of each interface, what it is asked, text to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emulator.hypervisor.memory.ballooning import BalloonPolicy, HostMemory, VmMemory
from emulator.hypervisor.memory.replacement import AccessBits, Replacement
from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo


class ExitHandler:
    """Trap and emulate: a device, or CSRs of the hypervisor, in your hands.

    `base` and `size` are the window of your device in guest-physical addresses, below RAM (0x8000_0000). The
    guest's aligned loads and stores there come to `read` and `write`. A CSR instruction of the guest that
    only a hypervisor may use (0x2xx and 0x6xx: `csrr a0, hstatus`) comes to `csr`. What you leave alone gets
    the fault that it gets without you.
    """

    base: int = 0x4000_0000
    size: int = 0x1000

    def read(self, vm: str, offset: int, size: int) -> int | None:
        """Return what a load of `size` bytes at `offset` of the window reads; None leaves it alone."""
        return None

    def write(self, vm: str, offset: int, size: int, value: int) -> bool:
        """Take a store of `value`; return whether you did, False leaves it alone."""
        return False

    def csr(self, vm: str, number: int, operation: str, value: int) -> int | None:
        """Return the old value of CSR `number`, which is to be read, written, or has bits set or cleared.

        `operation` is "read", "write", "set" or "clear", `value` the guest's operand. None leaves it alone.
        """
        return None


@dataclass(frozen=True, slots=True)
class HostInfo:
    """What a placement knows of a host: memory in bytes, and pCPUs with the number of vCPUs on them."""

    name: str
    memory: int
    memory_free: int
    pcpus: int
    vcpus: int


@dataclass(frozen=True, slots=True)
class VmRequest:
    """A VM that needs a host."""

    name: str
    memory: int
    vcpus: int
    group: str = ""  # VMs of one group should not share a host


class Placement:
    """Where a VM goes when it is started in a datacentre, and when a host is left. Used by datacentres."""

    def place(self, vm: VmRequest, hosts: Sequence[HostInfo]) -> str | None:
        """Return the name of the host for a VM, one of `hosts`; None if it has to wait."""
        return next((host.name for host in hosts if host.memory_free >= vm.memory), None)


@dataclass(frozen=True, slots=True)
class Interface:
    """One kind of policy.

    `answers` are the methods whose answers have an effect and are kept in the log; `notices` only tell it
    something. `documents` are the classes of what it is given. `question` is the heading of its docs.
    """

    name: str
    title: str
    question: str
    base: type[Any]
    answers: tuple[str, ...]
    notices: tuple[str, ...]
    documents: tuple[type[Any], ...]
    starter: str
    used: bool = True  # by a lab of one host


SCHEDULER_STARTER = '''\
class Mine(Scheduler):
    """Takes turns: whoever has waited for longest is next."""

    def on_wake(self, vcpu, now):
        """A vCPU wants to run from now on."""

    def pick(self, runqueue, now):
        """Return one of runqueue: who runs next on pCPU runqueue.pcpu."""
        return min(runqueue, key=lambda vcpu: vcpu.since)
'''
REPLACEMENT_STARTER = '''\
class Mine(Replacement):
    """Second chance: passes over what was used since it last came by."""

    def victim(self, bits):
        """Return the frame to take, one of self.frames, or None if none may go."""
        for frame in list(self.frames) * 2:
            if bits.may_go(frame):
                if not bits.accessed(frame):
                    return frame
                bits.clear(frame)
        return None
'''
BALLOON_STARTER = '''\
class Mine(BalloonPolicy):
    """While the host is short of memory, asks every VM for half of what it has beyond its reservation."""

    def targets(self, vms, host):
        """Return {name: bytes}: how large the balloons of these VMs should be."""
        if not host.is_short:
            return {}
        return {vm.name: max(0, vm.memory - vm.reservation) // 2 for vm in vms}
'''
EXIT_STARTER = '''\
class Mine(ExitHandler):
    """A device with one register that counts how often it was read."""

    base = 0x4000_0000
    size = 0x1000

    def __init__(self):
        self.count = 0

    def read(self, vm, offset, size):
        """Return what the guest's load reads; None for a fault."""
        if offset != 0:
            return None
        self.count += 1
        return self.count

    def write(self, vm, offset, size, value):
        """Return whether you take the guest's store."""
        self.count = value
        return True
'''
PLACEMENT_STARTER = '''\
class Mine(Placement):
    """Best fit: the host on which least memory stays free."""

    def place(self, vm, hosts):
        """Return the name of one of hosts, or None."""
        fitting = [host for host in hosts if host.memory_free >= vm.memory]
        return min(fitting, key=lambda host: host.memory_free).name if fitting else None
'''
INTERFACES: dict[str, Interface] = {
    one.name: one
    for one in (
        Interface(
            name="scheduler",
            title="vCPU scheduler",
            question="Who runs next?",
            base=Scheduler,
            answers=("pick", "timeslice", "preempts"),
            notices=("on_change", "on_wake", "on_sleep", "on_exit"),
            documents=(VcpuInfo, RunQueue),
            starter=SCHEDULER_STARTER,
        ),
        Interface(
            name="replacement",
            title="Page replacement",
            question="Which page goes?",
            base=Replacement,
            answers=("victim",),
            notices=("on_map", "on_unmap", "on_age"),
            documents=(AccessBits,),
            starter=REPLACEMENT_STARTER,
        ),
        Interface(
            name="balloon",
            title="Memory coordinator",
            question="Who gives memory back?",
            base=BalloonPolicy,
            answers=("targets",),
            notices=(),
            documents=(VmMemory, HostMemory),
            starter=BALLOON_STARTER,
        ),
        Interface(
            name="exits",
            title="VM-exit handler",
            question="What does the guest find there?",
            base=ExitHandler,
            answers=("read", "write", "csr"),
            notices=(),
            documents=(),
            starter=EXIT_STARTER,
        ),
        Interface(
            name="placement",
            title="Placement",
            question="Which host takes it?",
            base=Placement,
            answers=("place",),
            notices=(),
            documents=(VmRequest, HostInfo),
            starter=PLACEMENT_STARTER,
            used=False,
        ),
    )
}
