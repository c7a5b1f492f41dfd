"""The host's own work on memory, done in intervals of virtual time by whichever pCPU comes first.

What is due is done in steps that are shorter than a quantum; a vCPU that is loaded then has to make room, as
for any thread of a host. An interval that passes while the whole host sleeps passes unused, unless a chore
still has something to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.devices.virtio.balloon import MEMORY_FREE, VirtioBalloon
from emulator.hypervisor.memory.ballooning import HostMemory, VmMemory
from emulator.hypervisor.memory.custom import BALLOON_POLICIES, CustomBalloon
from emulator.hypervisor.vcpu import NEVER
from emulator.hypervisor.vm import ACTIVE, BALLOON_SLOT, Vm
from emulator.state import PAGE_BYTES

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

BALLOON_CYCLES_PER_VM = 500


@dataclass
class Chore:
    """Something to do every so many cycles; `due` is when next."""

    name: str
    every: int
    due: int


class MemoryDaemon:
    """Knows what is due when, and does it."""

    def __init__(self, hypervisor: Hypervisor, now: int) -> None:
        """Begin the first interval now."""
        self._hypervisor = hypervisor
        self.chores: dict[str, Chore] = {}
        self._work: dict[str, Callable[[], tuple[int, bool]]] = {
            "balloon": self._balloon,
            "age": self._age,
            "ksm": self._ksm,
        }
        self.configure(now)

    @property
    def due(self) -> int:
        """When there is something to do, in cycles."""
        return min((chore.due for chore in self.chores.values()), default=NEVER)

    def configure(self, now: int) -> None:
        """Take over the host's settings; intervals that change begin now."""
        settings = self._hypervisor.pager.settings
        reclaim = self._hypervisor.pager.reclaim
        wanted = {
            "balloon": settings.balloon_every if settings.balloon_policy != "manual" else 0,
            "age": settings.age_every if reclaim.area.size and reclaim.policy.ages else 0,
            "ksm": settings.ksm_every if settings.ksm else 0,
        }
        kept = {name: chore for name, chore in self.chores.items() if wanted[name] == chore.every}
        new = {name: Chore(name, every, now + every) for name, every in wanted.items() if every}
        self.chores = {**new, **kept}

    def work(self, now: int) -> int:
        """Do a step of what is due; return the cycles it takes, at least one."""
        chore = next(one for one in self.chores.values() if one.due <= now)
        cycles, done = self._work[chore.name]()
        if done:
            chore.due = now + cycles + chore.every  # guests have the time in between, whatever it takes
        return max(1, cycles)

    def state(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        return [[chore.name, chore.every, chore.due] for chore in self.chores.values()]

    @property
    def wants_time(self) -> bool:
        """Whether there is something to do even while all guests sleep."""
        if "ksm" not in self.chores or self._hypervisor.pager.ksm.is_settled:
            return False
        return any(vm.lifecycle in ACTIVE for vm in self._hypervisor.vms.values())

    def _age(self) -> tuple[int, bool]:
        return self._hypervisor.pager.reclaim.age(), True

    def _ksm(self) -> tuple[int, bool]:
        return self._hypervisor.pager.ksm.scan()

    # Balloons

    def _balloon(self) -> tuple[int, bool]:
        hypervisor = self._hypervisor
        asked = [vm for vm in hypervisor.vms.values() if vm.lifecycle in ACTIVE and balloon_of(vm)]
        policy = BALLOON_POLICIES[hypervisor.pager.settings.balloon_policy]()
        if isinstance(policy, CustomBalloon):
            policy.desk = hypervisor.desk
        free = hypervisor.partition.free_count * PAGE_BYTES
        host = HostMemory(hypervisor.host.memory_bytes, free)
        targets = policy.targets([memory_of(vm) for vm in asked], host)
        for vm in asked:
            balloon = balloon_of(vm)
            assert balloon is not None
            if vm.name in targets:
                balloon.ask(min(max(0, targets[vm.name]), vm.settings.memory) // PAGE_BYTES)
            balloon.ask_for_statistics()
        return BALLOON_CYCLES_PER_VM * len(asked), True


def balloon_of(vm: Vm) -> VirtioBalloon | None:
    """Return the balloon of a VM that is on, if it has one."""
    if vm.board is None or BALLOON_SLOT not in vm.board.virtio:
        return None
    device = vm.board.virtio[BALLOON_SLOT].device
    assert isinstance(device, VirtioBalloon)
    return device


def balloon_pages(vm: Vm) -> int:
    """Return how many pages a VM's guest has given up."""
    balloon = balloon_of(vm)
    return len(balloon.state.pages) if balloon else 0


def memory_of(vm: Vm) -> VmMemory:
    """Return what a balloon policy knows of a VM with a balloon."""
    balloon = balloon_of(vm)
    assert balloon is not None
    return VmMemory(
        name=vm.name,
        memory=vm.settings.memory,
        resident=vm.backing.resident * PAGE_BYTES,
        balloon=len(balloon.state.pages) * PAGE_BYTES,
        target=balloon.state.target * PAGE_BYTES,
        reservation=vm.settings.ram.reservation,
        free=balloon.state.statistics.get(MEMORY_FREE),
    )
