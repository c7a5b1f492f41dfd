"""The machine under a lab's VMs: made as the configuration says, and replaced by other hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.hypervisor.costs import Costs
from emulator.hypervisor.hypervisor import Hypervisor
from emulator.hypervisor.vm import HOLDS_MEMORY
from emulator.lab import snapshots
from emulator.lab.config import HostConfig
from emulator.lab.cpu import to_cycles
from emulator.lab.errors import LabError
from emulator.machine.host import Host

if TYPE_CHECKING:
    from emulator.lab.lab import Lab


def make(lab: Lab, clock: int, position: int, next_event: int) -> Hypervisor:
    """Return a host of the lab's configuration with its hypervisor, no VMs, and all clocks at `clock`."""
    config = lab.host_config
    host = Host(config.pcpus, config.memory, config.clock, lab.engine, config.isa)
    hypervisor = Hypervisor(
        host,
        lab.timeslice_cycles,
        lab.revision,
        clock,
        position,
        next_event,
        lab.seed,
        config.scheduler,
        to_cycles(config.period, config.clock),
        config.giving.settings(config.clock),
        Costs(dict(config.costs)),
        config.vmid,
    )
    for pcpu in config.offline:
        hypervisor.pcpus[pcpu].online = False
    return hypervisor


def replace(lab: Lab, config: HostConfig) -> None:
    """Put other hardware under the VMs; virtual time goes on. Raises LabError if one of them holds memory."""
    busy = [vm.name for vm in lab.hypervisor.vms.values() if vm.lifecycle in HOLDS_MEMORY]
    if busy:
        raise LabError(
            "pcpus and memory can be changed only while all VMs are shut off;"
            f" force {', '.join(busy)} to shut down first"
        )
    snapshots.require_no_memory(lab)
    old = lab.hypervisor
    clock = max(pcpu.hart.clock for pcpu in old.pcpus)
    lab.host_config = config
    lab.hypervisor = make(lab, clock, old.position, old.trace.next_event)
    lab.hypervisor.take_over(old)
    lab.show_anew()
    lab.timeline.change_host(lab)
