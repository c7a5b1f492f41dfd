"""What rules watch and people read: percentages and rates of a VM between two samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.lab.monitoring.metrics import Key

if TYPE_CHECKING:
    from emulator.lab.monitoring.monitor import Sample

NS_PER_SECOND = 1_000_000_000
DISK_BYTES = "vmlab_disk_bytes_total"


@dataclass(frozen=True, slots=True)
class Signal:
    """A number about a VM: its unit ("%", "/s" or "B"), what it means, how it is made of two samples."""

    unit: str
    meaning: str
    value: Callable[[Sample, Sample, str], float]


def _matching(sample: Sample, name: str, wanted: Mapping[str, str]) -> Iterable[float]:
    for (metric, labels), value in sample.values.items():
        if metric == name and wanted.items() <= dict(labels).items():
            yield value


def _grown(old: Sample, new: Sample, name: str, wanted: Mapping[str, str]) -> float:
    """Return by how much counters have grown; one that was begun again counts from zero."""
    now, before = sum(_matching(new, name, wanted)), sum(_matching(old, name, wanted))
    return now - before if now >= before else now


def _seconds(old: Sample, new: Sample) -> float:
    return max(1, new.at_ns - old.at_ns) / NS_PER_SECOND


def _section(*sections: str, per_vcpu: bool = False) -> Callable[[Sample, Sample, str], float]:
    def value(old: Sample, new: Sample, vm: str) -> float:
        name = "vmlab_vcpu_seconds_total"
        spent = sum(_grown(old, new, name, {"vm": vm, "section": section}) for section in sections)
        vcpus = sum(1 for _ in _matching(new, name, {"vm": vm, "section": "run"})) if per_vcpu else 1
        return 100 * spent / _seconds(old, new) / max(1, vcpus)

    return value


def _rate(name: str, **labels: str) -> Callable[[Sample, Sample, str], float]:
    return lambda old, new, vm: _grown(old, new, name, {"vm": vm, **labels}) / _seconds(old, new)


def _gauge(name: str) -> Callable[[Sample, Sample, str], float]:
    return lambda _old, new, vm: sum(_matching(new, name, {"vm": vm}))


def _host_free(_old: Sample, new: Sample, _vm: str) -> float:
    key: Key = ("vmlab_host_free_bytes", ())
    return new.values[key]


SIGNALS: Mapping[str, Signal] = {
    "cpu": Signal("%", "pCPU time it held, in percent of one pCPU", _section("run", "hypervisor")),
    "ready": Signal("%", "time its vCPUs wanted a pCPU and had none", _section("ready", per_vcpu=True)),
    "idle": Signal("%", "time its vCPUs slept", _section("idle", per_vcpu=True)),
    "overhead": Signal("%", "pCPU time spent on its exits", _section("hypervisor")),
    "exits": Signal("/s", "VM exits in a second", _rate("vmlab_vm_exits_total")),
    "instructions": Signal("/s", "instructions in a second", _rate("vmlab_vcpu_instructions_total")),
    "resident": Signal("B", "its memory with host frames behind it", _gauge("vmlab_vm_resident_bytes")),
    "working-set": Signal(
        "B", "memory it used in the last swap_interval", _gauge("vmlab_vm_working_set_bytes")
    ),
    "balloon": Signal("B", "memory its guest has given back", _gauge("vmlab_vm_balloon_bytes")),
    "read": Signal("B/s", "bytes read from its disk in a second", _rate(DISK_BYTES, operation="read")),
    "written": Signal("B/s", "bytes written in a second", _rate(DISK_BYTES, operation="write")),
    "frames": Signal("/s", "network frames in a second", _rate("vmlab_network_frames_total")),
    "host-free": Signal("B", "host memory that nobody owns", _host_free),
}
