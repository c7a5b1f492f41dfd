"""Memory hot-add: the RAM of a VM that is on grows at its end, up to the `most` of its settings.

What is given follows the host's way of giving: under a static partition the new frames are taken at once,
with overcommit only their tables are made and a first touch brings the frame. RAM is one range from RAM_BASE,
so everything that asks whether a GPA is RAM sees the new end from the next instruction on.

A guest hears of it from a device of ours (`devices.memory_size`), at 0x103000 of every VM that has a `most`.
Left out: taking memory away again (that is the balloon's work), and virtio-mem (Virtio 1.2, section 5.15),
without which Linux does not use what is new: its device tree stays the one of its start.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.hypervisor.admission import AdmissionError
from emulator.hypervisor.gstage import table_frames_needed
from emulator.hypervisor.memory import fitting
from emulator.hypervisor.vm import ON, Vm
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

KIBIBYTE = 1 << 10


def require(hypervisor: Hypervisor, vm: Vm, memory: int) -> None:
    """Raise AdmissionError unless a VM that is on can have `memory` bytes, whole pages, from now on."""
    assert vm.lifecycle in ON
    if memory == vm.settings.memory:
        return
    refusal = _wrong_size(vm, memory) or _no_room(hypervisor, vm, memory)
    if refusal:
        raise AdmissionError("memory", f"cannot change the memory of {vm.name} while it is on: {refusal}")


def grow(hypervisor: Hypervisor, vm: Vm, memory: int) -> None:
    """Let a VM have `memory` bytes, no less than now, for which `require` has found room."""
    pages = memory // PAGE_BYTES - len(vm.frames)
    if pages == 0:
        return
    vm.settings = replace(vm.settings, memory=memory)
    hypervisor.pager.extend(vm, pages)
    assert vm.board is not None
    vm.board.memory_grew()


def _wrong_size(vm: Vm, memory: int) -> str:
    now, most = vm.settings.memory, max(vm.settings.memory, vm.settings.ram.most)
    if memory < now:
        return (
            f"it has {now // KIBIBYTE} KiB, and memory can only be added; ask its guest for the rest with"
            " set_balloon, or force it to shut down first"
        )
    if memory > most:
        return (
            f"{memory // KIBIBYTE} KiB are more than its max_memory, {most // KIBIBYTE} KiB;"
            " force it to shut down first and raise max_memory"
        )
    return ""


def _no_room(hypervisor: Hypervisor, vm: Vm, memory: int) -> str:
    before, after = vm.settings.memory // PAGE_BYTES, memory // PAGE_BYTES
    tables = table_frames_needed(RAM_BASE, after) - table_frames_needed(RAM_BASE, before)
    on_demand = hypervisor.pager.settings.on_demand
    if on_demand and (refusal := fitting.beyond_ratio(hypervisor, vm, memory)):
        return refusal
    pages = 0 if on_demand else after - before
    free = hypervisor.pager.obtainable(vm)
    if pages + tables <= free:
        return ""
    return (
        f"it needs {pages + tables} more host frames ({pages} for its memory and {tables} for its G-stage"
        f" table) and {free} are free; shut a VM off, or add less"
    )
