"""What VMs a lab defines: each with a configuration, a program, and settings that follow from both.

A definition is checked here against the rest of the lab (names, programs, volumes, UUIDs) before
the hypervisor is told of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.errors import VmLabError
from emulator.hypervisor import identity, lifecycle
from emulator.hypervisor.admission import AdmissionError
from emulator.hypervisor.costs import Costs
from emulator.hypervisor.memory import fitting, hotadd
from emulator.hypervisor.vm import CpuSettings, DiskSettings, Vm, VmSettings
from emulator.lab import snapshots
from emulator.lab.config import MAX_VMS, HostConfig, VmConfig
from emulator.lab.cpu import to_cycles
from emulator.lab.errors import LabError
from emulator.lab.programs import Program
from emulator.lab.values import nearest
from emulator.machine.elf import Executable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulator.lab.lab import Lab

# Linux numbers its consoles as it finds them: the SBI one first.
COMMAND_LINES: Mapping[str, str] = {"sbi": "console=hvc0", "virtio": "console=hvc1"}


def define(lab: Lab, config: VmConfig) -> Vm:
    """Define a VM. Raises LabError if its name is taken or its program is unknown."""
    config = with_plain_uuid(lab, config)
    if config.name in lab.hypervisor.vms:
        raise LabError(f"there is a VM {config.name!r} already; choose another name", "name")
    if len(lab.hypervisor.vms) >= MAX_VMS:
        raise LabError(f"a lab holds at most {MAX_VMS} VMs; undefine one first")
    require_program(lab, config.program, "program")
    require_command_line_fits(lab, config)
    require_volume(lab, config)
    require_new_uuid(lab, config)
    lab.vm_configs[config.name] = config
    return lab.hypervisor.define(plain_settings(lab, config))


def start(lab: Lab, vm: Vm) -> None:
    """Start a VM with its program as it is now. Raises LabError."""
    lifecycle.require(vm, "start")
    if vm.serial in lab.templates:
        raise LabError(f"{vm.name} is a template: clone it, or make it an ordinary VM again", "vm")
    before = vm.settings
    try:
        set_program(lab, vm, lab.program(vm.name))
        vm.settings = replace(vm.settings, cpu=cpu_settings(lab, lab.vm_configs[vm.name]))
        lifecycle.start(lab.hypervisor, vm)
    except VmLabError:
        vm.settings = before
        raise


def change_program(lab: Lab, vm: Vm, program: Program) -> bool:
    """Give a VM a program of its own and start it anew if it is on.

    Return whether it was. Raises LabError.
    """
    old = vm.settings
    set_program(lab, vm, program)
    restarts = lab.is_on(vm)
    try:
        if restarts:
            lifecycle.reload(lab.hypervisor, vm)
    except lifecycle.LifecycleError:
        vm.settings = old
        raise
    lab.edited[vm.name] = program
    return restarts


def reconfigure(lab: Lab, vm: Vm, config: VmConfig) -> None:
    """Change a VM that is shut off; its place in the order of VMs stays."""
    old = vm.name
    if config.name != old and not config.uuid:
        config = replace(config, uuid=uuid(lab, old))
    config = with_plain_uuid(lab, config)
    if config.program != lab.vm_configs[old].program:
        lab.edited.pop(old, None)
    elif old in lab.edited:
        lab.edited[config.name] = lab.edited.pop(old)
    lab.vm_configs = {
        config.name if name == old else name: config if name == old else other
        for name, other in lab.vm_configs.items()
    }
    vm.settings = plain_settings(lab, config)
    vms = list(lab.hypervisor.vms.values())
    lab.hypervisor.vms.clear()
    lab.hypervisor.vms.update((one.name, one) for one in vms)


def reconfigure_cpu(lab: Lab, vm: Vm, config: VmConfig) -> None:
    """Change what a VM that is on may have of pCPUs and frames, or add vCPUs or memory.

    Raises AdmissionError, and then nothing has changed.
    """
    settings = replace(
        vm.settings, vcpus=config.vcpus, cpu=cpu_settings(lab, config), ram=config.ram.settings()
    )
    grown = replace(settings, memory=config.memory)
    refusal = fitting.reservation_refusal(lab.hypervisor, vm, grown)
    if refusal:
        raise AdmissionError("memory_reservation", f"cannot change {vm.name}: {refusal}")
    hotadd.require(lab.hypervisor, vm, config.memory)
    lab.hypervisor.reconfigure_cpu(vm, settings)
    hotadd.grow(lab.hypervisor, vm, config.memory)
    lab.vm_configs[vm.name] = config


def reconfigure_host(lab: Lab, config: HostConfig) -> None:
    """Change how the pCPUs are shared, and which are online. Raises AdmissionError."""
    timeslice, period = (to_cycles(ns, config.clock) for ns in (config.timeslice, config.period))
    costs = Costs(dict(config.costs))
    lab.hypervisor.reconfigure_host(config.scheduler, timeslice, period, config.offline, costs, config.vmid)
    lab.hypervisor.reconfigure_memory(config.giving.settings(config.clock))
    lab.host_config = config
    for vm in lab.hypervisor.vms.values():  # some have the host's period
        vm.settings = replace(vm.settings, cpu=cpu_settings(lab, lab.vm_configs[vm.name]))
        for vcpu in vm.vcpus:
            vcpu.configure()


def forget(lab: Lab, name: str) -> None:
    """Drop what belongs to a VM that was undefined."""
    del lab.vm_configs[name]
    lab.edited.pop(name, None)
    snapshots.prune(lab)


def settings_of(lab: Lab, config: VmConfig, program: Program) -> VmSettings:
    """Return what a VM of a configuration is made of when it runs a program."""
    return replace(plain_settings(lab, config), executable=program.executable)


def plain_settings(lab: Lab, config: VmConfig) -> VmSettings:
    """Return a VM's settings; the program is loaded into them when it starts."""
    disk = config.disk and DiskSettings(
        config.disk.size, b"", config.disk.read_only, config.disk.volume, config.disk.limits
    )
    return VmSettings(
        name=config.name,
        vcpus=config.vcpus,
        memory=config.memory,
        executable=Executable(0, ()),
        on_fault=config.on_fault,
        paging=config.paging,
        append=config.append or COMMAND_LINES[config.console],
        disk=disk,
        network=config.network,
        link=config.link,
        console=config.console,
        rng=config.rng,
        balloon=config.balloon,
        vmgenid=config.vmgenid,
        uuid=config.uuid,
        cpu=cpu_settings(lab, config),
        ram=config.ram.settings(),
    )


def cpu_settings(lab: Lab, config: VmConfig) -> CpuSettings:
    """Return what a VM may have of the pCPUs, in cycles."""
    return config.cpu.settings(config.vcpus, lab.host_config.clock, lab.host_config.period)


def set_program(lab: Lab, vm: Vm, program: Program) -> None:
    """Let a VM's next start load `program`. Raises LabError if it does not assemble."""
    vm.settings = replace(vm.settings, executable=program.executable)


def uuid(lab: Lab, vm: str) -> str:
    """Return the UUID of a VM. Raises LabError."""
    return identity.uuid_of(lab.seed, lab.vm(vm).settings)


def with_plain_uuid(lab: Lab, config: VmConfig) -> VmConfig:
    """Return a configuration that does not say what follows from the VM's name."""
    plain = replace(config, uuid="")
    follows = config.uuid == identity.uuid_of(lab.seed, plain_settings(lab, plain))
    return plain if follows else config


def require_program(lab: Lab, name: str, path: str) -> None:
    """Raise LabError if there is no program of this name."""
    if name not in lab.programs:
        known = list(lab.programs)
        hint = nearest(name, known) or f"; programs here: {', '.join(known)}"
        raise LabError(f"there is no program {name!r}{hint}", path)


def require_new_uuid(lab: Lab, config: VmConfig, renamed: str = "") -> None:
    """Raise LabError if another VM has the UUID that this one would have."""
    own = identity.uuid_of(lab.seed, plain_settings(lab, config))
    for name in lab.hypervisor.vms:
        if name not in (config.name, renamed) and uuid(lab, name) == own:
            raise LabError(f"the UUID {own} is that of {name} already; leave uuid out for another", "uuid")


def require_volume(lab: Lab, config: VmConfig) -> None:
    """Raise LabError if a VM's disk is a volume that does not exist."""
    volumes = lab.hypervisor.storage.state.volumes
    if config.disk and config.disk.volume and config.disk.volume not in volumes:
        name, known = config.disk.volume, list(volumes)
        hint = nearest(name, known) or f"; volumes here: {', '.join(known) or 'none'}"
        raise LabError(f"there is no volume {name!r}{hint}", "disk.volume")


def require_command_line_fits(lab: Lab, config: VmConfig) -> None:
    """Raise LabError if a VM has a kernel's command line and a program that takes none."""
    if config.append and not lab.programs[config.program].is_kernel:
        raise LabError(f"append is a kernel's command line, and {config.program} is none; drop it", "append")
