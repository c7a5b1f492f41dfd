"""The verbs of a VM's life, and what guests can do to themselves.

States and verbs are libvirt's. A graceful `shutdown` or `reboot` presses the power button, an interrupt:
a guest that does not listen stays "shutting down" until it is destroyed.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from emulator.errors import VmLabError
from emulator.hypervisor import admission, direct_boot, disks
from emulator.hypervisor.board import VmBoard
from emulator.hypervisor.counters import Counters
from emulator.hypervisor.gstage import GStage
from emulator.hypervisor.memory import fitting
from emulator.hypervisor.partition import OutOfFramesError
from emulator.hypervisor.shadow import Shadow
from emulator.hypervisor.storage import StorageError
from emulator.hypervisor.vcpu import NEVER, Vcpu, VcpuState
from emulator.hypervisor.vm import ACTIVE, HOLDS_MEMORY, ON, Vm, VmState
from emulator.state import RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

ALLOWED = {
    "start": (VmState.SHUT_OFF, VmState.CRASHED),
    "shutdown": (VmState.RUNNING,),
    "reboot": (VmState.RUNNING,),
    "reset": (VmState.RUNNING, VmState.SHUTTING_DOWN, VmState.PAUSED),
    "destroy": HOLDS_MEMORY,
    "suspend": ACTIVE,
    "resume": (VmState.PAUSED,),
    "undefine": (VmState.SHUT_OFF, VmState.CRASHED),
}
REMEDIES = {
    VmState.SHUT_OFF: "start it first",
    VmState.CRASHED: "start it again, or destroy it",
    VmState.PAUSED: "resume it first",
    VmState.RUNNING: "force it to shut down first",
    VmState.SHUTTING_DOWN: "wait, or force it to shut down",
}
MEBIBYTE = 1 << 20
ROOM_FOR_LINUX = 8  # MiB to run in, beyond what is loaded


class LifecycleError(VmLabError):
    """A verb does not fit a VM's state: 'cannot resume a: it is running; only a paused VM can be resumed'."""


def require(vm: Vm, verb: str) -> None:
    """Raise LifecycleError unless a VM is in a state for which there is this verb."""
    if vm.lifecycle not in ALLOWED[verb]:
        states = reduce(lambda one, other: f"{one} or {other}", (state.value for state in ALLOWED[verb]))
        remedy = _remedy(vm, verb)
        raise LifecycleError(
            f"cannot {verb} {vm.name}: it is {vm.state.value}, and {verb} needs a VM that is {states};"
            f" {remedy}"
        )


def _remedy(vm: Vm, verb: str) -> str:
    if verb == "start" and vm.lifecycle is VmState.PAUSED:
        return "resume it instead"
    if verb == "start":
        return "reset or reboot it instead"
    if verb == "resume" and vm.lifecycle in ACTIVE:
        return "it runs already"
    return REMEDIES[vm.lifecycle]


def start(hypervisor: Hypervisor, vm: Vm) -> None:
    """Give a VM its frames, load its program and boot vCPU 0.

    Raises LifecycleError or AdmissionError, then nothing has changed.
    """
    require(vm, "start")
    if "h" not in hypervisor.host.isa:
        raise LifecycleError(
            f"cannot start {vm.name}: the host's harts have no H extension, on which VMs run;"
            " add h to host.isa"
        )
    _check_program_fits(vm)
    _check_memory_fits(hypervisor, vm)
    admission.require_vm(hypervisor, vm, vm.settings)
    _check_disk(hypervisor, vm)
    if vm.frames:  # of a crash
        take_memory_away(hypervisor, vm)
    give_memory(hypervisor, vm)
    _boot(hypervisor, vm)
    hypervisor.set_state(vm, VmState.RUNNING, "was started")


def shutdown(hypervisor: Hypervisor, vm: Vm) -> None:
    """Press the power button."""
    require(vm, "shutdown")
    _press_power_button(hypervisor, vm, restart=False)


def reboot(hypervisor: Hypervisor, vm: Vm) -> None:
    """Press the power button; when the guest has shut down, start it again."""
    require(vm, "reboot")
    _press_power_button(hypervisor, vm, restart=True)


def _press_power_button(hypervisor: Hypervisor, vm: Vm, restart: bool) -> None:
    vm.restart_on_shutdown = restart
    asked = "was asked to reboot" if restart else "was asked to shut down"
    hypervisor.set_state(vm, VmState.SHUTTING_DOWN, asked)
    assert vm.board is not None
    vm.board.press_power_button()


def reset(hypervisor: Hypervisor, vm: Vm) -> None:
    """Pull the reset line: the same frames, zeroed and loaded again, and vCPU 0 boots."""
    require(vm, "reset")
    restart(hypervisor, vm, "was reset")


def restart(hypervisor: Hypervisor, vm: Vm, text: str) -> None:
    """Boot a VM again in the frames it has."""
    _end_waits(hypervisor, vm)
    unload(hypervisor, vm)
    hypervisor.pager.clear(vm)
    _boot(hypervisor, vm)
    hypervisor.set_state(vm, VmState.RUNNING, text)


def reload(hypervisor: Hypervisor, vm: Vm) -> None:
    """Boot a VM that is on with the program that its settings hold now.

    Raises LifecycleError if it does not fit.
    """
    _check_program_fits(vm)
    restart(hypervisor, vm, "was started anew with its changed program")


def destroy(hypervisor: Hypervisor, vm: Vm, text: str = "was forced off") -> None:
    """Pull the plug: vCPUs stop where they are and the frames go back to the host, zeroed."""
    require(vm, "destroy")
    _end_waits(hypervisor, vm)
    unload(hypervisor, vm)
    take_memory_away(hypervisor, vm)
    hypervisor.set_state(vm, VmState.SHUT_OFF, text)


def suspend(hypervisor: Hypervisor, vm: Vm, text: str = "was paused") -> None:
    """Take all vCPUs off their pCPUs; their `time` stands still."""
    require(vm, "suspend")
    vm.resumes_to = vm.lifecycle
    vm.paused_at = hypervisor.now_ticks
    unload(hypervisor, vm)
    hypervisor.set_state(vm, VmState.PAUSED, text)


def resume(hypervisor: Hypervisor, vm: Vm) -> None:
    """Go on where `suspend` stopped."""
    require(vm, "resume")
    vm.backing.refused = ""
    ticks = max(0, hypervisor.now_ticks - vm.paused_at)
    vm.time_offset += ticks
    now = hypervisor.now
    for vcpu in vm.vcpus:
        _note_wait(hypervisor, vcpu)
        vcpu.account_pause(now)
        vcpu.set_time_offset(vm.time_offset)
        if vcpu.deadline != NEVER:
            vcpu.deadline += ticks * hypervisor.host.record.cycles_per_tick
        vcpu.set_alarm(hypervisor.host.record.cycles_per_tick)
        running = vcpu.state in (VcpuState.READY, VcpuState.RUNNING, VcpuState.BLOCKED)
        if running or hypervisor.is_called(vcpu):
            hypervisor.wake(vcpu, now)
    hypervisor.set_state(vm, vm.resumes_to, "goes on")
    assert vm.board is not None
    vm.board.resume()


def undefine(hypervisor: Hypervisor, vm: Vm) -> None:
    """Forget a VM, and with it the frames of a crashed one."""
    require(vm, "undefine")
    if vm.frames:
        take_memory_away(hypervisor, vm)
    del hypervisor.vms[vm.name]


def crash(hypervisor: Hypervisor, vm: Vm, text: str) -> None:
    """Stop a VM for what its guest did. It keeps its frames, so that they can be looked at."""
    _end_waits(hypervisor, vm)
    unload(hypervisor, vm)
    hypervisor.set_state(vm, VmState.CRASHED, f"crashed: {text}")


def system_reset(hypervisor: Hypervisor, vm: Vm, restart_wanted: bool) -> None:
    """Serve a guest that shuts itself down or asks for a reboot (SBI SRST)."""
    if restart_wanted or vm.restart_on_shutdown:
        restart(hypervisor, vm, "rebooted")
    else:
        destroy(hypervisor, vm, "shut itself down")


def _stop(hypervisor: Hypervisor, vm: Vm, code: int) -> None:
    """Serve a guest that writes to the test finisher."""
    if code:
        destroy(hypervisor, vm, f"stopped itself with the failure code {code}")
    else:
        system_reset(hypervisor, vm, restart_wanted=False)


def _check_program_fits(vm: Vm) -> None:
    if vm.settings.executable.device_tree:
        _check_kernel_fits(vm)
    for segment in vm.settings.executable.segments:
        if not vm.contains(segment.address, segment.size):
            last = RAM_BASE + vm.settings.memory - 1
            raise LifecycleError(
                f"cannot start {vm.name}: its program wants {segment.size:#x} bytes at GPA"
                f" {segment.address:#x}, and the VM's memory is {RAM_BASE:#x} to {last:#x};"
                " give it more memory or move the program"
            )


def _check_kernel_fits(vm: Vm) -> None:
    needed = direct_boot.memory_needed(vm.settings, vm.isa)
    if needed > vm.settings.memory:
        enough = -(-needed // MEBIBYTE) + ROOM_FOR_LINUX
        raise LifecycleError(
            f"cannot start {vm.name}: its kernel, initramfs and device tree take {needed >> 10} KiB, and it"
            f" has {vm.settings.memory >> 10} KiB; give it {enough} MiB or more"
        )


def _check_memory_fits(hypervisor: Hypervisor, vm: Vm) -> None:
    refusal = fitting.refusal(hypervisor, vm)
    if refusal:
        raise LifecycleError(f"cannot start {vm.name}: {refusal}")


def _check_disk(hypervisor: Hypervisor, vm: Vm) -> None:
    others = [one for one in hypervisor.vms.values() if one is not vm and one.lifecycle in ON]
    on = [(one.name, one.settings.disk) for one in others]
    try:
        disks.require_usable(hypervisor.storage, vm.name, vm.settings.disk, on)
    except StorageError as error:
        raise LifecycleError(str(error)) from error


def give_memory(hypervisor: Hypervisor, vm: Vm) -> None:
    """Make a table for a VM and let the pager fill it. Raises LifecycleError."""
    try:
        vm.gstage = GStage(hypervisor.host, hypervisor.partition, vm.index)
    except OutOfFramesError as error:
        raise LifecycleError(f"cannot start {vm.name}: {error}; shut a VM off") from error
    hypervisor.pager.populate(vm)
    if vm.settings.paging == "shadow":
        vm.shadow = Shadow(hypervisor, vm)


def take_memory_away(hypervisor: Hypervisor, vm: Vm) -> None:
    """Take a VM's frames, zeroed, and its network card's place at the switch."""
    vm.shadow = None
    hypervisor.pager.depopulate(vm)
    if vm.settings.network:
        hypervisor.networks.switch(vm.settings.network).unplug(vm.serial)


def _boot(hypervisor: Hypervisor, vm: Vm) -> None:
    vm.starts += 1
    vm.backing.restart()
    image = direct_boot.boot_image(vm.settings, vm.isa, hypervisor.entropy(vm))
    for segment in image.segments:
        hypervisor.write_guest(vm, segment.address, segment.data)
    if vm.shadow is not None:
        vm.vcpus = []
        vm.shadow.clear()
    vm.exits.clear()
    vm.removed = Counters()
    vm.faults.clear()
    vm.fault_count = 0
    vm.restart_on_shutdown = False
    vm.console.restart()
    vm.time_offset = hypervisor.now_ticks
    vm.start_digest = hypervisor.pager.digest(vm)
    vm.vcpus = [Vcpu(vm, index) for index in range(vm.settings.vcpus)]
    for vcpu in vm.vcpus:
        vcpu.born = vcpu.since = hypervisor.now
    vm.board = new_board(hypervisor, vm)
    hypervisor.update_scheduler(vm)
    vm.vcpus[0].boot(image.entry, image.argument)
    hypervisor.wake(vm.vcpus[0], hypervisor.now)


def new_board(hypervisor: Hypervisor, vm: Vm, harts: int = 0) -> VmBoard:
    """Return devices as they are at power-on, with wires to so many vCPUs, all if none are given."""
    return VmBoard(
        hypervisor,
        vm,
        harts or vm.settings.vcpus,
        lambda code: _stop(hypervisor, vm, code),
        lambda: system_reset(hypervisor, vm, restart_wanted=True),
    )


def unload(hypervisor: Hypervisor, vm: Vm) -> None:
    """Take every vCPU of a VM off its pCPU and out of the queue."""
    for vcpu in vm.vcpus:
        hypervisor.unload(vcpu)


def _end_waits(hypervisor: Hypervisor, vm: Vm) -> None:
    """Note how long those waited who wait for nobody: stopped vCPUs, and ready ones of a paused VM."""
    for vcpu in vm.vcpus:
        ready = vm.lifecycle is VmState.PAUSED and vcpu.state is VcpuState.READY
        if ready or vcpu.state is VcpuState.STOPPED:
            _note_wait(hypervisor, vcpu)


def _note_wait(hypervisor: Hypervisor, vcpu: Vcpu) -> None:
    if hypervisor.now > vcpu.since:
        hypervisor.trace.wait(vcpu.vm.name, vcpu.index, vcpu.waits_as, vcpu.since, hypervisor.now)
