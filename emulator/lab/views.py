"""What can be looked at in a lab: each view is a function of the lab, in the module that it stands in below.

Looking changes nothing in the lab. What a view returns can be sent as JSON, but for images and captures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.hypervisor.network import NetworkError
from emulator.hypervisor.network.pcap import pcap
from emulator.hypervisor.network.switch import Switch
from emulator.lab import (
    causes,
    cpu_view,
    exit_stories,
    inspection,
    listing,
    observing,
    registers,
    resources,
    stories,
    volume_images,
    where,
)
from emulator.lab.errors import LabError
from emulator.lab.observation import FaultView

if TYPE_CHECKING:
    from emulator.lab.lab import Lab


def faults(lab: Lab, vm: str) -> list[FaultView]:
    """Return the stories of all faults of the VM of this name, oldest first, as far as they are kept."""
    return [stories.story(lab, one.id) for one in lab.hypervisor.faults.values() if one.vm_name == vm]


def console(lab: Lab, vm: str) -> str:
    """Return what a VM has written since its start. Raises LabError."""
    return lab.vm(vm).console.text()


def history(lab: Lab, vm: str) -> str:
    """Return what a VM has written in all its starts. Raises LabError."""
    return lab.vm(vm).console.history()


def network(lab: Lab, name: str) -> Switch:
    """Return the switch of a network that is defined, or that a VM names. Raises LabError."""
    if all(name != vm.network for vm in lab.vm_configs.values()):
        try:
            lab.hypervisor.networks.settings(name)
        except NetworkError as error:
            raise LabError(str(error), "network") from error
    return lab.hypervisor.networks.switch(name)


def captured(lab: Lab, network: str) -> bytes:
    """Return what was captured in a network, as a pcap file. Raises LabError."""
    made = network in lab.hypervisor.networks.names()
    if not made and any(network == vm.network for vm in lab.vm_configs.values()):
        return pcap([])  # its switch is made when it is first used; to look at it must change nothing
    return pcap(lab.network(network).state.captured)


class LabViews:
    """The views, as methods of a lab."""

    observe = observing.observe
    console = console
    history = history
    # A vCPU and its program
    cpu = cpu_view.cpu
    raw_registers = registers.raw_registers
    registers = registers.registers
    listing = listing.listing
    # Memory
    memory = inspection.memory
    walk = inspection.walk
    address = where.address_named
    table = where.table
    where = where.where
    frame = inspection.frame
    digest = inspection.digest
    # What happened
    why = causes.why
    exit = exit_stories.story
    fault = stories.story
    faults = faults
    # Disks and networks
    storage = resources.storage_view
    volume_image = volume_images.volume_image
    networks = resources.networks_view
    network = network
    pcap = captured
