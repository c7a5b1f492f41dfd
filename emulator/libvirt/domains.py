"""What virsh commands ask about a VM ("domain"), from the same observation that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from emulator.lab.observation import VcpuView, VmView
from emulator.libvirt.commands import VirshError

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

# virDomainState of libvirt: number and the word that virsh prints.
STATES: Mapping[str, tuple[int, str]] = {
    "running": (1, "running"),
    "idle": (1, "running"),
    "blocked": (2, "idle"),
    "paused": (3, "paused"),
    "shutting down": (4, "in shutdown"),
    "shut off": (5, "shut off"),
    "crashed": (6, "crashed"),
}
# virVcpuState: offline, running, blocked.
VCPU_STATES: Mapping[str, tuple[int, str]] = {
    "running": (1, "running"),
    "ready": (1, "running"),
    "paused": (1, "running"),
    "idle": (2, "blocked"),
    "suspended": (2, "blocked"),
    "stopped": (0, "offline"),
    "off": (0, "offline"),
}
NS_PER_SECOND = 1_000_000_000


def all_domains(lab: Lab) -> list[VmView]:
    """Return every VM, those that are on first, as virsh lists them."""
    vms = lab.observe(lab.revision.value)["vms"]
    return sorted(vms, key=lambda vm: (not is_on(vm), vm["index"]))


def domain(lab: Lab, word: str) -> VmView:
    """Return the VM of a name, an id or a UUID. Raises VirshError."""
    for vm in all_domains(lab):
        if word in (vm["name"], str(number(lab, vm)), identity(lab, vm["name"])):
            return vm
    known = ", ".join(vm["name"] for vm in all_domains(lab)) or "none"
    raise VirshError(f"failed to get domain '{word[:60]}'; domains here: {known}")


def is_on(vm: VmView) -> bool:
    """Return whether a VM has an id: it is running, shutting down or paused."""
    return vm["state"] not in ("shut off", "crashed")


def number(lab: Lab, vm: VmView) -> int | None:
    """Return the id of a VM that is on."""
    return lab.vm(vm["name"]).serial if is_on(vm) else None


def identity(lab: Lab, name: str) -> str:
    """Return the UUID of a VM."""
    return lab.uuid(name)


def held_cycles(vcpu: VcpuView) -> int:
    """Return how long a vCPU held a pCPU: what libvirt counts as CPU time."""
    return vcpu["run_cycles"] + vcpu["hypervisor_cycles"]


def to_ns(lab: Lab, cycles: int) -> int:
    """Return cycles of a pCPU in nanoseconds."""
    return cycles * NS_PER_SECOND // lab.host_config.clock


def cpu_ns(lab: Lab, vm: VmView) -> int:
    """Return the CPU time of a VM since it was started."""
    return to_ns(lab, sum(held_cycles(vcpu) for vcpu in vm["vcpus"])) if is_on(vm) else 0
