"""Gang scheduling: the vCPUs of an SMP VM run at the same time, or not at all.

J. K. Ousterhout, "Scheduling Techniques for Concurrent Systems", ICDCS 1982; VMware calls it co-scheduling.
Time is cut into slots of one timeslice, the same on all pCPUs. In each slot whole VMs are given pCPUs, first
the one that has waited longest, then others as far as they fit. A vCPU that spins for a lock never spins for
one whose holder has been put aside. The price: a pCPU whose vCPU sleeps in its slot stays idle.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo


class Gang(Scheduler):
    """Slot by slot, the VM that has waited longest gets all the pCPUs it needs."""

    name = "gang"
    title = "Gang"
    always_asks = True

    def __init__(self, timeslice: int, seed: int = 0) -> None:
        """Begin with nobody, before the first slot."""
        super().__init__(timeslice, seed)
        self.members: dict[str, list[VcpuInfo]] = {}  # vCPUs of each VM that are not asleep or stopped
        self.pcpus: list[int] = []
        self.last_slot: dict[str, int] = {}  # in which a VM had its turn
        self.slot = -1
        self.places: dict[int, int] = {}  # of this slot: vCPU -> pCPU

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None:
        """Forget who is gone; the next pick makes a new plan."""
        known = {vcpu.id for vcpu in vcpus}
        self.pcpus = sorted(pcpus)
        gangs = {vm: [one for one in gang if one.id in known] for vm, gang in self.members.items()}
        self.members = {vm: gang for vm, gang in gangs.items() if gang}
        self.last_slot = {vm: slot for vm, slot in self.last_slot.items() if vm in self.members}
        self.slot = -1

    def refusal(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int]) -> str:
        """Return which VM can never run as a whole, or an empty text."""
        for vm in dict.fromkeys(vcpu.vm for vcpu in vcpus):
            gang = [vcpu for vcpu in vcpus if vcpu.vm == vm]
            if len(gang) > 1 and not _fit(gang, pcpus):
                return (
                    f"{vm} has {len(gang)} vCPUs, and the gang scheduler runs all of them at the same time:"
                    f" it needs as many pCPUs that are online and within its affinity (online: {len(pcpus)});"
                    " give it fewer vCPUs, the host more pCPUs, or choose another scheduler"
                )
        return super().refusal(vcpus, pcpus)

    def on_wake(self, vcpu: VcpuInfo, now: int) -> None:
        """Count it among its VM's gang."""
        gang = self.members.setdefault(vcpu.vm, [])
        if vcpu not in gang:
            gang.append(vcpu)
            gang.sort(key=lambda one: one.index)
        if any(one.id in self.places for one in gang):
            self.places |= _fit([vcpu], self._free())

    def on_sleep(self, vcpu: VcpuInfo, now: int) -> None:
        """Let its VM run without it."""
        gang = self.members.get(vcpu.vm, [])
        if vcpu in gang:
            gang.remove(vcpu)

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Return whose place this pCPU is in this slot; the first to ask in a slot makes its plan."""
        slot = now // self.timeslice_cycles
        if slot > self.slot:
            self._plan(slot)
        elif slot < self.slot:
            return None  # a pCPU whose clock is behind: the plan is for the slot to come
        return next((vcpu for vcpu in runqueue if self.places.get(vcpu.id) == runqueue.pcpu), None)

    def timeslice(self, vcpu: VcpuInfo, now: int) -> int:
        """Return what is left of the slot."""
        return self.timeslice_cycles - now % self.timeslice_cycles

    def _plan(self, slot: int) -> None:
        """Give pCPUs to whole VMs, as long as there are enough; who has waited longest first."""
        self.slot = slot
        self.places = {}
        waiting = [vm for vm, gang in self.members.items() if gang]
        for vm in sorted(waiting, key=lambda one: self.last_slot.get(one, -1)):
            places = _fit(self.members[vm], self._free())
            if places:
                self.places |= places
                self.last_slot[vm] = slot

    def _free(self) -> list[int]:
        """Return the pCPUs that nobody has in this slot."""
        return [pcpu for pcpu in self.pcpus if pcpu not in self.places.values()]


def _fit(gang: Sequence[VcpuInfo], pcpus: Sequence[int]) -> dict[int, int]:
    """Return a pCPU for each vCPU of a gang, or nothing if they do not all fit: a bipartite matching."""
    holders: dict[int, VcpuInfo] = {}

    def settle(vcpu: VcpuInfo, tried: set[int]) -> bool:
        for pcpu in pcpus:
            if pcpu in tried or (vcpu.affinity and pcpu not in vcpu.affinity):
                continue
            tried.add(pcpu)
            if pcpu not in holders or settle(holders[pcpu], tried):
                holders[pcpu] = vcpu
                return True
        return False

    if not all(settle(vcpu, set()) for vcpu in gang):
        return {}
    return {vcpu.id: pcpu for pcpu, vcpu in holders.items()}
