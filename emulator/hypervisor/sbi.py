"""The Supervisor Binary Interface that guests call with ECALL: what firmware is to a real supervisor.

RISC-V SBI 2.0: BASE (chapter 4), legacy calls (5), TIME (6), IPI (7), RFENCE (8), HSM (9), SRST (10), PMU
(11, in `sbi_pmu.py`), DBCN (12), SUSP (13) and STA (16). a7 holds the extension, a6 the function, a0.. the
arguments; a0 returns an error and a1 a value (legacy calls: a0 only). Left out: CPPC, NACL, and RFENCE's
HFENCEs, as no guest has guests; they answer SBI_ERR_NOT_SUPPORTED as any unknown call does.

Addresses that a guest gives are guest physical addresses; none is used before it is known to lie in the
VM's RAM.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import SIE, VSSI, VSTI
from emulator.hypervisor import faults, lifecycle, sbi_pmu
from emulator.hypervisor.costs import LONGEST_TEXT
from emulator.hypervisor.shadow import as_nested
from emulator.hypervisor.vcpu import NEVER, StealTime, Vcpu, VcpuState
from emulator.state import ACCESS_LOAD, NO_ADDRESS, PAGE_BYTES, PRIV_S

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

SUCCESS = 0
FAILED, NOT_SUPPORTED, INVALID_PARAM, DENIED, INVALID_ADDRESS = -1, -2, -3, -4, -5
ALREADY_AVAILABLE, ALREADY_STARTED, ALREADY_STOPPED = -6, -7, -8

SPECIFICATION_2_0 = 2 << 24
IMPLEMENTATION_ID = 0x564D_4C42  # "VMLB"; the register of implementations ends at 11 today
IMPLEMENTATION_VERSION = 1

BASE, TIME, IPI, RFENCE = 0x10, 0x5449_4D45, 0x73_5049, 0x5246_4E43
HSM, SRST, DBCN = 0x48_534D, 0x5352_5354, 0x4442_434E
PMU, SUSP, STA = 0x50_4D55, 0x5355_5350, 0x53_5441
LEGACY_SET_TIMER, LEGACY_PUTCHAR, LEGACY_GETCHAR, LEGACY_SHUTDOWN = 0, 1, 2, 8
LEGACY_CLEAR_IPI, LEGACY_SEND_IPI, LEGACY_FENCE_I, LEGACY_SFENCE, LEGACY_SFENCE_ASID = 3, 4, 5, 6, 7

EXTENSION_NAMES = {
    LEGACY_SET_TIMER: "legacy set_timer",
    LEGACY_PUTCHAR: "legacy console_putchar",
    LEGACY_GETCHAR: "legacy console_getchar",
    LEGACY_CLEAR_IPI: "legacy clear_ipi",
    LEGACY_SEND_IPI: "legacy send_ipi",
    LEGACY_FENCE_I: "legacy remote_fence_i",
    LEGACY_SFENCE: "legacy remote_sfence_vma",
    LEGACY_SFENCE_ASID: "legacy remote_sfence_vma_asid",
    LEGACY_SHUTDOWN: "legacy shutdown",
    BASE: "BASE",
    TIME: "TIME",
    IPI: "IPI",
    RFENCE: "RFENCE",
    HSM: "HSM",
    SRST: "SRST",
    DBCN: "DBCN",
    PMU: "PMU",
    SUSP: "SUSP",
    STA: "STA",
}
LEGACY = range(LEGACY_SHUTDOWN + 1)

HSM_STARTED, HSM_STOPPED, HSM_SUSPENDED = 0, 1, 4
RETENTIVE_SUSPEND, NON_RETENTIVE_SUSPEND = 0, 0x8000_0000
SUSPEND_TO_RAM = 0
STEAL_RECORD_BYTES = 64
MAX_CONSOLE_BYTES = LONGEST_TEXT  # for each call; "may do partial writes"
ALL_ONES = 0xFFFF_FFFF_FFFF_FFFF

Result = tuple[int, int]
Arguments = tuple[int, int, int, int, int]
Call = Callable[["Hypervisor", Vcpu, int, Arguments], Result]


def call(hypervisor: Hypervisor, vcpu: Vcpu, hart: Any) -> str:
    """Serve the call that stands in a hart's registers and move its pc past the ECALL.

    Return the call's name.
    """
    x = hart.x
    extension, function = x[17], x[16]
    arguments = (x[10], x[11], x[12], x[13], x[14])
    hart.pc = (hart.pc + 4) & ALL_ONES
    serve = _EXTENSIONS.get(extension)
    error, value = serve(hypervisor, vcpu, function, arguments) if serve else (NOT_SUPPORTED, 0)
    if vcpu.pcpu is not None:  # else the call has taken the vCPU off its pCPU
        x[10] = error & ALL_ONES
        if extension > LEGACY_SHUTDOWN:
            x[11] = value & ALL_ONES
    return name_of(extension, function)


@lru_cache(maxsize=1024)
def name_of(extension: int, function: int) -> str:
    """Return a call's name, for the log."""
    name = EXTENSION_NAMES.get(extension, f"extension {extension:#x}")
    return name if extension in LEGACY else f"{name} function {function}"


def _base(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    del hypervisor, vcpu
    answers = (SPECIFICATION_2_0, IMPLEMENTATION_ID, IMPLEMENTATION_VERSION)
    if function < 3:
        return SUCCESS, answers[function]
    if function == 3:
        return SUCCESS, int(arguments[0] in _EXTENSIONS)
    return (SUCCESS, 0) if function <= 6 else (NOT_SUPPORTED, 0)  # mvendorid, marchid, mimpid


def _time(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    if function != 0:
        return NOT_SUPPORTED, 0
    _set_timer(hypervisor, vcpu, arguments[0])
    return SUCCESS, 0


def _set_timer(hypervisor: Hypervisor, vcpu: Vcpu, ticks: int) -> None:
    """Raise the timer interrupt when the guest's `time` reaches `ticks`, and withdraw the one pending."""
    assert vcpu.pcpu is not None
    vcpu.pmu.count(sbi_pmu.SET_TIMER)
    hart = hypervisor.host.harts[vcpu.pcpu]
    hart.hvip &= ~VSTI & ALL_ONES
    causes = hypervisor.trace.causes
    causes.timers[vcpu.info.id] = causes.now
    if ticks == ALL_ONES:
        vcpu.deadline = NEVER
    else:
        vcpu.deadline = vcpu.clock_at(ticks, hypervisor.host.record.cycles_per_tick)


def _ipi(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    if function != 0:
        return NOT_SUPPORTED, 0
    targets = _targets(vcpu, arguments[0], arguments[1])
    if targets is None:
        return INVALID_PARAM, 0
    _reach(hypervisor, vcpu, targets, sbi_pmu.IPI_SENT)
    for target in targets:
        hypervisor.interrupt(target, VSSI, hypervisor.clock_of(vcpu))
    return SUCCESS, 0


def _reach(hypervisor: Hypervisor, vcpu: Vcpu, targets: list[Vcpu], event: int) -> None:
    """Charge for reaching other vCPUs, and count it at both ends."""
    hypervisor.charge_extra(vcpu, hypervisor.costs.per_ipi * len(targets))
    for target in targets:
        vcpu.pmu.count(event)
        target.pmu.count(event + sbi_pmu.RECEIVED)


def _rfence(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    if function > 2:
        return NOT_SUPPORTED, 0
    targets = _targets(vcpu, arguments[0], arguments[1])
    if targets is None:
        return INVALID_PARAM, 0
    events = (sbi_pmu.FENCE_I_SENT, sbi_pmu.SFENCE_SENT, sbi_pmu.SFENCE_ASID_SENT)
    _reach(hypervisor, vcpu, targets, events[function])
    if function > 0:  # decoded code is always coherent, so a remote FENCE.I has nothing to do
        _fence_shadow(vcpu, function, arguments)
        for target in targets:
            if target.last_pcpu is not None:
                hypervisor.flush(target.last_pcpu)
    return SUCCESS, 0


def _fence_shadow(vcpu: Vcpu, function: int, arguments: Arguments) -> None:
    """Empty shadow entries for a remote fence: of one page, or all of the address space."""
    shadow = vcpu.vm.shadow
    if shadow is not None:
        start, size, asid = arguments[2:]
        one_page = 0 < size <= PAGE_BYTES and start % PAGE_BYTES + size <= PAGE_BYTES
        shadow.fence(start if one_page else None, asid if function == 2 else None)


def _targets(vcpu: Vcpu, mask: int, base: int) -> list[Vcpu] | None:
    """Return the started vCPUs that a hart mask names; None if it names one that does not exist."""
    vcpus = vcpu.vm.vcpus
    if base == ALL_ONES:
        named = ALL_ONES
    elif base < len(vcpus) and (mask << base).bit_length() <= len(vcpus):
        named = mask << base
    else:
        return None
    return [
        one for index, one in enumerate(vcpus) if named >> index & 1 and one.state is not VcpuState.STOPPED
    ]


def _hsm(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    if function == 0:
        return _hart_start(hypervisor, vcpu, arguments)
    if function == 1:
        hypervisor.stop_vcpu(vcpu)
        return FAILED, 0  # nobody is left to see it
    if function == 2:
        return _hart_status(vcpu, arguments[0])
    if function == 3:
        return _hart_suspend(hypervisor, vcpu, *arguments[:3])
    return NOT_SUPPORTED, 0


def _hart_start(hypervisor: Hypervisor, vcpu: Vcpu, arguments: Arguments) -> Result:
    index, address, argument = arguments[:3]
    if index >= len(vcpu.vm.vcpus):
        return INVALID_PARAM, 0
    if not vcpu.vm.contains(address):
        return INVALID_ADDRESS, 0
    target = vcpu.vm.vcpus[index]
    if target.state is not VcpuState.STOPPED:
        return ALREADY_AVAILABLE, 0
    target.boot(address, argument)
    assert target.vm.board is not None
    target.vm.board.refresh(index)
    hypervisor.wake(target, hypervisor.clock_of(vcpu))
    return SUCCESS, 0


def _hart_status(vcpu: Vcpu, index: int) -> Result:
    if index >= len(vcpu.vm.vcpus):
        return INVALID_PARAM, 0
    codes = {VcpuState.STOPPED: HSM_STOPPED, VcpuState.SUSPENDED: HSM_SUSPENDED}
    return SUCCESS, codes.get(vcpu.vm.vcpus[index].state, HSM_STARTED)


def _hart_suspend(hypervisor: Hypervisor, vcpu: Vcpu, kind: int, address: int, argument: int) -> Result:
    """Suspend the caller until an interrupt is pending.

    It goes on behind the call with a0 = 0 or, where it may forget its registers, at `address`.
    """
    kind &= 0xFFFF_FFFF
    if kind == NON_RETENTIVE_SUSPEND:
        return _suspend_to(hypervisor, vcpu, address, argument)
    if kind != RETENTIVE_SUSPEND:
        return INVALID_PARAM, 0
    hypervisor.suspend_vcpu(vcpu)
    vcpu.context.x[10] = vcpu.context.x[11] = 0
    return SUCCESS, 0


def _suspend_to(hypervisor: Hypervisor, vcpu: Vcpu, address: int, argument: int) -> Result:
    """Suspend the caller; it goes on at `address` as a hart that was started there (9.4, 13.1)."""
    if not vcpu.vm.contains(address):
        return INVALID_ADDRESS, 0
    hypervisor.suspend_vcpu(vcpu)
    context = vcpu.context
    context.pc, context.priv = address, PRIV_S
    if vcpu.vm.shadow is None:
        context.vsatp = 0
    else:
        vcpu.vm.shadow.set_satp(vcpu, context, 0)
    context.vsstatus &= ~SIE
    context.x[10], context.x[11] = vcpu.index, argument
    return SUCCESS, 0


def _susp(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    """Suspend the whole VM to RAM: its only vCPU that is not stopped waits for an interrupt."""
    if function != 0:
        return NOT_SUPPORTED, 0
    if arguments[0] & 0xFFFF_FFFF != SUSPEND_TO_RAM:
        return INVALID_PARAM, 0
    if not vcpu.vm.contains(arguments[1]):
        return INVALID_ADDRESS, 0
    if any(one is not vcpu and one.state is not VcpuState.STOPPED for one in vcpu.vm.vcpus):
        return DENIED, 0
    return _suspend_to(hypervisor, vcpu, arguments[1], arguments[2])


def _pmu(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    return sbi_pmu.call(vcpu.pmu, hypervisor.registers(vcpu), function, arguments)


def _sta(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    """Take the place in memory where the caller wants to read its steal time; all ones: nowhere."""
    low, high, flags = arguments[:3]
    if function != 0:
        return NOT_SUPPORTED, 0
    if flags:
        return INVALID_PARAM, 0
    if low == high == ALL_ONES:
        vcpu.steal = None
        return SUCCESS, 0
    if low % STEAL_RECORD_BYTES:
        return INVALID_PARAM, 0
    if high or not vcpu.vm.contains(low, STEAL_RECORD_BYTES):
        return INVALID_ADDRESS, 0
    hypervisor.write_guest(vcpu.vm, low, bytes(STEAL_RECORD_BYTES))
    vcpu.steal = StealTime(low, vcpu.ready_cycles)
    return SUCCESS, 0


def _srst(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    kind, reason = arguments[0] & 0xFFFF_FFFF, arguments[1] & 0xFFFF_FFFF
    if function != 0:
        return NOT_SUPPORTED, 0
    if kind > 2 or reason > 1:
        return INVALID_PARAM, 0
    lifecycle.system_reset(hypervisor, vcpu.vm, restart_wanted=kind != 0)
    return FAILED, 0  # nobody is left to see it


def _dbcn(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    if function == 2:
        hypervisor.print(vcpu.vm, bytes([arguments[0] & 0xFF]))
        return SUCCESS, 0
    if function > 2:
        return NOT_SUPPORTED, 0
    count, address = min(arguments[0], MAX_CONSOLE_BYTES), arguments[1]
    # "base_addr_hi" is the upper XLEN bits of the address: nothing lies there.
    if arguments[2] != 0 or not vcpu.vm.contains(address, arguments[0]):
        return INVALID_PARAM, 0
    hypervisor.charge_extra(vcpu, hypervisor.costs.per_console_byte * count)
    if function == 0:
        hypervisor.print(vcpu.vm, hypervisor.read_guest(vcpu.vm, address, count))
        return SUCCESS, count
    data = vcpu.vm.console.read(count)
    hypervisor.write_guest(vcpu.vm, address, data)
    return SUCCESS, len(data)


def _legacy_set_timer(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    del function
    _set_timer(hypervisor, vcpu, arguments[0])
    return SUCCESS, 0


def _legacy_putchar(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    del function
    hypervisor.print(vcpu.vm, bytes([arguments[0] & 0xFF]))
    return SUCCESS, 0


def _legacy_getchar(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    del hypervisor, function, arguments
    data = vcpu.vm.console.read(1)
    return (data[0] if data else -1), 0


def _legacy_clear_ipi(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    del function, arguments
    hypervisor.registers(vcpu).hvip &= ~VSSI
    return SUCCESS, 0


def _by_mask_in_memory(serve: Call, function: int) -> Call:
    """Return the legacy form of a call: a0 is the guest virtual address of the hart mask, 0 means all."""

    def call(hypervisor: Hypervisor, vcpu: Vcpu, _: int, arguments: Arguments) -> Result:
        mask, base = 0, ALL_ONES
        if arguments[0]:
            hart = hypervisor.registers(vcpu)
            walk = faults.walk_guest(hypervisor.host, as_nested(vcpu, hart), arguments[0], ACCESS_LOAD)
            if arguments[0] % 8 or walk.cause != NO_ADDRESS:
                return INVALID_ADDRESS, 0
            mask, base = int.from_bytes(hypervisor.host.read(walk.hpa, 8), "little"), 0
        return serve(hypervisor, vcpu, function, (mask, base, *arguments[1:4]))

    return call


def _legacy_shutdown(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    del function, arguments
    lifecycle.system_reset(hypervisor, vcpu.vm, restart_wanted=False)
    return FAILED, 0


_EXTENSIONS: dict[int, Call] = {
    LEGACY_SET_TIMER: _legacy_set_timer,
    LEGACY_PUTCHAR: _legacy_putchar,
    LEGACY_GETCHAR: _legacy_getchar,
    LEGACY_CLEAR_IPI: _legacy_clear_ipi,
    LEGACY_SEND_IPI: _by_mask_in_memory(_ipi, 0),
    LEGACY_FENCE_I: _by_mask_in_memory(_rfence, 0),
    LEGACY_SFENCE: _by_mask_in_memory(_rfence, 1),
    LEGACY_SFENCE_ASID: _by_mask_in_memory(_rfence, 2),
    LEGACY_SHUTDOWN: _legacy_shutdown,
    BASE: _base,
    TIME: _time,
    IPI: _ipi,
    RFENCE: _rfence,
    HSM: _hsm,
    SRST: _srst,
    DBCN: _dbcn,
    PMU: _pmu,
    SUSP: _susp,
    STA: _sta,
}
