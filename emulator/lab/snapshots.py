"""Snapshots of VMs: a tree for each, of whole images (RAM, disk, devices), and what a VM was configured as.

A snapshot is complete in itself; what it shares with others and with the VM is shared memory, so deleting one
changes no other: its children become its parent's, and only what nobody else has is freed. Sharing is not of
host frames, which keep one owner each, but of the store behind them: a snapshot takes no frame at all.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypedDict

from emulator.hypervisor import image
from emulator.hypervisor.admission import require_vm
from emulator.hypervisor.image import ImageError, VmImage
from emulator.hypervisor.storage.state import CLUSTER_BYTES
from emulator.hypervisor.vm import ON, Vm
from emulator.lab.checkpoint import all_or_nothing
from emulator.lab.config import VmConfig, vm_name
from emulator.lab.errors import LabError
from emulator.lab.programs import Program
from emulator.lab.values import nearest

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

MAX_SNAPSHOTS = 16


class SnapshotView(TypedDict):
    """A snapshot as data. Bytes of memory are its own, or shared with the VM, other snapshots and clones."""

    name: str
    parent: str
    current: bool  # whether the VM goes on from here
    state: str
    position: int
    at_ns: int
    own_bytes: int
    shared_bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class Snapshot:
    """One snapshot; `parent` is "" for one that began a tree."""

    name: str
    parent: str
    position: int
    at_ns: int
    image: VmImage
    config: VmConfig
    edited: Program | None


@dataclass
class Snapshots:
    """The snapshots of one VM by name, oldest first, and the one that it goes on from."""

    all: dict[str, Snapshot] = field(default_factory=dict[str, Snapshot])
    current: str = ""


def of(lab: Lab, vm: Vm) -> Snapshots:
    """Return the snapshots of a VM."""
    return lab.snapshot_trees.setdefault(vm.serial, Snapshots())


def create(lab: Lab, vm: Vm, name: object) -> Snapshot:
    """Keep a VM as it is, under a new name. Raises LabError or ConfigError."""
    tree, name = of(lab, vm), vm_name(name, "name")
    if name in tree.all:
        raise LabError(f"{vm.name} has a snapshot {name!r} already; choose another name", "name")
    if len(tree.all) >= MAX_SNAPSHOTS:
        raise LabError(f"a VM has at most {MAX_SNAPSHOTS} snapshots; delete one first", "name")
    lab.make_room()
    try:
        taken = image.take(lab.hypervisor, vm)
    except MemoryError as error:
        raise LabError(f"there is no memory for a snapshot of {vm.name}: delete another", "name") from error
    snapshot = Snapshot(
        name, tree.current, lab.position, lab.now_ns, taken, lab.vm_configs[vm.name], lab.edited.get(vm.name)
    )
    tree.all[name] = snapshot
    tree.current = name
    return snapshot


def find(lab: Lab, vm: Vm, name: object) -> Snapshot:
    """Return a snapshot of a VM by name. Raises LabError."""
    tree = of(lab, vm)
    found = tree.all.get(name) if isinstance(name, str) else None
    if found is None:
        known = list(tree.all)
        hint = nearest(str(name), known) or f"; its snapshots: {', '.join(known) or 'none'}"
        raise LabError(f"{vm.name} has no snapshot {name!r}{hint}", "name")
    return found


def revert(lab: Lab, vm: Vm, name: object) -> Snapshot:
    """Take a VM back to a snapshot. It keeps its name. Raises LabError, and then nothing has changed."""
    snapshot = find(lab, vm, name)
    _require_same_disk(vm, snapshot)
    settings = replace(snapshot.image.settings, name=vm.name, uuid=vm.settings.uuid)
    if snapshot.image.lifecycle in ON:
        require_vm(lab.hypervisor, vm, settings)
    try:
        taken = replace(snapshot.image, settings=settings)
        lab.make_room()
        # What fails on the way (frames with overcommit, this process's memory) must leave the VM as it was.
        with all_or_nothing(lab) if lab.hypervisor.host.can_hold else nullcontext():
            image.put_back(lab.hypervisor, vm, taken, f"went back to {snapshot.name}")
    except ImageError as error:
        raise LabError(str(error), "vm") from error
    except MemoryError as error:
        raise LabError(f"there is no memory to take {vm.name} back: delete a snapshot", "vm") from error
    lab.vm_configs[vm.name] = replace(snapshot.config, name=vm.name, uuid=vm.settings.uuid)
    lab.edited.pop(vm.name, None)
    if snapshot.edited is not None:
        lab.edited[vm.name] = snapshot.edited
    of(lab, vm).current = snapshot.name
    return snapshot


def delete(lab: Lab, vm: Vm, name: object, children: bool = False) -> list[str]:
    """Delete a snapshot, with `children` all that came of it; else they become its parent's.

    Return the names of those deleted. Raises LabError.
    """
    tree, gone = of(lab, vm), find(lab, vm, name)
    names = [gone.name, *_descendants(tree, gone.name)] if children else [gone.name]
    for one in names:
        del tree.all[one]
    for one in list(tree.all.values()):
        if one.parent == gone.name:
            tree.all[one.name] = replace(one, parent=gone.parent)
    if tree.current in names:
        tree.current = gone.parent
    return names


def views(lab: Lab, vm: Vm) -> list[SnapshotView]:
    """Return a VM's snapshots as data, oldest first."""
    tree = of(lab, vm)
    return [_view(one, tree.current) for one in tree.all.values()]


def _view(one: Snapshot, current: str) -> SnapshotView:
    own, shared = image.sizes(one.image)
    return {
        "name": one.name,
        "parent": one.parent,
        "current": one.name == current,
        "state": one.image.lifecycle.value,
        "position": one.position,
        "at_ns": one.at_ns,
        "own_bytes": own,
        "shared_bytes": shared,
        "disk_bytes": one.image.disk_bytes,
    }


def _descendants(tree: Snapshots, name: str) -> list[str]:
    found: list[str] = []
    for one in tree.all.values():
        if one.parent == name:
            found += [one.name, *_descendants(tree, one.name)]
    return found


def _require_same_disk(vm: Vm, snapshot: Snapshot) -> None:
    """Raise LabError unless the disk of a snapshot is there and its pool has room for what was on it."""
    disk = snapshot.image.settings.disk
    if snapshot.image.clusters is not None and disk and disk.volume not in vm.storage.state.volumes:
        raise LabError(
            f"the disk of snapshot {snapshot.name} was volume {disk.volume}, which is gone; create it again",
            "name",
        )
    if snapshot.image.clusters is None or disk is None:
        return
    volume = vm.storage.volume(disk.volume)
    more = 0 if volume.preallocated else len(snapshot.image.clusters) - len(volume.clusters)
    if more * CLUSTER_BYTES > max(0, vm.storage.free(volume.pool)):
        raise LabError(
            f"the disk of snapshot {snapshot.name} takes {more * CLUSTER_BYTES} bytes more of pool"
            f" {volume.pool} than it takes now, and {max(0, vm.storage.free(volume.pool))} are free;"
            " extend the pool",
            "name",
        )


def prune(lab: Lab) -> None:
    """Forget the snapshots of VMs that are gone."""
    here = {vm.serial for vm in lab.hypervisor.vms.values()}
    for serial in [one for one in lab.snapshot_trees if one not in here]:
        del lab.snapshot_trees[serial]


def state(lab: Lab) -> list[object]:
    """Return what snapshots there are, for the state hash."""
    trees = sorted((serial, tree) for serial, tree in lab.snapshot_trees.items() if tree.all)
    return [
        [serial, tree.current, [[one.name, one.parent, one.position] for one in tree.all.values()]]
        for serial, tree in trees
    ]


def require_no_memory(lab: Lab) -> None:
    """Raise LabError if a snapshot holds memory of the host that is to be replaced."""
    for vm in lab.hypervisor.vms.values():
        held = [one.name for one in of(lab, vm).all.values() if one.image.pages is not None]
        if held:
            raise LabError(
                f"snapshots of {vm.name} hold memory of this host ({', '.join(held)});"
                " delete them before pcpus or memory change"
            )
