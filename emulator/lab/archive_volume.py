"""The volume that is a VM's disk, in its archive: all that its guest sees of it, without the backing chain.

An imported VM gets a volume of its own, in the pool of the same name or else in the first one there is, under
its old name if that is free.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from emulator.hypervisor.storage import StorageError
from emulator.hypervisor.storage.state import CLUSTER_BYTES
from emulator.hypervisor.vm import Vm
from emulator.lab.archive_checks import ArchiveError
from emulator.lab.config import VmConfig
from emulator.lab.storage_config import disk_size

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

NUMBER = struct.Struct("<I")


def described(vm: Vm) -> dict[str, object]:
    """Return what the manifest says of a VM's volume: {} if its disk is none."""
    disk = vm.settings.disk
    if disk is None or not disk.volume:
        return {}
    volume = vm.storage.volume(disk.volume)
    return {"volume": {"name": volume.name, "pool": volume.pool, "capacity": volume.capacity}}


def clusters(vm: Vm) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each cluster of a VM's volume, as its guest would find it on the medium."""
    disk = vm.settings.disk
    if disk is None or not disk.volume:
        return
    volume = vm.storage.volume(disk.volume)
    written = set[int]().union(*(layer.clusters for layer in vm.storage.chain(volume.name)))
    for number in sorted(written):
        offset = number * CLUSTER_BYTES
        data = vm.storage.read(volume.name, offset, min(CLUSTER_BYTES, volume.capacity - offset))
        yield number, data.ljust(CLUSTER_BYTES, b"\0")


def sized(config: VmConfig, manifest: dict[str, Any]) -> VmConfig:
    """Return a configuration whose disk has the size of its volume, to check a state by.

    Raises ArchiveError, or ConfigError for an impossible size.
    """
    if config.disk is None or not config.disk.volume:
        return config
    volume = manifest.get("volume")
    if not isinstance(volume, dict) or "capacity" not in volume:
        raise ArchiveError("its disk is a volume, and manifest.json does not say of what capacity")
    capacity = cast("dict[str, object]", volume)["capacity"]
    size = disk_size(capacity, "manifest.json: volume.capacity")
    return replace(config, disk=replace(config.disk, size=size))


def place(lab: Lab, config: VmConfig, manifest: dict[str, Any], data: bytes) -> VmConfig:
    """Make the volume of an imported VM; return the configuration with its name. Raises ArchiveError."""
    disk = sized(config, manifest).disk
    if disk is None or not disk.volume:
        if data:
            raise ArchiveError("clusters.bin has clusters, and its disk is no volume")
        return config
    storage = lab.hypervisor.storage
    pools = storage.state.pools
    wanted = manifest["volume"].get("pool")
    pool = wanted if isinstance(wanted, str) and wanted in pools else next(iter(pools), None)
    if pool is None:
        raise ArchiveError("its disk is a volume, and this host has no pool; create one first")
    name = next(
        one
        for one in (disk.volume, f"{config.name}-disk", *(f"{config.name}-disk{n}" for n in range(2, 1000)))
        if one not in storage.state.volumes
    )
    try:
        storage.create(name, pool, disk.size)
        for offset, content in _contents(data, disk.size):
            storage.write(name, offset, content)
    except StorageError as error:
        raise ArchiveError(f"its disk finds no place: {error}") from error
    return replace(config, disk=replace(disk, size=0, volume=name))


def _contents(data: bytes, capacity: int) -> Iterator[tuple[int, bytes]]:
    """Yield offset and content of each cluster. Raises ArchiveError."""
    step, last = NUMBER.size + CLUSTER_BYTES, -1
    if len(data) % step:
        raise ArchiveError("clusters.bin is cut off")
    for start in range(0, len(data), step):
        (number,) = NUMBER.unpack_from(data, start)
        offset = number * CLUSTER_BYTES
        if number <= last or offset >= capacity:
            raise ArchiveError(
                f"clusters.bin has cluster {number} after {last}; the volume has {capacity} bytes"
            )
        yield offset, data[start + NUMBER.size : start + step][: capacity - offset]
        last = number
