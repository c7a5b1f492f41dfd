"""The host's run queue: who may run where, and the policy that chooses among them.

What holds under every policy is kept here: affinity, caps, pCPUs that are offline, and that a pCPU whose
clock is behind does not run a vCPU before the time that it has already seen. A policy
(`emulator.hypervisor.scheduler`) is only shown those who may run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from emulator.hypervisor.caps import Cap
from emulator.hypervisor.costs import Costs
from emulator.hypervisor.decisions import SchedulerAnswers
from emulator.hypervisor.pcpu import Pcpu
from emulator.hypervisor.scheduler import RunQueue, Scheduler, SchedulerError
from emulator.hypervisor.vcpu import NEVER, Vcpu
from emulator.hypervisor.vm import ON, Vm


class HostScheduler:
    """The run queue of a host: `queue` holds who wants a pCPU and has none, in order of arrival."""

    def __init__(self, policy: Scheduler, pcpus: list[Pcpu], period: int, costs: Costs) -> None:
        """Begin with an empty queue; caps are kept in each `period` of cycles."""
        self.policy = policy
        self.pcpus = pcpus
        self.period = period
        self.costs = costs
        self.queue: list[Vcpu] = []
        self.caps: dict[int, Cap] = {}  # by serial number of the VM
        # Told how long a vCPU that woke has waited for its turn, in cycles: for measuring only.
        self.wake_watch: Callable[[Vcpu, int], None] | None = None
        self.declined: dict[int, int] = {}  # pCPU -> until when its policy has nobody for it

    # Who wants to run

    def wake(self, vcpu: Vcpu) -> None:
        """Take a vCPU that wants to run from `vcpu.since` on."""
        self.queue.append(vcpu)
        self._count(vcpu.vm, 1)
        vcpu.info.since = vcpu.since
        vcpu.info.woken = True
        self.declined.clear()
        self.policy.on_wake(vcpu.info, vcpu.since)

    def sleep(self, vcpu: Vcpu, now: int) -> None:
        """Let go of a vCPU that does not want to run any more, whether it stands in the queue or not."""
        if vcpu in self.queue:
            self.queue.remove(vcpu)
        self._count(vcpu.vm, -1)
        self.policy.on_sleep(vcpu.info, now)

    def put_back(self, vcpu: Vcpu) -> None:
        """Take a vCPU back whose turn is over and who still wants to run."""
        vcpu.info.since = vcpu.since
        self.queue.append(vcpu)

    def _count(self, vm: Vm, difference: int) -> None:
        vm.wanting += difference
        for vcpu in vm.vcpus:
            vcpu.info.siblings = vm.wanting

    # Turns

    def may_run(self, vcpu: Vcpu, pcpu: Pcpu) -> bool:
        """Return whether a pCPU is one of those for a vCPU."""
        affinity = vcpu.info.affinity
        if not pcpu.online or (affinity and pcpu.index not in affinity):
            return False
        homes = self.policy.homes(vcpu.info)
        return not homes or pcpu.index in homes

    def waiting(self, pcpu: Pcpu, now: int) -> list[Vcpu]:
        """Return who could run on a pCPU now."""
        return [
            vcpu
            for vcpu in self.queue
            if vcpu.since <= now and self.may_run(vcpu, pcpu) and self._has_room(vcpu, now)
        ]

    def next_time(self, pcpu: Pcpu, now: int) -> int:
        """Return the next time after `now` at which somebody in the queue may begin to want this pCPU."""
        return min((at for at in (self._wants_at(vcpu, pcpu, now) for vcpu in self.queue)), default=NEVER)

    def _wants_at(self, vcpu: Vcpu, pcpu: Pcpu, now: int) -> int:
        if not self.may_run(vcpu, pcpu):
            return NEVER
        if vcpu.since > now:
            return vcpu.since
        return NEVER if self._has_room(vcpu, now) else self.caps[vcpu.vm.serial].next_chance(now)

    def _has_room(self, vcpu: Vcpu, now: int) -> bool:
        cap = self.caps.get(vcpu.vm.serial)
        return cap is None or cap.room(now) > 0

    def pick(self, pcpu: Pcpu, now: int, ask_again: int) -> Vcpu | None:
        """Remove and return the vCPU to run on a pCPU.

        If the policy wants nobody, it is asked again at `ask_again`. Raises SchedulerError.
        """
        if self.declined.get(pcpu.index, 0) > now:
            return None
        candidates = self.waiting(pcpu, now)
        if not candidates:
            return None
        chosen = self.policy.pick(RunQueue((vcpu.info for vcpu in candidates), pcpu.index), now)
        if chosen is None:
            self.declined[pcpu.index] = ask_again
            return None
        vcpu = next((one for one in candidates if one.info is chosen), None)
        if vcpu is None:
            raise SchedulerError(
                f"the scheduler {self.policy.name} picked {chosen}, which is not in the run queue;"
                " pick returns one of the vCPUs of its run queue, or None"
            )
        self.queue.remove(vcpu)
        vcpu.info.last_pcpu = pcpu.index
        if vcpu.info.woken:
            vcpu.info.woken = False
            if self.wake_watch is not None:
                self.wake_watch(vcpu, max(0, now - vcpu.since))
        pcpu.turn_start = now
        return vcpu

    def must_leave(self, vcpu: Vcpu, pcpu: Pcpu, now: int) -> bool:
        """Return whether a vCPU cannot have another turn at once where it is."""
        return not self.may_run(vcpu, pcpu) or not self._has_room(vcpu, now) or self.policy.always_asks

    def turn_end(self, vcpu: Vcpu, pcpu: Pcpu, now: int) -> int:
        """Return when the turn ends that began at `pcpu.turn_start`; `now` the guest begins to run."""
        wanted = max(1, self.policy.timeslice(vcpu.info, now))
        cap = self.caps.get(vcpu.vm.serial)
        if cap is None:
            return now + wanted
        pcpu.granted = cap.grant(pcpu.turn_start, now - pcpu.turn_start + wanted)
        return pcpu.turn_start + pcpu.granted

    def turn_over(self, vcpu: Vcpu, pcpu: Pcpu, now: int) -> None:
        """Count what a vCPU has held its pCPU for."""
        ran = now - pcpu.turn_start
        cap = self.caps.get(vcpu.vm.serial)
        if cap is not None and pcpu.granted:
            cap.settle(pcpu.turn_start, pcpu.granted, now)
        elif cap is not None:  # its turn was ended by a change of the host, and it has left only now
            cap.book(pcpu.turn_start, now)
        pcpu.granted = 0
        pcpu.turn_start = now
        vcpu.info.ran += ran
        self.policy.on_exit(vcpu.info, ran, now)

    def place_to_preempt(self, vcpu: Vcpu) -> Pcpu | None:
        """Return the pCPU whose vCPU has to make room for one that has just woken."""
        places = [pcpu for pcpu in self.pcpus if self.may_run(vcpu, pcpu)]
        if not self._has_room(vcpu, vcpu.since) or any(pcpu.current is None for pcpu in places):
            return None
        for pcpu in sorted(places, key=lambda one: one.index != vcpu.last_pcpu):
            running = pcpu.current
            if running is not None and self.policy.preempts(vcpu.info, running.info, vcpu.since):
                return pcpu
        return None

    # Settings

    def change(self, vms: Iterable[Vm], now: int) -> None:
        """Take over the settings of all VMs that are on."""
        vms = list(vms)
        caps = {vm.serial: quota for vm in vms if (quota := quota_of(vm.settings.cpu.cap, self.period))}
        for serial in [one for one in self.caps if one not in caps]:
            del self.caps[serial]
        for serial, quota in caps.items():
            self.caps.setdefault(serial, Cap(quota, self.period, self.costs)).quota = quota
        self.declined.clear()
        infos = [vcpu.info for vm in vms for vcpu in vm.vcpus]
        self.policy.on_change(infos, self.online, now)

    @property
    def online(self) -> list[int]:
        """The pCPUs that are plugged in."""
        return [pcpu.index for pcpu in self.pcpus if pcpu.online]

    def replace(self, policy: Scheduler, period: int, costs: Costs) -> None:
        """End all turns for the old policy, and go on with another one, or another period or costs.

        Caps begin anew with another period.
        """
        for pcpu in self.pcpus:
            if pcpu.current is not None:
                self.turn_over(pcpu.current, pcpu, pcpu.hart.clock)
        if period != self.period:
            self.caps.clear()
        self.policy, self.period, self.costs = policy, period, costs
        for cap in self.caps.values():
            cap.costs = costs

    def introduce(self, now: int) -> None:
        """Tell a new policy who wants to run."""
        running = [pcpu.current for pcpu in self.pcpus if pcpu.current is not None]
        for vcpu in [*running, *self.queue]:
            self.policy.on_wake(vcpu.info, now)

    def tell(self, policy: SchedulerAnswers, vms: Iterable[Vm], now: int) -> None:
        """Tell a policy that begins to answer in the middle who there is, and who wants to run."""
        policy.on_change(
            [vcpu.info for vm in vms if vm.lifecycle in ON for vcpu in vm.vcpus], self.online, now
        )
        running = [pcpu.current for pcpu in self.pcpus if pcpu.current is not None]
        for vcpu in [*running, *self.queue]:
            policy.on_wake(vcpu.info, now)

    def state_parts(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        caps = [[serial, *cap.state()] for serial, cap in sorted(self.caps.items())]
        policy = [self.policy.name, self.policy.state()]
        return [self.period, caps, sorted(self.declined.items()), policy]


def quota_of(cap: int, period: int) -> int:
    """Return the cycles in each period that a cap of so many percent of one pCPU allows; 0 means no cap."""
    return cap * period // 100
