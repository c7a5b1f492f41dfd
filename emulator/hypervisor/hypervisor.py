"""The hypervisor: what happens when guests leave their harts, and what the handlers of exits work with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from emulator.hypervisor import admission, direct_boot, exits, lifecycle
from emulator.hypervisor.admission import AdmissionError
from emulator.hypervisor.costs import Costs
from emulator.hypervisor.decisions import Desk
from emulator.hypervisor.faults import STORIES_KEPT, Fault
from emulator.hypervisor.gstage import frame_address
from emulator.hypervisor.guest_isa import guest_isa
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.memory.custom import CustomReplacement
from emulator.hypervisor.memory.daemon import MemoryDaemon
from emulator.hypervisor.memory.pager import Pager
from emulator.hypervisor.memory.settings import MemorySettings
from emulator.hypervisor.network import Networks
from emulator.hypervisor.partition import Partition
from emulator.hypervisor.runloop import RunLoop
from emulator.hypervisor.scheduler import POLICIES, Custom, RoundRobin, Scheduler
from emulator.hypervisor.scheduler.interface import PERIOD_CYCLES
from emulator.hypervisor.storage import Storage
from emulator.hypervisor.trace import Revision, Trace
from emulator.hypervisor.vcpu import Vcpu, VcpuState
from emulator.hypervisor.vm import ON, Vm, VmSettings, VmState
from emulator.machine.host import Host
from emulator.state import EXIT_STORE_FULL, EXIT_TRAP, EXIT_WFI, PAGE_BYTES, RAM_BASE

LINE_CHARACTERS = 80


class Hypervisor(RunLoop):
    """Runs VMs on a host. `vms` is in order of definition."""

    def __init__(
        self,
        host: Host,
        timeslice_cycles: int,
        revision: Revision,
        clock: int = 0,
        position: int = 0,
        next_event: int = 1,
        seed: int = 0,
        scheduler: str = RoundRobin.name,
        period: int = PERIOD_CYCLES,
        memory_settings: MemorySettings | None = None,
        costs: Costs | None = None,
        vmids: bool = True,
    ) -> None:
        """Take over a host whose clocks are set to `clock`; `revision` numbers visible changes.

        `position` and `next_event` are where counting goes on, when this host replaces another. `seed` is
        what the guests' random numbers come from. `scheduler` names a policy, `period` is that of caps.
        `memory_settings` say how frames are given; a static partition if left out.
        `costs` is what its work is charged, `vmids` whether TLB entries are tagged by VM.
        """
        policy = POLICIES[scheduler](timeslice_cycles, seed)
        trace = Trace(len(host.harts), revision, next_event)
        super().__init__(host, policy, period, trace, clock, position, costs or Costs(), vmids)
        self.desk = Desk(lambda: self.position)
        self.partition = Partition(host.frames, revision)
        self.pager = Pager(self, memory_settings or MemorySettings())
        self.daemon = MemoryDaemon(self, clock)
        self.chores_due = self.daemon.due
        self.faults: dict[int, Fault] = {}
        self.next_serial = 1
        self.seed = seed
        self.networks = Networks(seed, self._now_ns)
        self.storage = Storage()
        self.storage.on_full = self._pool_is_full
        self.seat_policies()

    @property
    def revision(self) -> Revision:
        """The number of visible changes."""
        return self.trace.revision

    def handle_exit(self, vcpu: Vcpu, hart: Any, code: int) -> str:
        """Handle why a hart came back, charge for it, and return the exit reason."""
        if code == EXIT_TRAP:
            return exits.handle_trap(self, vcpu, hart)
        if code == EXIT_WFI:
            return self._wfi_exit(vcpu, hart)
        return self._machine_exit(vcpu, code)

    def _wfi_exit(self, vcpu: Vcpu, hart: Any) -> str:
        pc = hart.pc
        self.begin_exit(vcpu, "wfi")
        self.unload(vcpu)
        vcpu.state = VcpuState.IDLE
        self.fall_asleep(vcpu)
        self.end_exit(vcpu, "wfi", "the guest waits for an interrupt", pc)
        return "wfi"

    def _machine_exit(self, vcpu: Vcpu, code: int) -> str:
        """An access that the host's bus or store cannot serve: G-stage tables never lead there."""
        reason = "store full" if code == EXIT_STORE_FULL else "mmio"
        self.begin_exit(vcpu, reason)
        lifecycle.crash(self, vcpu.vm, f"{reason} exit from a G-stage table that maps RAM only")
        self.end_exit(vcpu, reason, "the VM was stopped", vcpu.context.pc)
        return reason

    # What handlers need

    def flush(self, pcpu: int) -> None:
        """Drop every translation of one pCPU."""
        self.host.engine.flush(self.pcpus[pcpu].hart)

    def read_guest(self, vm: Vm, gpa: int, length: int) -> bytes:
        """Return guest memory; the caller has checked that the VM contains it."""
        if 0 < length <= PAGE_BYTES - gpa % PAGE_BYTES:
            return self._read_page(vm, *divmod(gpa - RAM_BASE, PAGE_BYTES), length)
        return b"".join(self._read_page(vm, *piece) for piece in vm.pieces(gpa, length))

    def _read_page(self, vm: Vm, page: int, offset: int, length: int) -> bytes:
        hfn = vm.frames[page]
        if hfn == ABSENT:
            return self.pager.content(vm, page)[offset : offset + length]
        return self.host.read(frame_address(hfn) + offset, length)

    def write_guest(self, vm: Vm, gpa: int, data: bytes) -> None:
        """Write guest memory; the caller has checked that the VM contains it."""
        done = 0
        for page, offset, part in vm.pieces(gpa, len(data)):
            hfn = self.pager.writable(vm, page)
            if hfn != ABSENT:
                self.host.write(frame_address(hfn) + offset, data[done : done + part])
            done += part

    def reconfigure_memory(self, settings: MemorySettings) -> None:
        """Change what a host with VMs may change: balloon policy and intervals."""
        self.pager.settings = settings
        self.pager.reclaim.use(settings.replacement)
        self.seat_policies()
        self.daemon.configure(self.now)
        self.pager.ksm.state.settled = False
        self.chores_due = self.daemon.due

    def do_chores(self, now: int) -> int:
        """Do a step of the host's own work; return the cycles it takes."""
        cycles = self.daemon.work(now)
        self.chores_due = self.daemon.due
        return cycles

    def wants_chores(self) -> bool:
        """Return whether the host has work of its own even while all guests sleep."""
        return self.daemon.wants_time

    def stop_starved(self) -> None:
        """Stop the VMs for which a device had to write and the host had no memory."""
        self.pager.stop_starved()

    def entropy(self, vm: Vm, purpose: str = "boot") -> bytes:
        """Return 32 bytes that only this start of this VM gets for a purpose, the same in every run."""
        return direct_boot.entropy_of(self.seed, vm.name, vm.serial, vm.starts, purpose)

    def _now_ns(self) -> int:
        return self.now * 1_000_000_000 // self.host.clock_hz

    def print(self, vm: Vm, data: bytes) -> None:
        """Write to a VM's console."""
        text = vm.console.write(data)
        self.trace.printed(vm.name, text, self.now)
        if "\n" in text:
            self.note_line(vm)
        self.revision.advance()

    def note_line(self, vm: Vm) -> None:
        """Note that a VM has printed a line, with the last that has something on it."""
        lines = vm.console.tail(LINE_CHARACTERS).rstrip().rsplit("\n", 1)
        if lines[-1]:
            printed = lines[-1]
            said = f"{vm.name} prints: {printed}"
            self.trace.note("console", "line", self.position, self.now, vm.name, None, said)

    def type(self, vm: Vm, text: str) -> int:
        """Give a VM's console input; return how many bytes were dropped because the guest does not read."""
        dropped = vm.console.type(text)
        if vm.board is not None:
            vm.board.typed()
        return dropped

    def note_device(self, reason: str, text: str, vm: Vm | None = None) -> None:
        """Log what a device or what is behind it met with."""
        self.trace.log("device", reason, text, self.position, self.now, vm.name if vm else None)

    def _pool_is_full(self, pool: str, text: str) -> None:
        self.note_device("pool full", f"pool {pool} is full: {text}")

    def record_fault(self, fault: Fault, text: str) -> None:
        """Keep a fault's story and log it."""
        detail: dict[str, str | int] = {"gpa": f"{fault.gpa:#018x}", "pc": f"{fault.pc:#018x}"}
        event = self.trace.log(
            "fault",
            exits.describe(fault.cause).name,
            f"{fault.vm_name}: {text}",
            fault.position,
            fault.clock,
            fault.vm_name,
            fault.vcpu,
            fault.pcpu,
            {**detail, "action": fault.action},
        )
        assert event.id == fault.id
        self.trace.causes.now = event.id
        fault.vm.faults.append(fault.id)
        self.faults[fault.id] = fault
        if len(self.faults) > STORIES_KEPT:
            del self.faults[next(iter(self.faults))]

    def set_state(self, vm: Vm, state: VmState, text: str) -> None:
        """Change a VM's lifecycle state and log it."""
        before, vm.lifecycle = vm.lifecycle, state
        self.trace.log(
            "state",
            state.value,
            f"{vm.name} {text}",
            self.position,
            self.now,
            vm.name,
            detail={"from": before.value},
        )
        if state in (VmState.SHUT_OFF, VmState.CRASHED):
            vm.settle_disk()
            self.update_scheduler()

    def update_scheduler(self, starting: Vm | None = None) -> None:
        """Tell the scheduler who there is and what they may have; paused VMs keep what they were promised."""
        on = [vm for vm in self.vms.values() if vm.lifecycle in ON or vm is starting]
        self.scheduler.change(on, self.now)

    def state_parts(self) -> Iterator[bytes]:
        """Yield the architectural state: the machine, its VMs, and who runs and waits where."""
        yield from self.host.state_parts()
        queue = [[vcpu.vm.name, vcpu.index] for vcpu in self.scheduler.queue]
        pcpus = [pcpu.state_parts() for pcpu in self.pcpus]
        plain = [queue, pcpus, self.turn, self.quantum_end, self.next_serial, *self.scheduler.state_parts()]
        plain.append(self.daemon.state())
        plain += [self.vmids, sorted(self.costs.prices.items())]
        yield json.dumps(plain).encode()
        yield bytes(self.partition.codes)
        yield from self.networks.state_parts()
        yield json.dumps([self.pager.reclaim.state(), self.pager.ksm.state_parts()]).encode()
        yield from self.storage.state_parts()
        for vm in self.vms.values():
            yield from vm.state_parts()

    def reconfigure_cpu(self, vm: Vm, settings: VmSettings) -> None:
        """Change what a VM that is on may have of the pCPUs, and how many vCPUs it has.

        A new vCPU is stopped until the guest starts it (SBI HSM); the last ones can go while they are
        stopped. Raises AdmissionError, and then nothing has changed.
        """
        for vcpu in vm.vcpus[settings.vcpus :]:
            if vcpu.state is not VcpuState.STOPPED:
                raise AdmissionError(
                    "vcpus",
                    f"vCPU {vcpu.index} of {vm.name} is {vcpu.state.value} and cannot be taken away;"
                    " its guest has to stop it first (SBI HSM), or shut the VM off",
                )
        admission.require_vm(self, vm, settings)
        vm.settings = settings
        for vcpu in vm.vcpus[settings.vcpus :]:
            vm.removed.add(vcpu.counters)
        del vm.vcpus[settings.vcpus :]
        for index in range(len(vm.vcpus), settings.vcpus):
            vcpu = Vcpu(vm, index)
            vcpu.born = vcpu.since = self.now
            vm.vcpus.append(vcpu)
        for vcpu in vm.vcpus:
            vcpu.configure()
            if vcpu.pcpu is not None:
                self.interrupt_pcpu(self.pcpus[vcpu.pcpu], self.clock_of(vcpu))
        self.update_scheduler()

    def reconfigure_host(
        self,
        scheduler: str,
        timeslice: int,
        period: int,
        offline: Sequence[int],
        costs: Costs | None = None,
        vmids: bool = True,
    ) -> None:
        """Change scheduler, timeslice and accounting period in cycles, which pCPUs are unplugged, and prices.

        Who runs on a pCPU that goes has to wait for another one. Raises AdmissionError, and then nothing has
        changed.
        """
        host = self.scheduler
        same = scheduler == host.policy.name
        policy = host.policy if same else POLICIES[scheduler](timeslice, self.seed)
        self._seat(policy)
        online = [pcpu.index for pcpu in self.pcpus if pcpu.index not in offline]
        costs = costs or Costs()
        admission.require_host(self, policy, online, period, costs)
        policy.timeslice_cycles = timeslice
        self._tag(vmids)
        unchanged = costs.prices == self.costs.prices
        if same and unchanged and period == host.period and online == host.online:
            return  # turns that have begun go on
        for pcpu in self.pcpus:
            pcpu.online = pcpu.index in online
            self.interrupt_pcpu(pcpu, pcpu.hart.clock)
        self.costs = costs
        host.replace(policy, period, costs)
        self.update_scheduler()
        if not same:
            host.introduce(self.now)

    def use_scheduler(self, policy: Scheduler) -> None:
        """Go on with another scheduler. Raises AdmissionError; then nothing has changed."""
        host = self.scheduler
        admission.require_host(self, policy, host.online, host.period, self.costs)
        self._seat(policy)
        for pcpu in self.pcpus:
            self.interrupt_pcpu(pcpu, pcpu.hart.clock)
        host.replace(policy, host.period, self.costs)
        self.update_scheduler()
        host.introduce(self.now)

    def seat_policies(self) -> None:
        """Let policies whose decisions come from elsewhere ask at the desk."""
        self._seat(self.scheduler.policy)
        if isinstance(self.pager.reclaim.policy, CustomReplacement):
            self.pager.reclaim.policy.sit_at(self.desk)

    def _seat(self, policy: Scheduler) -> None:
        if isinstance(policy, Custom):
            policy.sit_at(self.desk)

    def _tag(self, vmids: bool) -> None:
        """Use VMIDs or do without, from now on; no TLB entry of before is left."""
        if vmids == self.vmids:
            return
        self.vmids = vmids
        for vm in self.vms.values():
            vm.tagged = vmids
            for vcpu in vm.vcpus:
                if vm.gstage:
                    self.registers(vcpu).hgatp = vm.hgatp
        for pcpu in self.pcpus:
            self.flush(pcpu.index)

    def take_over(self, old: Hypervisor) -> None:
        """Continue with the VMs, all shut off, and the history of a host that is being replaced."""
        self.vms = old.vms
        for vm in self.vms.values():
            vm.tagged = self.vmids
        self.next_serial = old.next_serial
        self.desk = old.desk
        self.desk.position = lambda: self.position
        self.seat_policies()
        self.faults = old.faults
        self.networks = old.networks
        self.networks.now_ns = self._now_ns
        self.storage = old.storage
        self.storage.on_full = self._pool_is_full
        self.trace.continue_from(old.trace)

    def define(self, settings: VmSettings) -> Vm:
        """Add a VM that is shut off; the name is new."""
        assert settings.name not in self.vms
        taken = {vm.index for vm in self.vms.values()}
        index = next(number for number in range(len(taken) + 1) if number not in taken)
        vm = Vm(settings, index, self.next_serial, self.storage, guest_isa(self.host.isa))
        vm.tagged = self.vmids
        self.next_serial += 1
        self.vms[settings.name] = vm
        return vm
