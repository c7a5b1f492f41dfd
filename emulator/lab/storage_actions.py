"""What a student may do to storage: pools, volumes, and the disks of VMs that run.

Every verb checks everything before it changes anything. Live operations keep what a guest sees.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, get_args

from emulator.devices.virtio.block import VirtioBlock
from emulator.devices.virtio.disk_faults import DiskFault, FaultOperation
from emulator.hypervisor import disks, lifecycle
from emulator.hypervisor.storage import merging
from emulator.hypervisor.vm import Vm
from emulator.lab.errors import LabError
from emulator.lab.storage_config import (
    LIMIT_KEYS,
    MAX_POOLS,
    MAX_VOLUMES,
    VolumeConfig,
    backing_name,
    disk_size,
    latency,
    limits_to_dict,
    read_limits,
    resource_name,
)
from emulator.lab.values import boolean, one_of, table_of, whole_number
from emulator.lab.volume_images import import_volume

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

Result = dict[str, Any]
MAX_UPLOAD_BYTES = 8 << 20
MAX_FAULTS = 16


def _note(lab: Lab, verb: str, text: str, vm: Vm | None = None) -> None:
    lab.hypervisor.trace.log("action", verb, text, lab.position, lab.hypervisor.now, vm.name if vm else None)


def _required(arguments: Mapping[str, Any], *keys: str) -> None:
    for key in keys:
        if key not in arguments:
            raise LabError(f"{key} is missing", key)


# Pools


def _pool_create(lab: Lab, arguments: Result) -> Result:
    table_of(arguments, "pool_create", ("pool", "capacity"))
    _required(arguments, "pool", "capacity")
    storage = lab.hypervisor.storage
    if len(storage.state.pools) >= MAX_POOLS:
        raise LabError(f"a lab holds at most {MAX_POOLS} pools; delete one first", "pool")
    name = resource_name(arguments["pool"], "pool")
    storage.create_pool(name, disk_size(arguments["capacity"], "capacity"))
    _note(lab, "pool_create", f"pool {name} was created")
    return {"pool": name}


def _pool_resize(lab: Lab, arguments: Result) -> Result:
    table_of(arguments, "pool_resize", ("pool", "capacity"))
    _required(arguments, "pool", "capacity")
    name, capacity = str(arguments["pool"]), disk_size(arguments["capacity"], "capacity")
    lab.hypervisor.storage.resize_pool(name, capacity)
    _note(lab, "pool_resize", f"pool {name} has {capacity} bytes now")
    return {"pool": name, "capacity": capacity}


def _pool_delete(lab: Lab, arguments: Result) -> Result:
    table_of(arguments, "pool_delete", ("pool",))
    _required(arguments, "pool")
    lab.hypervisor.storage.delete_pool(str(arguments["pool"]))
    _note(lab, "pool_delete", f"pool {arguments['pool']} was deleted")
    return {"pool": arguments["pool"]}


# Volumes


def _vol_create(lab: Lab, arguments: Result) -> Result:
    _required(arguments, "volume", "pool")
    data = {key: value for key, value in arguments.items() if key not in ("volume", "pool")}
    config = VolumeConfig.from_dict({"name": arguments["volume"], **data}, "volume")
    storage = lab.hypervisor.storage
    if len(storage.state.volumes) >= MAX_VOLUMES:
        raise LabError(f"a lab holds at most {MAX_VOLUMES} volumes; delete one first", "volume")
    volume = storage.create(
        config.name,
        str(arguments["pool"]),
        config.capacity or None,
        config.format,
        config.backing,
        config.preallocated,
    )
    _note(lab, "vol_create", f"volume {config.name} was created in pool {volume.pool}")
    return {"volume": config.name, "capacity": volume.capacity}


def _vol_delete(lab: Lab, arguments: Result) -> Result:
    table_of(arguments, "vol_delete", ("volume",))
    name = _volume_name(lab, arguments)
    users = _users(lab, name)
    if users:
        names = ", ".join(vm.name for vm in users)
        raise LabError(f"volume {name} is the disk of {names}; undefine it or change its disk", "volume")
    lab.hypervisor.storage.delete(name)
    _note(lab, "vol_delete", f"volume {name} was deleted")
    return {"volume": name}


def _vol_resize(lab: Lab, arguments: Result) -> Result:
    """Grow a volume; a guest that runs is told."""
    table_of(arguments, "vol_resize", ("volume", "capacity"))
    _required(arguments, "capacity")
    name, capacity = _volume_name(lab, arguments), disk_size(arguments["capacity"], "capacity")
    lab.hypervisor.storage.resize(name, capacity)
    for vm in _users(lab, name):
        if lab.is_on(vm):
            vm.disk().config_changed()
    _note(lab, "vol_resize", f"volume {name} has {capacity} bytes now")
    return {"volume": name, "capacity": capacity}


def _vol_commit(lab: Lab, arguments: Result) -> Result:
    """Merge an overlay into its base; the guest of the overlay may run, one on the base may not."""
    table_of(arguments, "vol_commit", ("volume",))
    name = _volume_name(lab, arguments)
    base = lab.hypervisor.storage.volume(name).backing
    _require_off(lab, base, f"volume {name} cannot be committed into {base}")
    _settle(lab, name)
    written = merging.commit(lab.hypervisor.storage, name)
    _note(lab, "vol_commit", f"volume {name} was committed into {base}: {written} clusters")
    return {"volume": name, "backing": base, "clusters": written}


def _vol_rebase(lab: Lab, arguments: Result) -> Result:
    """Put a volume onto another backing, or onto none, without a change of what it reads as."""
    table_of(arguments, "vol_rebase", ("volume", "backing"))
    name = _volume_name(lab, arguments)
    backing = backing_name(arguments.get("backing"), "backing")
    copied = merging.rebase(lab.hypervisor.storage, name, backing)
    below = backing or "nothing"
    _note(lab, "vol_rebase", f"volume {name} has {below} below it: {copied} clusters copied")
    return {"volume": name, "backing": backing, "clusters": copied}


def _vol_upload(lab: Lab, arguments: Result) -> Result:
    """Write bytes (base64) into a volume that nobody uses."""
    table_of(arguments, "vol_upload", ("volume", "offset", "data"))
    name = _volume_name(lab, arguments)
    storage = lab.hypervisor.storage
    data = decoded(arguments.get("data"))
    capacity = storage.volume(name).capacity
    offset = whole_number(arguments.get("offset", 0), "offset", 0, max(0, capacity - len(data)))
    if len(data) > capacity:
        raise LabError(f"volume {name} has {capacity} bytes, and {len(data)} do not fit", "data")
    storage.require_no_overlays(name, "written to")
    _require_off(lab, name, f"volume {name} cannot be written to")
    storage.write(name, offset, data)
    _note(lab, "vol_upload", f"{len(data)} bytes were put into volume {name}")
    return {"volume": name, "bytes": len(data)}


def _vol_import(lab: Lab, arguments: Result) -> Result:
    """Make a volume of an image (base64): qcow2, or anything else as raw."""
    table_of(arguments, "vol_import", ("volume", "pool", "data"))
    _required(arguments, "volume", "pool", "data")
    data = decoded(arguments["data"])
    found = import_volume(lab, arguments["volume"], str(arguments["pool"]), data)
    _note(lab, "vol_import", f"volume {found['volume']} was made of an image of {len(data)} bytes")
    return found


def decoded(data: object) -> bytes:
    """Return what a base64 text holds. Raises LabError."""
    try:
        found = base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except (binascii.Error, ValueError):
        found = b""
    if not found or len(found) > MAX_UPLOAD_BYTES:
        raise LabError(f"data must be base64 of 1 to {MAX_UPLOAD_BYTES} bytes", "data")
    return found


def _volume_name(lab: Lab, arguments: Mapping[str, Any]) -> str:
    _required(arguments, "volume")
    return lab.hypervisor.storage.volume(str(arguments["volume"])).name


def _users(lab: Lab, volume: str) -> list[Vm]:
    return [vm for vm in lab.hypervisor.vms.values() if disks.volume_of(vm.settings.disk) == volume]


def _require_off(lab: Lab, volume: str, problem: str) -> None:
    busy = [vm.name for vm in _users(lab, volume) if lab.is_on(vm)]
    if busy:
        raise LabError(f"{problem}: {volume} is the disk of {', '.join(busy)}; shut it off first", "volume")


def _settle(lab: Lab, volume: str) -> None:
    for vm in _users(lab, volume):
        vm.settle_disk()


# Disks of VMs


def _disk(lab: Lab, arguments: Mapping[str, Any]) -> tuple[Vm, VirtioBlock]:
    vm = lab.vm(arguments.get("vm"))
    if vm.settings.disk is None:
        raise LabError(f"{vm.name} has no disk; give it one with set_vm while it is shut off", "vm")
    return vm, vm.disk()


def _disk_limits(lab: Lab, arguments: Result) -> Result:
    """Change what a disk may do; the VM may run."""
    table_of(arguments, "disk_limits", ("vm", *LIMIT_KEYS))
    vm, disk = _disk(lab, arguments)
    settings = vm.settings.disk
    assert settings is not None
    limits = read_limits(arguments, "disk", settings.limits)
    vm.settings = replace(vm.settings, disk=replace(settings, limits=limits))
    config = lab.vm_configs[vm.name]
    assert config.disk is not None
    lab.vm_configs[vm.name] = replace(config, disk=replace(config.disk, limits=limits))
    disk.limits = limits
    _note(lab, "disk_limits", f"the limits of the disk of {vm.name} were changed", vm)
    return {"vm": vm.name, **limits_to_dict(limits)}


def _disk_fault(lab: Lab, arguments: Result) -> Result:
    """Let operations of a disk fail or take longer: `count` of them (0: all) after `skip` more."""
    table_of(arguments, "disk_fault", ("vm", "operation", "skip", "count", "error", "delay"))
    vm, disk = _disk(lab, arguments)
    kinds = cast("tuple[FaultOperation, ...]", get_args(FaultOperation))
    fault = DiskFault(
        one_of(arguments.get("operation", "any"), "operation", kinds),
        whole_number(arguments.get("skip", 0), "skip", 0, 1_000_000),
        whole_number(arguments.get("count", 1), "count", 0, 1_000_000),
        boolean(arguments.get("error", "delay" not in arguments), "error"),
        latency(arguments.get("delay", 0), "delay"),
    )
    if len(disk.state.faults) >= MAX_FAULTS:
        raise LabError(f"the disk of {vm.name} has {MAX_FAULTS} faults already; clear them first", "vm")
    disk.state.faults.append(fault)
    _note(lab, "disk_fault", f"a fault was put into the disk of {vm.name}: {fault.operation}", vm)
    return {"vm": vm.name, "faults": len(disk.state.faults)}


def _disk_heal(lab: Lab, arguments: Result) -> Result:
    table_of(arguments, "disk_heal", ("vm",))
    vm, disk = _disk(lab, arguments)
    disk.state.faults.clear()
    _note(lab, "disk_heal", f"the disk of {vm.name} has no faults any more", vm)
    return {"vm": vm.name}


def _power_loss(lab: Lab, arguments: Result) -> Result:
    """Pull the plug of VM and disk: what the disk's cache holds is lost, what was flushed is not."""
    table_of(arguments, "power_loss", ("vm",))
    vm = lab.vm(arguments.get("vm"))
    lifecycle.require(vm, "destroy")
    lost = vm.disk().lose_power() if vm.settings.disk else 0
    lifecycle.destroy(lab.hypervisor, vm, "lost its power")
    _note(lab, "power_loss", f"{vm.name} lost its power, and {lost} sectors in its disk's cache", vm)
    return {"vm": vm.name, "lost_sectors": lost}


STORAGE_VERBS: dict[str, Callable[[Lab, Result], Result]] = {
    "pool_create": _pool_create,
    "pool_resize": _pool_resize,
    "pool_delete": _pool_delete,
    "vol_create": _vol_create,
    "vol_delete": _vol_delete,
    "vol_resize": _vol_resize,
    "vol_commit": _vol_commit,
    "vol_rebase": _vol_rebase,
    "vol_upload": _vol_upload,
    "vol_import": _vol_import,
    "disk_limits": _disk_limits,
    "disk_fault": _disk_fault,
    "disk_heal": _disk_heal,
    "power_loss": _power_loss,
}
