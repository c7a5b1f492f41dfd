"""`Lab.observe`: the whole lab as JSON-ready data, with deltas for what is large."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, cast

from emulator.hypervisor import partition
from emulator.hypervisor.clocks import QUANTUM_CYCLES
from emulator.hypervisor.pcpu import Pcpu
from emulator.hypervisor.trace import Event, Slice
from emulator.hypervisor.vcpu import Vcpu, VcpuState
from emulator.hypervisor.vm import ON, Vm, VmState
from emulator.lab import exits_observed
from emulator.lab.memory_observed import host_memory, vm_memory
from emulator.lab.observation import (
    ConsoleDelta,
    EventView,
    FrameOwner,
    FramesView,
    HostView,
    LaneSlice,
    Observation,
    PcpuView,
    VcpuView,
    VmView,
)
from emulator.lab.observation import VcpuState as VcpuStateName
from emulator.machine.elf import Executable
from emulator.state import PRIV_S, RAM_BASE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

MARKS_KEPT = 4096
SLICES_SHOWN = 1000  # of each pCPU in one observation, the newest
EXITS_SHOWN = 100
WAITING = (VcpuState.IDLE, VcpuState.SUSPENDED)


def address(value: int) -> str:
    """Return 64 bits as "0x0000000080000000"."""
    return f"{value:#018x}"


class Views:
    """What was shown at which cursor, so that the next delta can begin there. No part of the lab's state."""

    def __init__(self) -> None:
        """Nothing has been shown."""
        # VM's serial number -> (revision, name, starts, length of the console) at cursors where that was new
        self._marks: dict[int, list[tuple[int, str, int, int]]] = {}

    def console_at(self, vm: Vm, revision: int) -> tuple[str, int, int]:
        """Return name, starts and console length of a VM when `revision` was a cursor."""
        for number, name, starts, length in reversed(self._marks.get(vm.serial, [])):
            if number <= revision:
                return name, starts, length
        return "", 0, 0

    def mark(self, vm: Vm, revision: int) -> None:
        """Remember what a cursor of `revision` has seen of a console."""
        marks = self._marks.setdefault(vm.serial, [])
        now = (vm.name, vm.starts, vm.console.length)
        if not marks or marks[-1][1:] != now:
            marks.append((revision, *now))
            del marks[:-MARKS_KEPT]


def observe(lab: Lab, cursor: int | None = None, lanes: bool = True) -> Observation:
    """Return what the page shows, as a delta since `cursor` where that is possible.

    `lanes` False leaves `lanes` empty in a delta, for who shows them coarsely (`coarse_lanes`).
    """
    revision = lab.revision.value
    full = cursor is None or not lab.shown_since <= cursor <= revision
    since = -1 if full or cursor is None else cursor
    observation: Observation = {
        "cursor": revision,
        "full": full,
        "position": lab.position,
        "now_ns": lab.now_ns,
        "finished": not lab.hypervisor.can_progress(),
        "actions": len(lab.log),
        "host": _host(lab),
        "vms": [_vm(lab, vm) for vm in lab.hypervisor.vms.values()],
        "frames": _frames(lab, since),
        "lanes": lane_slices(lab, since) if lanes or full else [],
        "consoles": _consoles(lab, since),
        "events": [event_view(lab, event) for event in lab.hypervisor.trace.events_since(since, EXITS_SHOWN)],
        "answers": dict(lab.answers),
        "together": sorted(lab.hypervisor.trace.together),
    }
    for vm in lab.hypervisor.vms.values():
        lab.views.mark(vm, revision)
    return observation


def _host(lab: Lab) -> HostView:
    hypervisor = lab.hypervisor
    return {
        "pcpus": [_pcpu(pcpu) for pcpu in hypervisor.pcpus],
        "memory_bytes": hypervisor.host.memory_bytes,
        "frames_total": hypervisor.host.frames,
        "frames_free": hypervisor.partition.free_count,
        "frames_hypervisor": hypervisor.partition.codes.count(partition.HYPERVISOR),
        "clock_hz": hypervisor.host.clock_hz,
        "scheduler": lab.host_config.scheduler,
        "timeslice_ns": lab.host_config.timeslice,
        "period_ns": lab.host_config.period,
        "quantum_cycles": QUANTUM_CYCLES,
        "costs": dict(hypervisor.costs.prices),
        "vmid": hypervisor.vmids,
        "memory": host_memory(lab),
        "store_used_bytes": hypervisor.host.store_used_bytes,
    }


def _pcpu(pcpu: Pcpu) -> PcpuView:
    current = pcpu.current
    return {
        "index": pcpu.index,
        "clock_cycles": pcpu.hart.clock,
        "kind": "run" if current else "idle",
        "vm": current.vm.name if current else None,
        "vcpu": current.index if current else None,
        "run_cycles": pcpu.run_cycles,
        "hypervisor_cycles": pcpu.hypervisor_cycles,
        "idle_cycles": pcpu.idle_cycles,
        "online": pcpu.online,
    }


def _vm(lab: Lab, vm: Vm) -> VmView:
    config = lab.vm_configs[vm.name]
    executable = vm.settings.executable
    return {
        "name": vm.name,
        "index": vm.index,
        "state": vm.state.value,
        "memory_bytes": config.memory,
        "program": config.program,
        "autostart": config.autostart,
        "on_fault": config.on_fault,
        "paging": config.paging,
        "weight": config.cpu.weight,
        "cap": config.cpu.cap,
        "reservation_hz": config.cpu.reservation,
        "affinity": list(config.cpu.affinity),
        "uuid": lab.uuid(vm.name),
        "vmid": vm.tag if vm.gstage else None,
        "hgatp": address(vm.hgatp) if vm.gstage else None,
        "frames_ram": vm.backing.resident,
        "frames_table": len(vm.gstage.frames) if vm.gstage else 0,
        "memory": vm_memory(vm),
        "vcpus": _vcpus(lab, vm, config.vcpus, executable),
        "exits": dict(sorted(vm.exits.items(), key=lambda item: -item[1])),
        **exits_observed.of_vm(lab.hypervisor, vm),
        "exits_total": sum(vm.exits.values()),
        "faults": vm.fault_count,
        "fault": vm.faults[-1] if vm.faults else None,
        "console_length": vm.console.length,
        "console_waiting": len(vm.console.input),
        "starts": vm.starts,
    }


def _vcpus(lab: Lab, vm: Vm, count: int, executable: Executable) -> list[VcpuView]:
    """Return the vCPUs; those of a VM that is off show the counters of its last start."""
    off = vm.lifecycle is VmState.SHUT_OFF
    views = [_vcpu(lab, vcpu, executable, off) for vcpu in vm.vcpus[:count]]
    return views + [_vcpu(lab, Vcpu(vm, index), executable, True) for index in range(len(views), count)]


def _state_shown(vcpu: Vcpu) -> VcpuStateName:
    """Return a vCPU's state; while its VM stands still, its own is what it will go on from, if it does."""
    if vcpu.vm.lifecycle is VmState.PAUSED:
        return "paused"
    return "stopped" if vcpu.vm.lifecycle is VmState.CRASHED else vcpu.state.value


def _vcpu(lab: Lab, vcpu: Vcpu, executable: Executable, off: bool) -> VcpuView:
    hypervisor = lab.hypervisor
    registers = hypervisor.registers(vcpu)
    line = None if off else executable.lines.get(registers.pc)
    unnamed = off or line is not None or not executable.symbols
    root = vcpu.satp if vcpu.vm.shadow else registers.vsatp
    ready, idle, waited_off = waited(vcpu, hypervisor.mean_clock)
    return {
        "index": vcpu.index,
        "state": "off" if off else _state_shown(vcpu),
        "mode": "VS" if registers.priv == PRIV_S or off else "VU",
        "pc": address(registers.pc),
        "pcpu": vcpu.pcpu,
        "last_pcpu": vcpu.last_pcpu,
        "line": line,
        "where": "" if unnamed else executable.symbols_under(root).name_of(registers.pc),
        "retired": vcpu.retired,
        "run_cycles": vcpu.run_cycles,
        "hypervisor_cycles": vcpu.hypervisor_cycles,
        "ready_cycles": ready,
        "idle_cycles": idle,
        "blocked_cycles": vcpu.blocked_cycles,
        "off_cycles": waited_off,
        **exits_observed.of_vcpu(hypervisor, vcpu),
    }


def waited(vcpu: Vcpu, now: int) -> tuple[int, int, int]:
    """Return ready, idle and off cycles with those of the state that it is in now."""
    ready, idle, off = vcpu.ready_cycles, vcpu.idle_cycles, vcpu.off_cycles
    waiting = max(0, now - vcpu.since) if vcpu.vm.lifecycle in ON and vcpu.pcpu is None else 0
    if vcpu.vm.lifecycle is VmState.PAUSED or vcpu.state is VcpuState.STOPPED:
        return ready, idle, off + waiting
    return (ready + waiting, idle, off) if vcpu.state is VcpuState.READY else (ready, idle + waiting, off)


def _frames(lab: Lab, since: int) -> FramesView:
    owners = lab.hypervisor.partition
    delta = owners.changes_since(since) if since >= 0 else None
    return {
        "count": len(owners.codes),
        "first_hpa": address(RAM_BASE),
        "legend": _legend(lab),
        "owners": base64.b64encode(owners.codes).decode() if delta is None else None,
        "delta": delta or [],
    }


def _legend(lab: Lab) -> list[FrameOwner]:
    codes = lab.hypervisor.partition.codes

    def entry(code: int, owner: str, role: str, vm: Vm | None = None) -> FrameOwner:
        name, index = (None, None) if vm is None else (vm.name, vm.index)
        found = {"code": code, "owner": owner, "vm": name, "vm_index": index, "role": role}
        return cast("FrameOwner", {**found, "count": codes.count(code)})

    legend = [
        entry(partition.FREE, "free", "free"),
        entry(partition.HYPERVISOR, "hypervisor", "hypervisor"),
    ]
    shared = entry(partition.SHARED, "shared", "shared page")
    if shared["count"]:
        legend.append(shared)
    for vm in lab.hypervisor.vms.values():
        legend.append(entry(partition.ram_code(vm.index), "vm", "guest RAM", vm))
        legend.append(entry(partition.table_code(vm.index), "vm", "G-stage table", vm))
    return legend


def lane_slices(lab: Lab, since: int) -> list[LaneSlice]:
    """Return the slices that are new or have grown since a revision, the newest of each pCPU."""
    return [_slice(one) for one in lab.hypervisor.trace.slices_since(since, SLICES_SHOWN)]


def _slice(one: Slice) -> LaneSlice:
    return {
        "id": one.id,
        "pcpu": one.pcpu,
        "vm": one.vm,
        "vcpu": one.vcpu,
        "kind": one.kind,
        "start_cycles": one.start,
        "end_cycles": one.end,
    }


def _consoles(lab: Lab, since: int) -> list[ConsoleDelta]:
    deltas: list[ConsoleDelta] = []
    for vm in lab.hypervisor.vms.values():
        name, starts, length = lab.views.console_at(vm, since)
        reset = since < 0 or name != vm.name or starts != vm.starts
        seen = 0 if reset else length
        offset, text = vm.console.since(seen)
        if text or reset:
            lost = offset - seen
            deltas.append({"vm": vm.name, "offset": offset, "text": text, "reset": reset, "lost": lost})
    return deltas


def event_view(lab: Lab, event: Event) -> EventView:
    """Return an entry of the log as data."""
    return {
        "id": event.id,
        "position": event.position,
        "at_ns": lab.to_ns(event.clock),
        "kind": event.kind,
        "vm": event.vm,
        "vcpu": event.vcpu,
        "pcpu": event.pcpu,
        "reason": event.reason,
        "text": event.text,
        "detail": event.detail,
        "cause": event.cause or None,
    }
