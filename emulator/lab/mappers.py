"""The reverse of a walk: from a frame of host RAM to everyone who maps it, or whose table it is.

Hardware has no such map; Linux keeps one for itself (`rmap`), and so does the hypervisor here for G-stages
(`Partition.gpa`, and who shares a frame). What guests map is found by reading their current page tables from
the roots, as a debugger would, with at most MOST_TABLES tables in all. Tables that no vCPU's `satp` leads to
now are not searched: a guest system has one for each of its processes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from emulator.hypervisor.gstage import MIDDLE_TABLE_SPAN, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X, frame_address
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.partition import ROOT_FRAMES
from emulator.hypervisor.shadow import as_guest
from emulator.hypervisor.vm import HOLDS_MEMORY, Vm
from emulator.lab.byte_views import MapperView
from emulator.lab.observing import address
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

MOST_TABLES = 1024  # guest tables that one question reads
MOST_FOUND = 64
ENTRIES = 512
PPN = (1 << 44) - 1
SIZES = {0: "4 KiB", 1: "2 MiB", 2: "1 GiB", 3: "512 GiB", 4: "256 TiB"}
Roots = dict[int, list[int]]  # satp -> vCPUs


class _Budget:
    """How many tables may still be read."""

    def __init__(self) -> None:
        self.left = MOST_TABLES
        self.cut = ""

    def take(self) -> bool:
        self.left -= 1
        if self.left < 0:
            self.cut = f"The guests have more than {MOST_TABLES} page tables; the rest was not searched."
        return self.left >= 0


def mappers(lab: Lab, hfn: int) -> tuple[list[MapperView], str]:
    """Return who maps a frame, and what was not searched ("" if everything was)."""
    found: list[MapperView] = []
    budget = _Budget()
    for vm in lab.hypervisor.vms.values():
        if vm.lifecycle not in HOLDS_MEMORY or vm.gstage is None:
            continue
        found += _tables(lab, vm, hfn)
        gpas = _gpas(lab, vm, hfn)
        found += [_by_gstage(vm, gpa) for gpa in gpas]
        found += _rings(vm, gpas)
        for satp, vcpus in _roots(lab, vm).items():
            found += islice(_guest_tables(lab, vm, satp, vcpus, gpas, budget), MOST_FOUND)
        if len(found) > MOST_FOUND:
            return found[:MOST_FOUND], f"Only the first {MOST_FOUND} are shown."
    return found, budget.cut


def _gpas(lab: Lab, vm: Vm, hfn: int) -> list[int]:
    """Return where a VM sees a frame."""
    places = lab.hypervisor.pager.ksm.state.sharers.get(hfn)
    if places is not None:
        return [RAM_BASE + page * PAGE_BYTES for serial, page in places if serial == vm.serial]
    gpa = lab.hypervisor.partition.gpa(hfn)
    if gpa is None or not vm.contains(gpa) or vm.frames[(gpa - RAM_BASE) // PAGE_BYTES] != hfn:
        return []
    return [gpa]


def _by_gstage(vm: Vm, gpa: int) -> MapperView:
    entry = vm.gstage.lookup(gpa) if vm.gstage else 0
    granted = permissions(entry)
    text = (
        f"GPA {gpa:#x} of {vm.name}: the hypervisor's table maps it here."
        if entry & PTE_V
        else f"GPA {gpa:#x} of {vm.name}: its frame, but without an entry in the hypervisor's table now."
    )
    return _found("G-stage", vm, [], None, gpa, PAGE_BYTES, granted, text)


def permissions(entry: int) -> str:
    """Return "RWXU" of an entry, "-" for a clear bit."""
    letters = (("R", PTE_R), ("W", PTE_W), ("X", PTE_X), ("U", PTE_U))
    return "".join(letter if entry & PTE_V and entry & bit else "-" for letter, bit in letters)


def _rings(vm: Vm, gpas: list[int]) -> Iterator[MapperView]:
    """Yield the queues of virtio devices that begin in one of the pages."""
    transports = vm.board.virtio.items() if vm.board else ()
    for slot, transport in transports:
        for number, queue in enumerate(transport.state.queues):
            rings = (("descriptors", queue.descriptors), ("available", queue.available), ("used", queue.used))
            for ring, at in rings if queue.ready else ():
                if at & -PAGE_BYTES in gpas:
                    text = (
                        f"the {ring} ring of queue {number} of {vm.name}'s virtio device {slot} begins here."
                    )
                    yield _found("DMA", vm, [], None, at, 0, "", text[0].upper() + text[1:])


# Tables


def _tables(lab: Lab, vm: Vm, hfn: int) -> Iterator[MapperView]:
    """Yield what a frame is in a VM's G-stage table or in its shadow tables."""
    assert vm.gstage is not None
    if hfn not in vm.gstage.frames:
        return
    if hfn in vm.gstage.frames[:ROOT_FRAMES]:
        part = vm.gstage.frames.index(hfn)
        text = f"It is part {part + 1} of {ROOT_FRAMES} of the root (level 2) of {vm.name}'s G-stage table."
        yield _found("table", vm, [], None, part * ENTRIES * MIDDLE_TABLE_SPAN, 0, "", text)
        return
    if vm.shadow is not None and hfn in vm.shadow.tables.pool:
        yield _shadow_table(vm, hfn)
        return
    for level, gpa, table in _gstage_tables(lab, vm):
        if table == frame_address(hfn):
            text = f"It is the level {level} table of {vm.name}'s G-stage for the GPAs from {gpa:#x}."
            yield _found("table", vm, [], None, gpa, 0, "", text)
            return
    text = f"It is set aside for {vm.name}'s G-stage table, to split a leaf of 2 MiB with."
    yield _found("table", vm, [], None, None, 0, "", text)


def _shadow_table(vm: Vm, hfn: int) -> MapperView:
    assert vm.shadow is not None
    key = next((key for key, frame in vm.shadow.tables.tables.items() if frame == hfn), None)
    if key is None:
        return _found("table", vm, [], None, None, 0, "", f"It is set aside for {vm.name}'s shadow tables.")
    satp, level, prefix = key
    gva = prefix << 12 + 9 * (level + 1)
    text = f"It is the level {level} shadow table of {vm.name} for satp {satp:#x}, GVAs from {gva:#x}."
    return _found("table", vm, [], gva, None, 0, "", text)


def _gstage_tables(lab: Lab, vm: Vm) -> Iterator[tuple[int, int, int]]:
    """Yield level, first GPA and HPA of the tables below a VM's G-stage root."""
    assert vm.gstage is not None
    root = frame_address(vm.gstage.frames[0])
    for high, middle in _pointers(lab, root, ROOT_FRAMES * ENTRIES):
        yield 1, high << 30, middle
        for low, leaf in _pointers(lab, middle, ENTRIES):
            yield 0, high << 30 | low << 21, leaf


def _pointers(lab: Lab, table: int, count: int) -> Iterator[tuple[int, int]]:
    for index, entry in enumerate(array("Q", lab.hypervisor.host.read(table, 8 * count))):
        if entry & PTE_V and not entry & (PTE_R | PTE_X):
            yield index, (entry >> 10 & PPN) << 12


# Guest page tables


def _roots(lab: Lab, vm: Vm) -> Roots:
    roots: Roots = {}
    for vcpu in vm.vcpus:
        satp = as_guest(vcpu, lab.hypervisor.registers(vcpu)).vsatp
        if satp >> 60 in (8, 9, 10):
            roots.setdefault(satp, []).append(vcpu.index)
    return roots


def _guest_tables(
    lab: Lab, vm: Vm, satp: int, vcpus: list[int], gpas: list[int], budget: _Budget
) -> Iterator[MapperView]:
    """Yield where a guest's table leads to one of the pages, or lies in it."""
    if not gpas:
        return
    top = (satp >> 60) - 6
    pending = [(top, 0, (satp & PPN) << 12)]
    seen: set[tuple[int, int]] = set()
    while pending:
        level, gva, table = pending.pop()
        if (level, table) in seen or not vm.contains(table, PAGE_BYTES):
            continue
        if not budget.take():
            return
        seen.add((level, table))  # a table that is used twice is told for its first place only
        if table in gpas:
            text = f"It is a level {level} table of {vm.name}'s own page table, for GVAs from {gva:#x}."
            yield _found("table", vm, vcpus, gva, table, 0, "", text)
        for index, entry in _entries(lab, vm, table):
            low = 12 + 9 * level
            at, target = canonical(gva | index << low, top), (entry >> 10 & PPN) << 12
            if not entry & (PTE_R | PTE_X):
                if level:
                    pending.append((level - 1, at, target))
                continue
            for gpa in gpas:
                if target <= gpa < target + (1 << low):
                    yield _leaf(vm, vcpus, level, at + gpa - target, gpa, entry)


def _entries(lab: Lab, vm: Vm, table: int) -> list[tuple[int, int]]:
    """Return the valid entries of a guest's table, with their places; none of one that has no frame."""
    hfn = vm.frames[(table - RAM_BASE) // PAGE_BYTES]
    if hfn == ABSENT:
        return []
    entries = array("Q", lab.hypervisor.host.read_frame(hfn))
    return [(index, entry) for index, entry in enumerate(entries) if entry & PTE_V]


def canonical(gva: int, top: int) -> int:
    """Return a GVA with its upper bits as bit 38 (Sv48: 47, Sv57: 56); `top` is the level of the root."""
    sign = 20 + 9 * top
    return gva | (1 << 64) - (1 << sign + 1) if gva >> sign & 1 else gva


def _leaf(vm: Vm, vcpus: list[int], level: int, gva: int, gpa: int, entry: int) -> MapperView:
    size = SIZES.get(level, "4 KiB")
    text = f"GVA {gva:#x} of {vm.name}: its own page table leads to GPA {gpa:#x} by a {size} page."
    return _found("guest table", vm, vcpus, gva, gpa, 1 << 12 + 9 * level, permissions(entry), text)


def _found(
    kind: str, vm: Vm, vcpus: list[int], gva: int | None, gpa: int | None, size: int, granted: str, text: str
) -> MapperView:
    return {
        "kind": kind,  # pyright: ignore[reportReturnType]
        "vm": vm.name,
        "vcpus": vcpus,
        "gva": None if gva is None else address(gva),
        "gpa": None if gpa is None else address(gpa),
        "bytes": size,
        "permissions": granted,
        "text": text,
    }
