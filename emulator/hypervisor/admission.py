"""Admission control: what was promised is kept, so what cannot be kept is not promised.

Asked before a VM starts, before what it may have of the pCPUs changes, and before a pCPU or the scheduler
goes. Weights are wishes and always granted; caps, affinity and reservations are promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.errors import VmLabError
from emulator.hypervisor.caps import least_quota
from emulator.hypervisor.costs import Costs
from emulator.hypervisor.host_scheduler import quota_of
from emulator.hypervisor.scheduler import Scheduler, VcpuInfo
from emulator.hypervisor.vcpu import MAX_VCPUS
from emulator.hypervisor.vm import ON, Vm, VmSettings

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor


class AdmissionError(VmLabError):
    """A promise cannot be kept; `key` is what asks too much: `cap`, `affinity`, `reservation`, `vcpus`."""

    def __init__(self, key: str, message: str) -> None:
        """Keep the key apart from the sentence."""
        super().__init__(message)
        self.key = key


def require_vm(hypervisor: Hypervisor, vm: Vm, settings: VmSettings) -> None:
    """Raise AdmissionError unless a VM can be on with these settings, beside those that are on."""
    host = hypervisor.scheduler
    online = host.online
    _require_cap(settings, host.period, host.costs)
    _require_affinity(settings, online, len(host.pcpus))
    others = [(one, one.settings) for one in hypervisor.vms.values() if one.lifecycle in ON and one is not vm]
    _require_promises(host.policy, [*others, (vm, settings)], online)


def require_host(
    hypervisor: Hypervisor, policy: Scheduler, online: Sequence[int], period: int, costs: Costs
) -> None:
    """Raise AdmissionError unless all VMs that are on can stay with this scheduler, pCPUs and costs."""
    on = [(vm, vm.settings) for vm in hypervisor.vms.values() if vm.lifecycle in ON]
    for _, settings in on:
        _require_cap(settings, period, costs)
        _require_affinity(settings, online, len(hypervisor.pcpus))
    _require_promises(policy, on, online)


def _require_cap(settings: VmSettings, period: int, costs: Costs) -> None:
    least = least_quota(costs)
    cap, quota = settings.cpu.cap, quota_of(settings.cpu.cap, period)
    if cap and quota < least:
        raise AdmissionError(
            "cap",
            f"{settings.name} cannot be capped at {cap} %: that is {quota} cycles in each period of {period},"
            f" and one turn with the exit that ends it can take {least};"
            f" cap it at {-(-least * 100 // period)} % or more, or make the host's period longer",
        )
    reserved = settings.cpu.reservation * settings.vcpus * 100
    if cap and reserved > cap * settings.cpu.period:
        raise AdmissionError(
            "reservation",
            f"{settings.name} reserves {reserved / settings.cpu.period:.1f} % of a pCPU and is capped at"
            f" {cap} %; reserve less, or raise the cap",
        )


def _require_affinity(settings: VmSettings, online: Sequence[int], pcpus: int) -> None:
    affinity = settings.cpu.affinity
    if not affinity or any(pcpu in online for pcpu in affinity):
        return
    wanted = ", ".join(map(str, affinity))
    there = f"the host has {pcpus}, from 0, of which are online: {', '.join(map(str, online))}"
    raise AdmissionError(
        "affinity",
        f"{settings.name} may run on pCPU {wanted} only, and {there}; change its affinity,"
        " or bring one online",
    )


def _require_promises(policy: Scheduler, vms: list[tuple[Vm, VmSettings]], online: Sequence[int]) -> None:
    infos = [info for vm, settings in vms for info in _infos(vm, settings)]
    refusal = policy.refusal(infos, online)
    if refusal:
        raise AdmissionError("reservation" if any(info.reservation for info in infos) else "vcpus", refusal)


def _infos(vm: Vm, settings: VmSettings) -> list[VcpuInfo]:
    cpu = settings.cpu
    return [
        VcpuInfo(
            id=vm.serial * MAX_VCPUS + index,
            vm=settings.name,
            index=index,
            weight=cpu.weight,
            cap=cpu.cap,
            reservation=cpu.reservation,
            period=cpu.period,
            affinity=cpu.affinity,
        )
        for index in range(settings.vcpus)
    ]
