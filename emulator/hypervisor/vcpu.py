"""A virtual CPU: a guest's registers while no pCPU runs it, and where it stands with the scheduler.

The registers are kept in a record of the same layout as a hart, so that a world switch is a few block
copies. Only the fields that belong to the guest are copied (`SWITCHED`); machine-level and hypervisor-level
state of the hart stays. Privileged ISA 20240411, chapter 18.
"""

from __future__ import annotations

import ctypes
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import (
    ENVCFG_STCE,
    EXT_F,
    FS,
    HEDELEG_WRITABLE,
    MEDELEG_HYPERVISOR,
    MEDELEG_WRITABLE,
    S_INTERRUPTS,
    SPV,
    SPVP,
    STATEEN_ENVCFG,
    STATEEN_SE,
    VS_INTERRUPTS,
    VSTI,
)
from emulator.hypervisor.counters import Counters
from emulator.hypervisor.guest_isa import guest_envcfg, guest_isa
from emulator.hypervisor.sbi_pmu import Pmu
from emulator.hypervisor.scheduler import VcpuInfo
from emulator.isa.extensions import Isa
from emulator.machine.host import Host
from emulator.state import HART, MMIO_NONE, NO_ADDRESS, PRIV_S

if TYPE_CHECKING:
    from emulator.hypervisor.vm import Vm

NEVER = 1 << 63
MAX_VCPUS = 8  # of one VM
COUNTERS = 7  # cycle, time, instret
A0, A1 = 10, 11


def _span(first: str, last: str) -> slice:
    """Return where the bytes of the fields `first` to `last` of a hart are."""
    return slice(HART.offset(first), HART.offset(last) + 8)


SWITCHED = (
    _span("x", "virt"),
    _span("mcycle", "minstret"),
    _span("mie", "mie"),
    _span("scounteren", "senvcfg"),
    _span("hstatus", "vstimecmp"),
)


class VcpuState(Enum):
    """What a vCPU is doing; the first two are the ones that want a pCPU."""

    RUNNING = "running"
    READY = "ready"
    IDLE = "idle"  # in WFI
    SUSPENDED = "suspended"  # by SBI HSM, until an interrupt
    BLOCKED = "blocked"  # until the host has read a page from its swap area
    STOPPED = "stopped"  # by SBI HSM, until started


@dataclass
class StealTime:
    """Where a vCPU is told how long it was kept waiting (SBI 2.0, chapter 16), from `ready_cycles` on."""

    gpa: int
    ready_cycles: int
    sequence: int = 0


class Vcpu:
    """One vCPU of a VM. Times are in cycles.

    Every cycle since `born` is in exactly one of `run_cycles`, `hypervisor_cycles`, `ready_cycles`,
    `idle_cycles`, `blocked_cycles` and `off_cycles`; those since `since` are in none yet,
    unless it is loaded.
    """

    __slots__ = (
        "alarm",
        "blocked_cycles",
        "born",
        "context",
        "counters",
        "deadline",
        "exits",
        "hypervisor_cycles",
        "idle_cycles",
        "index",
        "info",
        "last_pcpu",
        "off_cycles",
        "pcpu",
        "pmu",
        "ready_cycles",
        "retired",
        "run_cycles",
        "satp",
        "since",
        "state",
        "steal",
        "vm",
    )

    def __init__(self, vm: Vm, index: int) -> None:
        """Make a stopped vCPU with zeroed registers."""
        self.vm = vm
        self.index = index
        self.context: Any = HART.struct()
        self.state = VcpuState.STOPPED
        self.pcpu: int | None = None
        self.last_pcpu: int | None = None
        self.born = 0  # when its VM was started
        self.since = 0  # when its state began; no pCPU may run it before
        self.deadline = NEVER  # when the timer interrupt that it asked for by SBI is due
        self.alarm = NEVER  # when, while it waits, its own comparator (vstimecmp) will wake it
        self.pmu = Pmu()
        self.counters = Counters()
        self.steal: StealTime | None = None
        self.satp = 0  # with shadow paging: what the guest has written; vsatp then is the hypervisor's
        self.retired = 0
        self.exits = 0
        self.run_cycles = 0  # in the guest
        self.hypervisor_cycles = 0  # on a pCPU, in the hypervisor: exits and world switches
        self.ready_cycles = 0  # wanted a pCPU and had none: what the guest calls steal time
        self.idle_cycles = 0
        self.blocked_cycles = 0  # waited for the host's swap area
        self.off_cycles = 0  # stopped, or its VM was paused
        self.info = VcpuInfo(vm.serial * MAX_VCPUS + index, vm.name, index)
        self.configure()

    def configure(self) -> None:
        """Take over the CPU settings of its VM."""
        info, cpu = self.info, self.vm.settings.cpu
        info.vm = self.vm.name
        info.weight, info.cap, info.affinity = cpu.weight, cpu.cap, cpu.affinity
        info.reservation, info.period = cpu.reservation, cpu.period

    def account(self, at: int) -> None:
        """Count the time up to `at` for what it does, unloaded; a clock behind `since` adds nothing."""
        cycles = max(0, at - self.since)
        self.since += cycles
        if self.state is VcpuState.READY:
            self.ready_cycles += cycles
        elif self.state is VcpuState.STOPPED:
            self.off_cycles += cycles
        elif self.state is VcpuState.BLOCKED:
            self.blocked_cycles += cycles
        else:
            self.idle_cycles += cycles

    @property
    def waits_as(self) -> str:
        """Why it is on no pCPU: its state, or "paused"."""
        return "paused" if self.vm.lifecycle.value == "paused" else self.state.value

    def account_pause(self, until: int) -> None:
        """Count the time for which its VM was paused."""
        cycles = max(0, until - self.since)
        self.since += cycles
        self.off_cycles += cycles

    def boot(self, pc: int, argument: int) -> None:
        """Set the registers that a hart has when it enters VS-mode for the first time (SBI, HSM)."""
        context = self.context
        ctypes.memset(ctypes.addressof(context), 0, HART.size)
        context.pc = pc
        context.virt = 1
        context.priv = PRIV_S
        context.x[A0] = self.index
        context.x[A1] = argument
        context.hstatus = SPV | SPVP
        # As KVM does: whatever the guest can handle itself never comes to the hypervisor.
        context.hedeleg = HEDELEG_WRITABLE
        context.hideleg = VS_INTERRUPTS
        context.hcounteren = COUNTERS
        context.scounteren = COUNTERS  # user programs may read the time, as firmware and KVM allow
        context.henvcfg = guest_envcfg(self.vm.isa)
        context.hgatp = self.vm.hgatp
        if self.vm.shadow is not None:
            self.vm.shadow.boot(self)
        self.set_time_offset(self.vm.time_offset)
        context.vstimecmp = NO_ADDRESS
        self.deadline = NEVER
        self.steal = None

    def set_time_offset(self, ticks: int) -> None:
        """Let the guest's `time` be the host's minus `ticks`; the vCPU is not loaded."""
        self.context.htimedelta = -ticks & NO_ADDRESS

    @property
    def wakes_at(self) -> int:
        """When time alone ends its sleep; a vCPU that is blocked hears no timer."""
        return self.alarm if self.state is VcpuState.BLOCKED else min(self.deadline, self.alarm)

    def has_interrupt(self) -> bool:
        """Return whether an interrupt is pending that ends a WFI: enabled in sie, by itself."""
        return bool(self.context.hvip & self.context.mie & VS_INTERRUPTS)

    def set_alarm(self, cycles_per_tick: int) -> None:
        """Find out when the comparator will end the sleep that begins; with its interrupt off, never."""
        armed = self.context.henvcfg & ENVCFG_STCE and self.context.mie & VSTI
        self.alarm = self.clock_at(self.context.vstimecmp, cycles_per_tick) if armed else NEVER

    def clock_at(self, ticks: int, cycles_per_tick: int) -> int:
        """Return the pCPU clock at which the guest's `time` shows `ticks`; NEVER if that is too far away."""
        return min((ticks + self.vm.time_offset) * cycles_per_tick, NEVER)

    def state_parts(self) -> tuple[bytes, list[Any]]:
        """Return the registers and the plain state, for the state hash."""
        start = HART.state_bytes
        plain = [
            self.index,
            self.state.value,
            self.pcpu,
            self.last_pcpu,
            self.born,
            self.since,
            self.deadline,
            self.retired,
            self.exits,
            self.run_cycles,
            self.hypervisor_cycles,
            self.ready_cycles,
            self.idle_cycles,
            self.blocked_cycles,
            self.off_cycles,
            self.satp,
            asdict(self.pmu),
            self.counters.state(),
            self.steal and asdict(self.steal),
        ]
        return bytes(self.context)[:start], plain


def prepare_hart(hart: Any) -> None:
    """Put a hart under the hypervisor's rule.

    All traps that a guest does not handle go to HS-mode, to Python.
    """
    hart.hosted = 1
    hart.priv = PRIV_S
    hart.medeleg = MEDELEG_WRITABLE | MEDELEG_HYPERVISOR
    hart.mideleg = S_INTERRUPTS | VS_INTERRUPTS | 1 << 12
    hart.mcounteren = COUNTERS
    hart.mstateen[:] = hart.hstateen[:] = [STATEEN_SE | STATEEN_ENVCFG, STATEEN_SE, STATEEN_SE, STATEEN_SE]
    hart.menvcfg = guest_envcfg(guest_isa(Isa(hart.extensions)))
    # Guests may use floating point; their own vsstatus.FS says whether they do. A world switch always carries
    # it.
    hart.mstatus |= FS if hart.extensions & EXT_F else 0


def _copy_registers(source: Any, target: Any) -> None:
    # Assigning slices of views takes a quarter of the time that ctypes.memmove takes.
    origin, copy = memoryview(source).cast("B"), memoryview(target).cast("B")
    for span in SWITCHED:
        copy[span] = origin[span]


def enter(vcpu: Vcpu, pcpu: int, host: Host, flush: bool = False) -> None:
    """Load a vCPU's registers into a hart. Translations of an earlier stay are dropped; all, with `flush`."""
    hart = host.harts[pcpu]
    _copy_registers(vcpu.context, hart)
    hart.reservation = NO_ADDRESS
    if flush or (vcpu.last_pcpu is not None and vcpu.last_pcpu != pcpu):
        # Fences that the guest made elsewhere did not reach this hart.
        host.engine.flush(hart)
        vcpu.counters.tlb_flushes += 1
    vcpu.counters.load(hart)
    vcpu.pcpu = vcpu.last_pcpu = pcpu


def leave(vcpu: Vcpu, host: Host) -> None:
    """Save a vCPU's registers from the hart that holds them."""
    assert vcpu.pcpu is not None
    hart = host.harts[vcpu.pcpu]
    _copy_registers(hart, vcpu.context)
    vcpu.counters.unload(hart)
    hart.virt = 0
    hart.priv = PRIV_S
    hart.hgatp = 0
    hart.mmio_state = MMIO_NONE
    vcpu.pcpu = None
    vcpu.since = hart.clock
