"""Where each VM's disk keeps its data: the layers of its backing chain, top first, as a picture needs them.

A read of a cluster is served by the first layer from the top that has it; what lies below is covered. A disk
without a volume has one layer of changed sectors over what it began with. Cheap, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypedDict

from emulator.hypervisor.storage.state import CLUSTER_BYTES, VolumeState
from emulator.hypervisor.vm import Vm

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

CELLS = 48  # of a layer's map, at most
SECTOR_BYTES = 512


class CellView(TypedDict):
    """A part of a disk: how many percent of it a layer holds, and whether layers above cover all of that."""

    percent: int
    covered: bool


class LayerView(TypedDict):
    """A layer. `unit_bytes` are allocated at a time; `shared_with` are other VMs whose disks use it."""

    name: str
    kind: Literal["qcow2", "raw", "changes", "contents"]
    pool: str
    capacity_bytes: int
    allocation_bytes: int
    unit_bytes: int
    units: int
    allocated: int
    covered: int  # of the allocated: hidden under layers above
    thick: bool
    shared_with: list[str]
    cells: list[CellView]


class ChainView(TypedDict):
    """A VM's disk from the layer that is written down to the base."""

    vm: str
    vm_index: int
    read_only: bool
    layers: list[LayerView]


def chains_view(lab: Lab) -> list[ChainView]:
    """Return the chain of every VM that has a disk."""
    return [_chain(lab, vm) for vm in lab.hypervisor.vms.values() if vm.settings.disk is not None]


def _chain(lab: Lab, vm: Vm) -> ChainView:
    settings = vm.settings.disk
    assert settings is not None
    layers = _volumes(lab, vm, settings.volume) if settings.volume else _own(vm)
    return {"vm": vm.name, "vm_index": vm.index, "read_only": settings.read_only, "layers": layers}


def _volumes(lab: Lab, vm: Vm, volume: str) -> list[LayerView]:
    above: set[int] = set()
    views: list[LayerView] = []
    for layer in lab.hypervisor.storage.chain(volume):
        clusters = range(layer.cluster_count) if layer.preallocated else layer.clusters
        views.append(_layer(layer, clusters, above, _others(lab, vm, layer.name)))
        above.update(clusters)
    return views


def _layer(layer: VolumeState, clusters: Iterable[int], above: set[int], others: list[str]) -> LayerView:
    allocated = list(clusters)
    return {
        "name": layer.name,
        "kind": layer.format,
        "pool": layer.pool,
        "capacity_bytes": layer.capacity,
        "allocation_bytes": layer.allocation,
        "unit_bytes": CLUSTER_BYTES,
        "units": layer.cluster_count,
        "allocated": len(allocated),
        "covered": sum(number in above for number in allocated),
        "thick": layer.preallocated,
        "shared_with": others,
        "cells": _cells(allocated, above, layer.cluster_count),
    }


def _others(lab: Lab, vm: Vm, volume: str) -> list[str]:
    """Return the other VMs whose disks have a volume in their chains."""
    found: list[str] = []
    for other in lab.hypervisor.vms.values():
        disk = other.settings.disk
        if other is vm or not disk or not disk.volume:
            continue
        if any(one.name == volume for one in lab.hypervisor.storage.chain(disk.volume)):
            found.append(other.name)
    return found


def _own(vm: Vm) -> list[LayerView]:
    """Return the layers of a disk without a volume."""
    disk = vm.disk()
    size = disk.sectors * SECTOR_BYTES
    changed = set(disk.state.changed)
    contents = range(-(-len(vm.settings.disk.contents) // SECTOR_BYTES)) if vm.settings.disk else range(0)
    shapes: list[tuple[str, Literal["changes", "contents"], Iterable[int], set[int]]] = [
        ("what it has written", "changes", changed, set()),
        ("what it began with", "contents", contents, changed),
    ]
    return [
        {
            "name": name,
            "kind": kind,
            "pool": "",
            "capacity_bytes": size,
            "allocation_bytes": len(list(units)) * SECTOR_BYTES,
            "unit_bytes": SECTOR_BYTES,
            "units": disk.sectors,
            "allocated": len(list(units)),
            "covered": sum(number in above for number in units),
            "thick": False,
            "shared_with": [],
            "cells": _cells(list(units), above, disk.sectors),
        }
        for name, kind, units, above in shapes
        if kind == "changes" or len(contents)
    ]


def _cells(allocated: list[int], above: set[int], units: int) -> list[CellView]:
    """Return the parts of a disk, from its beginning."""
    cells = min(CELLS, units)
    held, open_ = [0] * cells, [0] * cells
    for number in allocated:
        if number < units:
            cell = number * cells // units
            held[cell] += 1
            open_[cell] += number not in above
    bounds = [-(-cell * units // cells) for cell in range(cells + 1)]
    sizes = [bounds[cell + 1] - bounds[cell] for cell in range(cells)]
    return [
        {"percent": max(1, 100 * count // size) if count else 0, "covered": bool(count and not seen)}
        for count, seen, size in zip(held, open_, sizes, strict=True)
    ]
