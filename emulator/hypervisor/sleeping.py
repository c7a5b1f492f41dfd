"""vCPUs that wait, and what wakes them: timers, interrupts, devices, the host's disk, the scheduler.

A vCPU sleeps at its own wish (WFI, SBI HSM) until an interrupt is pending, or is blocked until the host's
disk is ready. What is due is looked at from state alone: the earliest time at which anybody wakes is
`_next_deadline`.
"""

from __future__ import annotations

from typing import Any

from emulator.core.csr_bits import VSEI, VSSI, VSTI
from emulator.hypervisor import vcpu as virtual_cpu
from emulator.hypervisor.clocks import Clocks
from emulator.hypervisor.costs import Costs
from emulator.hypervisor.host_scheduler import HostScheduler
from emulator.hypervisor.pcpu import Pcpu
from emulator.hypervisor.scheduler import Scheduler
from emulator.hypervisor.trace import EventKind, Trace
from emulator.hypervisor.vcpu import NEVER, Vcpu, VcpuState
from emulator.hypervisor.vm import ACTIVE, Vm
from emulator.machine.host import Host

INTERRUPTS = {VSSI: "software", VSTI: "timer", VSEI: "external"}
WAKES = {VSSI: "another vCPU calls it", VSTI: "its timer is due", VSEI: "a device interrupts it"}
WAITING = (VcpuState.IDLE, VcpuState.SUSPENDED)
ASLEEP = (*WAITING, VcpuState.BLOCKED)


class Sleepers(Clocks):
    """The vCPUs of `vms`: which of them wait, and the scheduler that they want a pCPU of when they wake."""

    def __init__(
        self,
        host: Host,
        policy: Scheduler,
        period: int,
        trace: Trace,
        clock: int,
        position: int,
        costs: Costs,
    ) -> None:
        """Have no VMs; `period` is the accounting period of caps, in cycles."""
        super().__init__(host, clock, position)
        self.trace = trace
        self.vms: dict[str, Vm] = {}
        self.scheduler = HostScheduler(policy, self.pcpus, period, costs)

    def _next_deadline(self) -> int:
        """Return when the first timer of a waiting vCPU, or of a device, is due."""
        first = NEVER
        for vm in self.vms.values():
            if vm.lifecycle not in ACTIVE:
                continue
            if vm.board is not None and vm.board.deadline < first:
                first = vm.board.deadline
            for vcpu in vm.vcpus:
                if vcpu.state in ASLEEP:
                    first = min(first, vcpu.wakes_at)
        return first

    def _wake_due(self, now: int) -> None:
        """Raise the timer interrupts that are due for waiting vCPUs, and let devices do what is due."""
        if self._next_deadline() > now:
            return
        causes = self.trace.causes
        before = causes.now
        for vm in self.vms.values():
            if vm.board and vm.board.deadline <= now and vm.lifecycle in ACTIVE:
                causes.now = causes.devices.get(vm.serial, 0)
                vm.board.elapse()
        due = [
            vcpu
            for vm in self.vms.values()
            if vm.lifecycle in ACTIVE
            for vcpu in vm.vcpus
            if vcpu.state in ASLEEP and vcpu.wakes_at <= now
        ]
        for vcpu in sorted(due, key=lambda one: one.wakes_at):
            if vcpu.wakes_at == vcpu.alarm:
                causes.now = causes.sleeps.get(vcpu.info.id, 0)
                self.wake(vcpu, vcpu.alarm, "its own timer is due, or the disk is ready")
                continue
            deadline, vcpu.deadline = vcpu.deadline, NEVER
            causes.now = causes.timers.pop(vcpu.info.id, 0)
            self.interrupt(vcpu, VSTI, deadline)
        causes.now = before

    def interrupt(self, vcpu: Vcpu, bits: int, at: int) -> None:
        """Make interrupts pending in a vCPU at time `at`, and wake it if it waits for one of them.

        A vCPU of a paused VM hears of it when its VM is resumed.
        """
        registers = self.registers(vcpu)
        pending = registers.hvip
        registers.hvip = pending | bits
        if vcpu.pcpu is None and self.is_called(vcpu) and vcpu.vm.lifecycle in ACTIVE:
            self.wake(vcpu, at, WAKES[bits])
        elif bits & ~pending:
            self._note("interrupt", INTERRUPTS[bits], vcpu)

    def _note(self, kind: EventKind, reason: str, vcpu: Vcpu, said: str = "") -> int:
        """Note what happens to a vCPU now, as a consequence of what is going on; return its number."""
        clock = self.pcpus[self.turn].hart.clock
        trace = self.trace
        return trace.note(kind, reason, self._others + clock, clock, vcpu.info.vm, vcpu.index, said)

    def is_called(self, vcpu: Vcpu) -> bool:
        """Return whether an interrupt is pending that a vCPU waits for."""
        return vcpu.state in WAITING and vcpu.has_interrupt()

    def wake(self, vcpu: Vcpu, at: int, why: str = "it was started") -> None:
        """Let a vCPU want a pCPU from time `at` on, but not before the time that it has already seen."""
        number = self._note("schedule", "woke", vcpu, why)
        self.trace.causes.ready[vcpu.info.id] = number
        self._account(vcpu, at)
        vcpu.state = VcpuState.READY
        self.scheduler.wake(vcpu)
        if self.scheduler.policy.preemptive:
            pcpu = self.scheduler.place_to_preempt(vcpu)
            if pcpu is not None:
                self.trace.causes.cut[pcpu.index] = number
                self.interrupt_pcpu(pcpu, vcpu.since)

    def _account(self, vcpu: Vcpu, at: int) -> None:
        if at > vcpu.since:
            self.trace.wait(vcpu.vm.settings.name, vcpu.index, vcpu.waits_as, vcpu.since, at)
        vcpu.account(at)

    def interrupt_pcpu(self, pcpu: Pcpu, at: int) -> None:
        """Let the turn on a pCPU end at time `at`, or at once if its clock is beyond."""
        pcpu.slice_end = min(pcpu.slice_end, at)

    def unload(self, vcpu: Vcpu) -> None:
        """Take a vCPU off its pCPU or out of the queue, wherever it is. It stays ready if it was running."""
        if vcpu.pcpu is not None:
            pcpu = self.pcpus[vcpu.pcpu]
            self.scheduler.turn_over(vcpu, pcpu, pcpu.hart.clock)
            self._leave(pcpu, vcpu)
            self.scheduler.sleep(vcpu, vcpu.since)
        elif vcpu in self.scheduler.queue:
            self._account(vcpu, self.now)
            self.scheduler.sleep(vcpu, self.now)
        elif vcpu.state in ASLEEP:
            self._account(vcpu, self.now)

    def _leave(self, pcpu: Pcpu, vcpu: Vcpu) -> None:
        pcpu.current = None
        virtual_cpu.leave(vcpu, self.host)
        vcpu.state = VcpuState.READY

    def stop_vcpu(self, vcpu: Vcpu) -> None:
        """Stop a vCPU at its own wish (SBI HSM)."""
        self.unload(vcpu)
        vcpu.state = VcpuState.STOPPED

    def suspend_vcpu(self, vcpu: Vcpu) -> None:
        """Let a vCPU sleep at its own wish (SBI HSM) until an interrupt is pending."""
        self.unload(vcpu)
        vcpu.state = VcpuState.SUSPENDED
        self.fall_asleep(vcpu)

    def block_vcpu(self, vcpu: Vcpu, until: int) -> None:
        """Let a vCPU wait for the host's disk; no interrupt wakes it."""
        self.unload(vcpu)
        vcpu.state = VcpuState.BLOCKED
        vcpu.alarm = until
        self.trace.causes.sleeps[vcpu.info.id] = self.trace.causes.now

    def fall_asleep(self, vcpu: Vcpu) -> None:
        """Begin a sleep that ends at the next interrupt, at once if one is pending."""
        vcpu.set_alarm(self.host.record.cycles_per_tick)
        if vcpu.has_interrupt():
            self.wake(vcpu, vcpu.since, "an interrupt is pending already")
        else:
            causes = self.trace.causes
            causes.sleeps[vcpu.info.id] = causes.now

    def registers(self, vcpu: Vcpu) -> Any:
        """Return the record that holds a vCPU's registers now: a hart, or its context."""
        return vcpu.context if vcpu.pcpu is None else self.pcpus[vcpu.pcpu].hart
