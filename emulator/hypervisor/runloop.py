"""The run loop: vCPUs on pCPUs, in deterministic virtual time.

A pCPU runs its vCPU until an exit, its timer, the end of its timeslice or of the quantum, then the next pCPU
has its turn (clocks.py). All decisions are made from state, never from where a run was stopped, so that a
run in one piece and a run in many give the same history.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import VSTI
from emulator.hypervisor import vcpu as virtual_cpu
from emulator.hypervisor.clocks import QUANTUM_CYCLES
from emulator.hypervisor.costs import Costs
from emulator.hypervisor.pcpu import Pcpu
from emulator.hypervisor.scheduler import Scheduler
from emulator.hypervisor.sleeping import Sleepers
from emulator.hypervisor.trace import Trace
from emulator.hypervisor.vcpu import NEVER, Vcpu, VcpuState
from emulator.hypervisor.vm import Vm
from emulator.machine.debug import Stop
from emulator.machine.host import Host
from emulator.state import EXIT_BUDGET, EXIT_DEBUG, EXIT_TRAP

if TYPE_CHECKING:
    from emulator.hypervisor.board import VmBoard

STEAL_TIME = struct.Struct("<IIQB")  # sequence, flags, nanoseconds, preempted
ExitWatch = Callable[[Vcpu, str], bool]
ExitLook = Callable[[Vcpu, str], None]
DebugWatch = Callable[[Vcpu, Stop], bool]


class RunLoop(Sleepers, ABC):
    """Runs the vCPUs of `vms`. What an exit means is decided by `handle_exit`, which a subclass has."""

    def __init__(
        self,
        host: Host,
        policy: Scheduler,
        period: int,
        trace: Trace,
        clock: int,
        position: int,
        costs: Costs,
        vmids: bool,
    ) -> None:
        """Take over a host, whose clocks are set to `clock`, at a position.

        `period` is the accounting period of caps, in cycles; `vmids` says whether TLB entries are tagged.
        """
        super().__init__(host, policy, period, trace, clock, position, costs)
        self.costs = costs
        self.vmids = vmids
        # Why the last `run_to` came back early: stopped by a watch, or because nothing can happen any more.
        self.stopped = False
        self.finished = False
        self.exit_watch: ExitWatch | None = None
        self.before_exit: ExitLook | None = None  # told of an exit before anything is done about it
        self.debug_watch: DebugWatch | None = None
        self.starved: list[Vm] = []
        self.chores_due = NEVER
        self.dispatch_watch: Callable[[Vcpu], bool] | None = None

    @abstractmethod
    def handle_exit(self, vcpu: Vcpu, hart: Any, code: int) -> str:
        """Handle why a hart came back, charge for it, and return the exit reason."""

    @abstractmethod
    def write_guest(self, vm: Vm, gpa: int, data: bytes) -> None:
        """Write guest memory; the caller has checked that the VM contains it."""

    @abstractmethod
    def do_chores(self, now: int) -> int:
        """Do a step of the host's own work, which is due; return the cycles it takes."""

    @abstractmethod
    def wants_chores(self) -> bool:
        """Return whether the host has work of its own even while all guests sleep."""

    @abstractmethod
    def stop_starved(self) -> None:
        """Stop the VMs for which a device had to write and the host had no memory."""

    # Running

    def run_to(self, position: int) -> None:
        """Run to a position; come back early if a watch says so or nothing can happen any more.

        The last exit may overshoot by its cost.
        """
        self.stopped = False
        self.finished = False
        while not self.stopped:
            room = position - self.position
            if room <= 0:
                return
            pcpu = self.pcpus[self.turn]
            self._run_turn(pcpu, min(self.quantum_end, pcpu.hart.clock + room))
            if self.finished:
                self._idle_together(position)
                self.stopped = self.finished = self.position < position
            if pcpu.hart.clock >= self.quantum_end:
                self._next_turn(position)

    def can_progress(self) -> bool:
        """Return whether anything can happen without an action from outside."""
        if self.scheduler.queue or any(pcpu.current for pcpu in self.pcpus):
            return True
        return self._next_deadline() != NEVER or self.wants_chores()

    def _next_turn(self, position: int) -> None:
        self.turn += 1
        if self.turn == len(self.pcpus):
            self.turn = 0
            self.quantum_end += QUANTUM_CYCLES
        self._others = self._position_of_others()
        if self.turn == 0:
            self._skip_idle_quanta(position)

    def _skip_idle_quanta(self, position: int) -> None:
        """Pass whole quanta in one step while every pCPU is idle.

        The same states as passing them one by one.
        """
        start = self.quantum_end - QUANTUM_CYCLES
        if self.scheduler.queue or any(p.current or p.hart.clock != start for p in self.pcpus):
            return
        wake = self._next_deadline()
        if wake == NEVER:
            return
        wake = min(wake, self.chores_due)
        room = (position - self.position) // (QUANTUM_CYCLES * len(self.pcpus))
        quanta = min((wake - start) // QUANTUM_CYCLES, room)
        if quanta > 0:
            for pcpu in self.pcpus:
                self._idle_until(pcpu, start + quanta * QUANTUM_CYCLES)
            self.quantum_end += quanta * QUANTUM_CYCLES
            self._others = self._position_of_others()

    def _run_turn(self, pcpu: Pcpu, limit: int) -> None:
        """Run one pCPU until its clock reaches `limit`."""
        hart = pcpu.hart
        while (clock := hart.clock) < limit and not self.stopped:
            self._clock_before = clock
            if self.starved:
                self.stop_starved()
            vcpu = pcpu.current
            if self.chores_due <= clock and pcpu.online:
                self._do_chores(pcpu)
            elif vcpu is not None:
                self._run_guest(pcpu, vcpu, hart, limit)
            elif not self._dispatch(pcpu) and not self._idle(pcpu, limit):
                self.stopped = self.finished = True

    def _run_guest(self, pcpu: Pcpu, vcpu: Vcpu, hart: Any, limit: int) -> None:
        """Run the loaded vCPU up to its next event.

        An exit, its timer, the end of its timeslice, or `limit`.
        """
        start = hart.clock
        vm = vcpu.vm
        board = vm.board
        assert board is not None
        event = min(limit, pcpu.slice_end, vcpu.deadline, board.deadline)
        if start < self.chores_due < event and pcpu.online:
            event = self.chores_due
        if event <= start:
            self._due_exit(pcpu, vcpu, board, hart, start)
            return
        code = self.host.run(pcpu.index, event - start)
        cycles = hart.retired
        vcpu.retired += cycles - hart.trapped
        vcpu.run_cycles += cycles
        pcpu.run_cycles += cycles
        self.trace.slice(pcpu.index, vm.settings.name, vcpu.index, "run", start, start + cycles)
        if code == EXIT_TRAP or code not in (EXIT_BUDGET, EXIT_DEBUG):
            reason = self.handle_exit(vcpu, hart, code)
            if self.exit_watch is not None:
                self._watch(vcpu, reason)
        elif code == EXIT_DEBUG and self.debug_watch is not None:
            # No exit of the guest: nothing is charged or counted.
            self.stopped |= self.debug_watch(vcpu, self.host.stopped_for())

    def _due_exit(self, pcpu: Pcpu, vcpu: Vcpu, board: VmBoard, hart: Any, now: int) -> None:
        """Leave the guest for what is due: its timer, the end of its timeslice, or one of its devices."""
        if vcpu.deadline <= now:
            self._timer_exit(vcpu, hart)
        elif pcpu.slice_end <= now:
            self._timeslice_exit(pcpu, vcpu, hart)
        else:
            self._device_exit(vcpu, board, hart)

    def _do_chores(self, pcpu: Pcpu) -> None:
        """Let the host do its own work on a pCPU; a vCPU that is loaded makes room."""
        vcpu, start = pcpu.current, pcpu.hart.clock
        if vcpu is not None:
            self.begin_exit(vcpu, "budget")
            pc = pcpu.hart.pc
            self.scheduler.turn_over(vcpu, pcpu, pcpu.hart.clock)
            self._leave(pcpu, vcpu)
            self.scheduler.put_back(vcpu)
            self._tell_steal(vcpu, preempted=True)
            self.end_exit(vcpu, "budget", "the host has work of its own", pc)
            self._watch(vcpu, "budget")
            return
        cycles = self.do_chores(start)
        pcpu.hart.clock = start + cycles
        pcpu.hypervisor_cycles += cycles
        self.trace.slice(pcpu.index, None, None, "hypervisor", start, start + cycles)

    def _dispatch(self, pcpu: Pcpu) -> bool:
        """Load the next vCPU, if one is ready; charge the world switch."""
        start = pcpu.hart.clock
        self._wake_due(start)
        vcpu = self.scheduler.pick(pcpu, start, self.quantum_end)
        if vcpu is None:
            return False
        self._account(vcpu, start)
        vcpu.state = VcpuState.RUNNING
        self._tell_steal(vcpu, preempted=False)
        virtual_cpu.enter(vcpu, pcpu.index, self.host, flush=not self.vmids)
        pcpu.current = vcpu
        pcpu.loaded_at = start
        causes = self.trace.causes
        causes.runs[pcpu.index] = causes.ready.get(vcpu.info.id, 0)
        cycles = self.costs.world_switch if self.vmids else self.costs.longest_switch
        vcpu.counters.switch(cycles)
        self._charge(pcpu, vcpu, cycles)
        self._begin_turn(pcpu, vcpu)
        if self.dispatch_watch is not None and self.dispatch_watch(vcpu):
            self.stopped = True
        return True

    def _begin_turn(self, pcpu: Pcpu, vcpu: Vcpu) -> None:
        """Set the end of a turn.

        Where a vCPU that wakes may cut it short, it ends when a timer that somebody sleeps for is due.
        """
        now = pcpu.hart.clock
        self.trace.causes.cut[pcpu.index] = 0
        pcpu.slice_end = self.scheduler.turn_end(vcpu, pcpu, now)
        if self.scheduler.policy.preemptive:
            pcpu.slice_end = max(now + 1, min(pcpu.slice_end, self._next_deadline()))

    def _tell_steal(self, vcpu: Vcpu, preempted: bool) -> None:
        """Write how long a vCPU wanted a pCPU and had none, if it has asked for that (SBI STA)."""
        steal = vcpu.steal
        if steal is None:
            return
        # An odd sequence number says that the record is being written, which no vCPU can see here.
        steal.sequence = steal.sequence + 2 & 0xFFFF_FFFF
        waited_ns = (vcpu.ready_cycles - steal.ready_cycles) * 1_000_000_000 // self.host.clock_hz
        record = STEAL_TIME.pack(steal.sequence, 0, waited_ns, preempted)
        self.write_guest(vcpu.vm, steal.gpa, record)

    def _idle(self, pcpu: Pcpu, limit: int) -> bool:
        """Let a pCPU idle until something may want it; False if nothing in the whole host ever will."""
        wake = self._next_deadline()
        if wake == NEVER and not self.can_progress():
            return False
        now = pcpu.hart.clock
        chores = self.chores_due if pcpu.online else NEVER
        self._idle_until(pcpu, min(limit, wake, self.scheduler.next_time(pcpu, now), chores))
        return True

    def _idle_together(self, position: int) -> None:
        """Let pCPUs that are behind idle to the latest clock: what happened last is past for all of them."""
        latest = max(pcpu.hart.clock for pcpu in self.pcpus)
        for pcpu in self.pcpus:
            clock = min(latest, pcpu.hart.clock + max(0, position - self.position))
            if clock > pcpu.hart.clock:
                self._idle_until(pcpu, clock)
                self._others = self._position_of_others()

    def _idle_until(self, pcpu: Pcpu, clock: int) -> None:
        start = pcpu.hart.clock
        pcpu.hart.clock = clock
        pcpu.idle_cycles += clock - start
        self.trace.slice(pcpu.index, None, None, "idle", start, clock)

    # Leaving the guest

    def begin_exit(self, vcpu: Vcpu, reason: str) -> None:
        """Count an exit and charge for it."""
        assert vcpu.pcpu is not None
        if self.before_exit is not None:
            self.before_exit(vcpu, reason)
        trace = self.trace
        causes = trace.causes
        causes.now = causes.exit = number = trace.next_event
        trace.next_event = number + 1
        vcpu.exits += 1
        exits = vcpu.vm.exits
        exits[reason] = exits.get(reason, 0) + 1
        cycles = self.costs.of(reason)
        vcpu.counters.exit(reason, cycles)
        self._charge(self.pcpus[vcpu.pcpu], vcpu, cycles)

    def end_exit(self, vcpu: Vcpu, reason: str, text: str, pc: int, cause: int = 0) -> None:
        """Log an exit that has been handled; without a `cause`, the guest itself did it while it ran."""
        turn, name = self.turn, vcpu.vm.settings.name
        cause = cause or self.trace.causes.runs[turn]
        now = self.pcpus[turn].hart.clock
        cycles = vcpu.counters.last_cycles
        self.trace.log_exit(reason, text, self._others + now, now, name, vcpu.index, turn, pc, cycles, cause)

    def charge_extra(self, vcpu: Vcpu, cycles: int) -> None:
        """Charge the pCPU of a loaded vCPU for work beyond the exit itself."""
        assert vcpu.pcpu is not None
        if cycles:
            vcpu.counters.extra(cycles)
            self._charge(self.pcpus[vcpu.pcpu], vcpu, cycles)

    def _charge(self, pcpu: Pcpu, vcpu: Vcpu, cycles: int) -> None:
        hart = pcpu.hart
        start = hart.clock
        end = hart.clock = start + cycles
        pcpu.hypervisor_cycles += cycles
        vcpu.hypervisor_cycles += cycles
        self.trace.slice(pcpu.index, vcpu.vm.settings.name, vcpu.index, "hypervisor", start, end)

    def _timer_exit(self, vcpu: Vcpu, hart: Any) -> None:
        vcpu.deadline = NEVER
        self.begin_exit(vcpu, "timer")
        hart.hvip |= VSTI
        cause = self.trace.causes.timers.pop(vcpu.info.id, 0)
        self.end_exit(vcpu, "timer", "the guest's timer is due: interrupt injected", hart.pc, cause)
        self._watch(vcpu, "timer")

    def _device_exit(self, vcpu: Vcpu, board: VmBoard, hart: Any) -> None:
        self.begin_exit(vcpu, "timer")
        cause = self.trace.causes.devices.get(vcpu.vm.serial, 0)
        board.elapse()
        self.end_exit(vcpu, "timer", "a device's alarm is due", hart.pc, cause)
        self._watch(vcpu, "timer")

    def _timeslice_exit(self, pcpu: Pcpu, vcpu: Vcpu, hart: Any) -> None:
        """The host's timer ends the timeslice: go on, or make room for a vCPU that waits."""
        self.begin_exit(vcpu, "budget")
        now, pc, cause = hart.clock, hart.pc, self.trace.causes.cut[pcpu.index]
        self.scheduler.turn_over(vcpu, pcpu, now)
        self._wake_due(now)
        others = self.scheduler.waiting(pcpu, now)
        if others or self.scheduler.must_leave(vcpu, pcpu, now):
            self._leave(pcpu, vcpu)
            self.scheduler.put_back(vcpu)
            self._tell_steal(vcpu, preempted=True)
            why = "another vCPU is waiting" if others else "it has to wait"
            text = f"timeslice used up: {why}"
        else:
            self._begin_turn(pcpu, vcpu)
            text = "timeslice used up: nobody is waiting, it goes on"
        self.end_exit(vcpu, "budget", text, pc, cause)
        self._watch(vcpu, "budget")

    def _watch(self, vcpu: Vcpu, reason: str) -> None:
        if self.exit_watch is not None and self.exit_watch(vcpu, reason):
            self.stopped = True
