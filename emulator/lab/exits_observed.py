"""What an observation says about exits and translations of VMs: counts, and cycles charged, by reason."""

from __future__ import annotations

from emulator.hypervisor.counters import Counters, in_order_of_count, total
from emulator.hypervisor.hypervisor import Hypervisor
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import Vm
from emulator.lab.observation import TranslationCounts, VcpuCounts, VmCounts


def of_vcpu(hypervisor: Hypervisor, vcpu: Vcpu) -> VcpuCounts:
    """Return the counts of one vCPU since its VM was started."""
    counters = vcpu.counters
    return {
        "exits": in_order_of_count(counters.exits, counters.exits),
        "exit_cycles": in_order_of_count(counters.exits, counters.exit_cycles),
        "switches": counters.switches,
        "switch_cycles": counters.switch_cycles,
        "translations": _translations(hypervisor, [vcpu], Counters()),
    }


def of_vm(hypervisor: Hypervisor, vm: Vm) -> VmCounts:
    """Return the counts of all vCPUs that a VM has had since it was started."""
    counters = total([vm.removed, *(vcpu.counters for vcpu in vm.vcpus)])
    return {
        "exit_cycles": in_order_of_count(counters.exits, counters.exit_cycles),
        "switches": counters.switches,
        "switch_cycles": counters.switch_cycles,
        "translations": _translations(hypervisor, vm.vcpus, vm.removed),
    }


def _translations(hypervisor: Hypervisor, vcpus: list[Vcpu], others: Counters) -> TranslationCounts:
    fetches, data, references = others.translations(None)
    flushes = others.tlb_flushes
    for vcpu in vcpus:
        hart = None if vcpu.pcpu is None else hypervisor.pcpus[vcpu.pcpu].hart
        more = vcpu.counters.translations(hart)
        fetches, data, references = fetches + more[0], data + more[1], references + more[2]
        flushes += vcpu.counters.tlb_flushes
    return {
        "itlb_misses": fetches,
        "dtlb_misses": data,
        "walk_references": references,
        "tlb_flushes": flushes,
    }
