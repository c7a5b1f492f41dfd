"""The Supervisor Binary Interface that guests call with ECALL: what firmware is to a real supervisor.

RISC-V SBI 2.0: BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, and the legacy console, timer and shutdown calls.
a7 holds the extension, a6 the function, a0.. the arguments; a0 returns an error and a1 a value (legacy
calls: a0 only). Left out: PMU, SUSP, CPPC, NACL, STA; they answer SBI_ERR_NOT_SUPPORTED as any unknown call
does.

Addresses that a guest gives are guest physical addresses; none is used before it is known to lie in the
VM's RAM.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import VSSI, VSTI
from emulator.hypervisor import costs, lifecycle
from emulator.hypervisor.vcpu import NEVER, Vcpu, VcpuState

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
LEGACY_SET_TIMER, LEGACY_PUTCHAR, LEGACY_GETCHAR, LEGACY_SHUTDOWN = 0, 1, 2, 8

EXTENSION_NAMES = {
    LEGACY_SET_TIMER: "legacy set_timer",
    LEGACY_PUTCHAR: "legacy console_putchar",
    LEGACY_GETCHAR: "legacy console_getchar",
    LEGACY_SHUTDOWN: "legacy shutdown",
    BASE: "BASE",
    TIME: "TIME",
    IPI: "IPI",
    RFENCE: "RFENCE",
    HSM: "HSM",
    SRST: "SRST",
    DBCN: "DBCN",
}
LEGACY = (LEGACY_SET_TIMER, LEGACY_PUTCHAR, LEGACY_GETCHAR, LEGACY_SHUTDOWN)

HSM_STARTED, HSM_STOPPED, HSM_SUSPENDED = 0, 1, 4
RETENTIVE_SUSPEND = 0
MAX_CONSOLE_BYTES = 4096  # for each call; "may do partial writes"
ALL_ONES = 0xFFFF_FFFF_FFFF_FFFF

Result = tuple[int, int]
Arguments = tuple[int, int, int, int, int]


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
        if extension not in LEGACY:
            x[11] = value & ALL_ONES
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
    hart = hypervisor.host.harts[vcpu.pcpu]
    hart.hvip &= ~VSTI & ALL_ONES
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
    hypervisor.charge_extra(vcpu, costs.PER_IPI * len(targets))
    for target in targets:
        hypervisor.interrupt(target, VSSI, hypervisor.clock_of(vcpu))
    return SUCCESS, 0


def _rfence(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    if function > 2:
        return NOT_SUPPORTED, 0
    targets = _targets(vcpu, arguments[0], arguments[1])
    if targets is None:
        return INVALID_PARAM, 0
    hypervisor.charge_extra(vcpu, costs.PER_IPI * len(targets))
    if function > 0:  # decoded code is always coherent, so a remote FENCE.I has nothing to do
        for target in targets:
            if target.last_pcpu is not None:
                hypervisor.flush(target.last_pcpu)
    return SUCCESS, 0


def _targets(vcpu: Vcpu, mask: int, base: int) -> list[Vcpu] | None:
    """Return the started vCPUs that a hart mask names; None if it names one that does not exist."""
    vcpus = vcpu.vm.vcpus
    if base == ALL_ONES:
        indices = list(range(len(vcpus)))
    elif base >= len(vcpus) or (mask << base).bit_length() > len(vcpus):
        return None
    else:
        indices = [base + bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    return [vcpus[index] for index in indices if vcpus[index].state is not VcpuState.STOPPED]


def _hsm(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    if function == 0:
        return _hart_start(hypervisor, vcpu, arguments)
    if function == 1:
        hypervisor.stop_vcpu(vcpu)
        return FAILED, 0  # nobody is left to see it
    if function == 2:
        return _hart_status(vcpu, arguments[0])
    if function == 3:
        return _hart_suspend(hypervisor, vcpu, arguments[0])
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


def _hart_suspend(hypervisor: Hypervisor, vcpu: Vcpu, kind: int) -> Result:
    """Suspend the caller until an interrupt is pending. It goes on behind the call, with a0 = 0."""
    kind &= 0xFFFF_FFFF
    if kind != RETENTIVE_SUSPEND:
        return NOT_SUPPORTED if kind == 0x8000_0000 else INVALID_PARAM, 0
    hypervisor.suspend_vcpu(vcpu)
    vcpu.context.x[10] = vcpu.context.x[11] = 0
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
    hypervisor.charge_extra(vcpu, costs.PER_CONSOLE_BYTE * count)
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


def _legacy_shutdown(hypervisor: Hypervisor, vcpu: Vcpu, function: int, arguments: Arguments) -> Result:
    del function, arguments
    lifecycle.system_reset(hypervisor, vcpu.vm, restart_wanted=False)
    return FAILED, 0


_EXTENSIONS: dict[int, Callable[[Hypervisor, Vcpu, int, Arguments], Result]] = {
    LEGACY_SET_TIMER: _legacy_set_timer,
    LEGACY_PUTCHAR: _legacy_putchar,
    LEGACY_GETCHAR: _legacy_getchar,
    LEGACY_SHUTDOWN: _legacy_shutdown,
    BASE: _base,
    TIME: _time,
    IPI: _ipi,
    RFENCE: _rfence,
    HSM: _hsm,
    SRST: _srst,
    DBCN: _dbcn,
}
