"""Admission control: whether a VM may start on a host, decided before anything changes.

Under a static partition all frames of a VM have to be free. With overcommit three things are asked: that the
memory of all VMs that are on stays within the overcommit ratio, that all reservations can be honoured at the
same time, and that there are frames for what the VM is loaded with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.hypervisor import direct_boot
from emulator.hypervisor.gstage import table_frames_needed
from emulator.hypervisor.memory.settings import WHOLE
from emulator.hypervisor.shadow_tables import frames_needed
from emulator.hypervisor.vm import ON, Vm, VmSettings
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

KIBIBYTE = 1 << 10


def refusal(hypervisor: Hypervisor, vm: Vm) -> str:
    """Return why a VM cannot start: what it needs, what there is, and what helps. "" if it can."""
    if not hypervisor.pager.settings.on_demand:
        return _no_room_for_all(hypervisor, vm)
    if vm.settings.ram.page != PAGE_BYTES:
        return (
            "its pages are of 2 MiB, for which its memory has to be given at the start, and this host gives a"
            f" frame at a first touch; give {vm.name} pages of 4 KiB, or set host.overcommit to off"
        )
    return (
        beyond_ratio(hypervisor, vm, vm.settings.memory)
        or reservation_refusal(hypervisor, vm, vm.settings)
        or _no_room_for_image(hypervisor, vm)
    )


def _no_room_for_all(hypervisor: Hypervisor, vm: Vm) -> str:
    pages = vm.settings.memory // PAGE_BYTES
    tables = table_frames_needed(RAM_BASE, pages)
    free = hypervisor.pager.obtainable(vm) + _held(vm)
    if pages + tables <= free:
        return ""
    return (
        f"it needs {pages + tables} host frames ({pages} for its memory and {tables} for its G-stage table)"
        f" and {free} are free; shut a VM off, or give {vm.name} less memory"
    )


def beyond_ratio(hypervisor: Hypervisor, vm: Vm, memory: int) -> str:
    """Return why a VM cannot have so many bytes of memory beside the others that are on, "" if it can."""
    settings, host = hypervisor.pager.settings, hypervisor.host
    others = sum(one.settings.memory for one in _others(hypervisor, vm))
    allowed = host.memory_bytes * settings.overcommit // WHOLE
    if others + memory <= allowed:
        return ""
    return (
        f"its {memory // KIBIBYTE} KiB and the {others // KIBIBYTE} KiB of the VMs that are"
        f" on are more than the {allowed // KIBIBYTE} KiB that an overcommit ratio of"
        f" {settings.overcommit / WHOLE:g} allows; shut a VM off, or raise host.overcommit"
    )


def reservation_refusal(hypervisor: Hypervisor, vm: Vm, settings: VmSettings) -> str:
    """Return why the host cannot honour a VM's reservation beside those of the others, "" if it can."""
    wanted = reserved_frames(settings)
    promised = sum(reserved_frames(one.settings) for one in _others(hypervisor, vm))
    frames = hypervisor.host.frames
    if wanted + promised <= frames:
        return ""
    return (
        f"its reservation takes {wanted} host frames with its G-stage table, {promised} are promised to the"
        f" VMs that are on, and the host has {frames}; lower its memory_reservation, or shut a VM off"
    )


def _no_room_for_image(hypervisor: Hypervisor, vm: Vm) -> str:
    pages = image_pages(vm)
    tables = tables_of(vm.settings)
    limit = vm.settings.ram.limit // PAGE_BYTES
    if limit and pages > limit:
        return f"it is loaded with {pages} pages and its memory_limit is {limit}; raise the limit"
    free = hypervisor.pager.obtainable(vm) + _held(vm)
    if pages + tables <= free:
        return ""
    return (
        f"it needs {pages + tables} host frames at once ({pages} for what is loaded and {tables} for its"
        f" G-stage table) and {free} can be had; shut a VM off"
    )


def reserved_frames(settings: VmSettings) -> int:
    """Return how many frames are kept for a VM that is on: its reservation and its tables."""
    return settings.ram.reservation // PAGE_BYTES + tables_of(settings)


def tables_of(settings: VmSettings) -> int:
    """Return how many frames a VM's tables take: of the G-stage, and shadow tables."""
    pages = settings.memory // PAGE_BYTES
    shadow = frames_needed(pages) if settings.paging == "shadow" else 0
    return table_frames_needed(RAM_BASE, pages) + shadow


def image_pages(vm: Vm) -> int:
    """Return how many pages are written before a VM's first instruction."""
    image = direct_boot.boot_image(vm.settings, vm.isa, bytes(direct_boot.ENTROPY_BYTES))
    pages: set[int] = set()
    for segment in image.segments:
        if segment.data:
            end = segment.address + len(segment.data)
            pages.update(range(segment.address // PAGE_BYTES, -(-end // PAGE_BYTES)))
    return len(pages)


def _held(vm: Vm) -> int:
    """Return the frames that a crashed VM still has, and gives back when it starts."""
    return vm.backing.resident + (len(vm.gstage.frames) if vm.gstage else 0)


def _others(hypervisor: Hypervisor, vm: Vm) -> list[Vm]:
    return [one for one in hypervisor.vms.values() if one is not vm and one.lifecycle in ON]
