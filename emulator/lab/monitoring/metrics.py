"""What is measured: one table of counters and gauges, each read from the running lab.

Names, units and the difference between counters and gauges follow Prometheus ("Metric and label naming",
"Exposition formats", text format 0.0.4): base units, `_total` for what only grows. A counter of a VM begins
again when the VM is started, as a process's does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from emulator.devices.virtio.block import VirtioBlock
from emulator.devices.virtio.mmio import VirtioDevice
from emulator.devices.virtio.network import VirtioNetwork
from emulator.hypervisor.memory.daemon import balloon_pages
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import DISK_SLOT, NETWORK_SLOT, ON, Vm
from emulator.lab.observing import waited
from emulator.state import PAGE_BYTES

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

Kind = Literal["counter", "gauge"]
Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]
Reading = Iterator[tuple[Labels, float]]
SECTIONS = ("run", "hypervisor", "ready", "idle")


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table."""

    name: str
    kind: Kind
    help: str
    read: Callable[[Lab], Reading]


def sample(lab: Lab) -> dict[Key, float]:
    """Return the value of every metric now."""
    return {(metric.name, labels): value for metric in METRICS for labels, value in metric.read(lab)}


def _pcpus(lab: Lab) -> Reading:
    hertz = lab.host_config.clock
    for pcpu in lab.hypervisor.pcpus:
        times = {"run": pcpu.run_cycles, "hypervisor": pcpu.hypervisor_cycles, "idle": pcpu.idle_cycles}
        for section, cycles in times.items():
            yield (("pcpu", str(pcpu.index)), ("section", section)), cycles / hertz


def _free(lab: Lab) -> Reading:
    yield (), lab.hypervisor.partition.free_count * PAGE_BYTES


def _on(lab: Lab) -> Iterator[Vm]:
    return (vm for vm in lab.hypervisor.vms.values() if vm.lifecycle in ON)


def _of_vm(vm: Vm) -> Labels:
    return (("vm", vm.name),)


def _up(lab: Lab) -> Reading:
    for vm in lab.hypervisor.vms.values():
        yield _of_vm(vm), int(vm.lifecycle in ON)


def _vcpus(lab: Lab) -> Reading:
    for vm in _on(lab):
        for vcpu in vm.vcpus:
            for section, cycles in zip(SECTIONS, _times(lab, vcpu), strict=True):
                labels = (*_of_vm(vm), ("vcpu", str(vcpu.index)), ("section", section))
                yield labels, cycles / lab.host_config.clock


def _times(lab: Lab, vcpu: Vcpu) -> tuple[int, int, int, int]:
    ready, idle, _ = waited(vcpu, lab.hypervisor.mean_clock)
    return vcpu.run_cycles, vcpu.hypervisor_cycles, ready, idle


def _instructions(lab: Lab) -> Reading:
    for vm in _on(lab):
        for vcpu in vm.vcpus:
            yield (*_of_vm(vm), ("vcpu", str(vcpu.index))), vcpu.retired


def _exits(lab: Lab) -> Reading:
    for vm in _on(lab):
        for reason, count in vm.exits.items():
            yield (*_of_vm(vm), ("reason", reason)), count


def _memory(lab: Lab) -> Reading:
    for vm in _on(lab):
        yield _of_vm(vm), vm.settings.memory


def _resident(lab: Lab) -> Reading:
    for vm in _on(lab):
        yield _of_vm(vm), vm.backing.resident * PAGE_BYTES


def _working_set(lab: Lab) -> Reading:
    if "age" in lab.hypervisor.daemon.chores:  # else nobody looks
        for vm in _on(lab):
            yield _of_vm(vm), vm.backing.used * PAGE_BYTES


def _balloon(lab: Lab) -> Reading:
    for vm in _on(lab):
        yield _of_vm(vm), balloon_pages(vm) * PAGE_BYTES


def _devices(lab: Lab, slot: int) -> Iterator[tuple[Vm, VirtioDevice]]:
    for vm in _on(lab):
        if vm.board and slot in vm.board.virtio:
            yield vm, vm.board.virtio[slot].device


def _disks(lab: Lab) -> Iterator[tuple[Vm, VirtioBlock]]:
    return ((vm, disk) for vm, disk in _devices(lab, DISK_SLOT) if isinstance(disk, VirtioBlock))


def _disk_operations(lab: Lab) -> Reading:
    for vm, disk in _disks(lab):
        counters = disk.state.counters
        counts = {"read": counters.reads, "write": counters.writes, "flush": counters.flushes}
        for operation, count in counts.items():
            yield (*_of_vm(vm), ("operation", operation)), count


def _disk_bytes(lab: Lab) -> Reading:
    for vm, disk in _disks(lab):
        yield (*_of_vm(vm), ("operation", "read")), disk.state.counters.read_bytes
        yield (*_of_vm(vm), ("operation", "write")), disk.state.counters.written_bytes


def _frames(lab: Lab) -> Reading:
    for vm, card in _devices(lab, NETWORK_SLOT):
        if isinstance(card, VirtioNetwork):
            yield (*_of_vm(vm), ("direction", "sent")), card.state.sent
            yield (*_of_vm(vm), ("direction", "received")), card.state.received
            yield (*_of_vm(vm), ("direction", "lost")), card.state.lost


METRICS = (
    Metric("vmlab_pcpu_seconds_total", "counter", "Virtual time of a pCPU, by what it did.", _pcpus),
    Metric("vmlab_host_free_bytes", "gauge", "Host memory that nobody owns.", _free),
    Metric("vmlab_vm_up", "gauge", "1 while a VM is on.", _up),
    Metric("vmlab_vcpu_seconds_total", "counter", "Virtual time of a vCPU; ready is steal time.", _vcpus),
    Metric("vmlab_vcpu_instructions_total", "counter", "Instructions a vCPU has retired.", _instructions),
    Metric("vmlab_vm_exits_total", "counter", "VM exits by reason.", _exits),
    Metric("vmlab_vm_memory_bytes", "gauge", "Memory that a VM was given.", _memory),
    Metric(
        "vmlab_vm_working_set_bytes",
        "gauge",
        "Memory that a VM used in the last interval in which the host looked at A bits.",
        _working_set,
    ),
    Metric("vmlab_vm_resident_bytes", "gauge", "Memory of a VM with host frames behind it.", _resident),
    Metric("vmlab_vm_balloon_bytes", "gauge", "Memory that a VM's guest has given back.", _balloon),
    Metric("vmlab_disk_operations_total", "counter", "Requests that a disk has answered.", _disk_operations),
    Metric("vmlab_disk_bytes_total", "counter", "Bytes read from and written to a disk.", _disk_bytes),
    Metric("vmlab_network_frames_total", "counter", "Ethernet frames of a network card.", _frames),
)
