"""What a run is judged by, all of it counted: throughput, fairness, waits, page traffic, exits.

Fairness is Jain's index over what each VM got by weight: 1 if all got alike, 1/n if one got all (R. Jain,
D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination", DEC-TR-301, 1984).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import Vm, VmState
from emulator.lab import Lab
from emulator.tournament.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of a tournament."""

    name: str
    title: str
    unit: str
    better: Literal["more", "less"]
    interfaces: tuple[str, ...] = ()  # for which it is shown; () for all


METRICS: tuple[Metric, ...] = (
    Metric("throughput", "Throughput", "M instructions/s", "more"),
    Metric("fairness", "Fairness (Jain)", "", "more"),
    Metric("wake_mean", "Wake-up latency, mean", "µs", "less", ("scheduler",)),
    Metric("wake_p99", "Wake-up latency, 99 %", "µs", "less", ("scheduler",)),
    Metric("pages_read", "Pages read back", "", "less", ("replacement", "balloon")),
    Metric("pages_written", "Pages written out", "", "less", ("replacement", "balloon")),
    Metric("starved", "VMs out of memory at the end", "", "less", ("replacement", "balloon")),
    Metric("handled", "Exits handled by the policy", "", "more", ("exits",)),
    Metric("faults", "Faults left", "", "less", ("exits",)),
)


def metrics_of(interface: str) -> list[Metric]:
    """Return the columns for an interface."""
    return [one for one in METRICS if not one.interfaces or interface in one.interfaces]


class Waits:
    """How long vCPUs waited between waking and running, in cycles, by VM."""

    def __init__(self) -> None:
        """Nobody has woken."""
        self.cycles: dict[str, list[int]] = {}

    def note(self, vcpu: Vcpu, cycles: int) -> None:
        """Add a wait."""
        self.cycles.setdefault(vcpu.vm.name, []).append(cycles)

    def of(self, names: Sequence[str]) -> list[int]:
        """Return the waits of some VMs, or of all, in order of length."""
        chosen = [waits for name, waits in self.cycles.items() if not names or name in names]
        return sorted(wait for waits in chosen for wait in waits)


def measure(lab: Lab, scenario: Scenario, waits: Waits) -> dict[str, float]:
    """Return the value of each metric at the end of a run."""
    vms = list(lab.hypervisor.vms.values())
    seconds = max(1, lab.now_ns) / 1e9
    waited = waits.of(scenario.waking)
    us = 1e6 / lab.host_config.clock
    competing = [vm for vm in vms if not scenario.competing or vm.name in scenario.competing]
    values = {
        "throughput": sum(vcpu.retired for vm in vms for vcpu in vm.vcpus) / seconds / 1e6,
        "fairness": jain(_share(vm) for vm in competing),
        "wake_mean": us * sum(waited) / len(waited) if waited else 0.0,
        "wake_p99": us * percentile(waited, 99),
        "pages_read": float(sum(vm.backing.swapped_in for vm in vms)),
        "pages_written": float(sum(vm.backing.swapped_out for vm in vms)),
        "starved": float(sum(vm.lifecycle is VmState.PAUSED for vm in vms)),
        "handled": float(lab.hypervisor.desk.taken),
        "faults": float(sum(map(_trapped, vms)) - lab.hypervisor.desk.taken),
    }
    return {one.name: values[one.name] for one in metrics_of(scenario.interface)}


def _share(vm: Vm) -> float:
    """Return for how long a VM has held pCPUs, by weight."""
    held = sum(vcpu.run_cycles + vcpu.hypervisor_cycles for vcpu in vm.vcpus)
    return held / vm.settings.cpu.weight


def _trapped(vm: Vm) -> int:
    """Return how often a guest did what a handler could take."""
    return vm.fault_count + vm.exits.get("mmio", 0) + vm.exits.get("virtual instruction", 0)


def jain(shares: Iterable[float]) -> float:
    """Return Jain's index of fairness; 1 where nobody got anything."""
    values = list(shares)
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def percentile(ordered: Sequence[int], percent: int) -> int:
    """Return the smallest value that so many percent do not exceed (nearest rank); 0 of none."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0
