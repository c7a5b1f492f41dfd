"""Clones: another VM that is what a VM is now, with a name, a MAC address and an identity of its own.

A *linked* clone shares memory and disk with its source until either writes: both then have their own. A
*full* clone shares no memory. A clone of a VM that is off is off; any other goes on as its source does. A
*template* is a VM that cannot start, to be cloned.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.hypervisor import image, lifecycle
from emulator.hypervisor.admission import AdmissionError, require_vm
from emulator.hypervisor.image import ImageError, VmImage
from emulator.hypervisor.vm import ON, Vm, VmState
from emulator.lab import defining
from emulator.lab.checkpoint import all_or_nothing
from emulator.lab.config import VmConfig, vm_name
from emulator.lab.errors import LabError

if TYPE_CHECKING:
    from emulator.lab.lab import Lab


def clone(lab: Lab, source: Vm, name: object, linked: bool) -> Vm:
    """Add a VM that is what another one is now. Raises LabError or ConfigError, then nothing has changed."""
    config = replace(lab.vm_configs[source.name], name=vm_name(name, "name"), uuid="", autostart=False)
    lab.make_room()
    try:
        taken = image.take(lab.hypervisor, source)
        # With overcommit, frames may run out on the way.
        with all_or_nothing(lab) if lab.hypervisor.pager.settings.on_demand else nullcontext():
            config = _with_own_volume(lab, source, config)
            return realize(lab, config, taken if linked else image.copy_of(lab.hypervisor, taken), source)
    except ImageError as error:
        raise LabError(str(error), "vm") from error
    except MemoryError as error:
        raise LabError(f"there is no memory for a clone of {source.name}: delete a snapshot", "vm") from error


def _with_own_volume(lab: Lab, source: Vm, config: VmConfig) -> VmConfig:
    """Give a clone a volume of its own if its source's disk is one: over the same backing."""
    disk = source.settings.disk
    if config.disk is None or disk is None or not disk.volume or disk.read_only:
        return config
    storage = lab.hypervisor.storage
    old = storage.volume(disk.volume)
    name = f"{disk.volume}-{config.name}"
    storage.create(name, old.pool, old.capacity, old.format, old.backing)
    return replace(config, disk=replace(config.disk, volume=name))


def realize(lab: Lab, config: VmConfig, taken: VmImage, source: Vm | None = None, generation: int = 0) -> Vm:
    """Add a VM and let it be what an image says; its generation is the one after `generation`.

    Raises LabError or ImageError, then there is no such VM.
    """
    vm = defining.define(lab, config)
    vm.generation = generation
    if source is not None and source.name in lab.edited:
        lab.edited[vm.name] = lab.edited[source.name]
    settings = replace(vm.settings, executable=taken.settings.executable, vcpus=taken.settings.vcpus)
    try:
        if taken.lifecycle in ON:
            require_vm(lab.hypervisor, vm, settings)
        image.put_back(lab.hypervisor, vm, replace(taken, settings=settings), _text(source))
    except (ImageError, AdmissionError) as error:
        drop(lab, vm.name)
        raise LabError(str(error), "vm") from error
    except MemoryError:
        drop(lab, vm.name)
        raise
    return vm


def drop(lab: Lab, name: str) -> None:
    """Take a VM away again that could not become what it should."""
    vm = lab.vm(name)
    lifecycle.unload(lab.hypervisor, vm)
    vm.lifecycle = VmState.SHUT_OFF
    lifecycle.undefine(lab.hypervisor, vm)
    defining.forget(lab, vm.name)
    lab.hypervisor.next_serial = vm.serial  # as if it had never been


def _text(source: Vm | None) -> str:
    return f"was cloned from {source.name}" if source else "was imported"
