"""The storage of a lab as it stands in its configuration: pools with their volumes, and the disks of VMs.

pools:
  - name: fast
    capacity: 64 MiB
    volumes:
      - {name: golden, capacity: 16 MiB, format: raw}
      - {name: web-1, backing: golden}
vms:
  - {..., disk: 16 MiB}
  - {..., disk: {volume: web-1, iops: 200, bandwidth: 4 MiB/s, latency: 1 ms, cache: writeback}}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast, get_args

from emulator.devices.virtio.disk_limits import NO_LIMITS, CacheMode, DiskLimits
from emulator.hypervisor.storage import Storage, StorageError
from emulator.hypervisor.storage.state import VolumeFormat
from emulator.lab.quantities import DURATION_UNITS, SIZE_UNITS, format_quantity, format_size, quoted
from emulator.lab.values import (
    ConfigError,
    boolean,
    kind_of,
    memory_size,
    one_of,
    optional,
    quantity,
    table_of,
    whole_number,
)

MIN_DISK_BYTES, MAX_DISK_BYTES = 4 << 10, 1 << 30
MAX_POOLS, MAX_VOLUMES = 16, 128
MAX_IOPS = 1_000_000
MAX_LATENCY_NS = 10_000_000_000

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
LIMIT_KEYS = ("iops", "bandwidth", "latency", "cache")
DISK_KEYS = ("size", "volume", "read_only", *LIMIT_KEYS)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DiskConfig:
    """A virtio disk: `size` bytes, all zero at first, or a `volume`. What is written stays until a reset.

    `size` is 0 where the volume says it.
    """

    size: int
    read_only: bool = False
    volume: str = ""
    limits: DiskLimits = NO_LIMITS

    @classmethod
    def from_value(cls, value: object, path: str) -> DiskConfig:
        """Return the disk that a size or a mapping describes; raise ConfigError."""
        if not isinstance(value, dict):
            return cls(disk_size(value, path))
        table = table_of(cast("object", value), path, DISK_KEYS)
        read_only = optional(table, path, "read_only", False, boolean)
        limits = read_limits(table, path, NO_LIMITS)
        if "volume" in table:
            if "size" in table:
                raise ConfigError(path, "has a size and a volume; a volume has its own size, drop one")
            return cls(0, read_only, resource_name(table["volume"], f"{path}.volume"), limits)
        if "size" not in table:
            raise ConfigError(path, "has no size; expected one, e.g. `size: 16 MiB`, or a volume")
        return cls(disk_size(table["size"], f"{path}.size"), read_only, "", limits)

    def to_value(self) -> object:
        """Return the plain value that `from_value` reads back."""
        limits = limits_to_dict(self.limits)
        if not self.volume and not self.read_only and not limits:
            return format_size(self.size)
        what: dict[str, object] = {"volume": self.volume} if self.volume else {"size": format_size(self.size)}
        return {**what, **({"read_only": True} if self.read_only else {}), **limits}


def read_limits(table: Mapping[str, object], path: str, default: DiskLimits) -> DiskLimits:
    """Return the limits that a mapping sets, the others as in `default`; raise ConfigError."""
    return DiskLimits(
        iops=optional(table, path, "iops", default.iops, _iops),
        bandwidth=optional(table, path, "bandwidth", default.bandwidth, byte_rate),
        latency_ns=optional(table, path, "latency", default.latency_ns, latency),
        cache=optional(table, path, "cache", default.cache, _cache),
    )


def limits_to_dict(limits: DiskLimits) -> dict[str, object]:
    """Return the keys that are not as they are by default."""
    values: dict[str, object] = {}
    if limits.iops:
        values["iops"] = limits.iops
    if limits.bandwidth:
        values["bandwidth"] = f"{format_size(limits.bandwidth)}/s"
    if limits.latency_ns:
        values["latency"] = format_quantity(limits.latency_ns, DURATION_UNITS)
    if limits.cache != NO_LIMITS.cache:
        values["cache"] = limits.cache
    return values


def full_limits(limits: DiskLimits) -> dict[str, object]:
    """Return every key."""
    values = {"iops": limits.iops, "bandwidth": limits.bandwidth, "latency": limits.latency_ns}
    return {**values, "cache": limits.cache, **limits_to_dict(limits)}


@dataclass(frozen=True, slots=True)
class VolumeConfig:
    """A volume; `capacity` is 0 for an overlay that has its backing's."""

    name: str
    capacity: int = 0
    format: VolumeFormat = "qcow2"
    backing: str = ""
    preallocated: bool = False

    @classmethod
    def from_dict(cls, data: object, path: str) -> VolumeConfig:
        """Return the volume that `data` describes; raise ConfigError."""
        table = table_of(data, path, ("name", "capacity", "format", "backing", "preallocated"))
        if "name" not in table:
            raise ConfigError(path, "has no name; expected one, e.g. `name: golden`")
        if not table.get("capacity") and not table.get("backing"):
            raise ConfigError(path, "has no capacity; expected one, e.g. `capacity: 16 MiB`, or a backing")
        return cls(
            name=resource_name(table["name"], f"{path}.name"),
            capacity=optional(table, path, "capacity", 0, disk_size),
            format=optional(table, path, "format", "qcow2", volume_format),
            backing=optional(table, path, "backing", "", backing_name),
            preallocated=optional(table, path, "preallocated", False, boolean),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the plain mapping that `from_dict` reads back."""
        return {
            "name": self.name,
            **({"capacity": format_size(self.capacity)} if self.capacity else {}),
            "format": self.format,
            **({"backing": self.backing} if self.backing else {}),
            **({"preallocated": True} if self.preallocated else {}),
        }


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """A pool of `capacity` bytes and the volumes that are in it from the start."""

    name: str
    capacity: int
    volumes: tuple[VolumeConfig, ...] = ()

    @classmethod
    def from_dict(cls, data: object, path: str) -> PoolConfig:
        """Return the pool that `data` describes; raise ConfigError."""
        table = table_of(data, path, ("name", "capacity", "volumes"))
        for key, example in (("name", "fast"), ("capacity", "64 MiB")):
            if key not in table:
                raise ConfigError(path, f"has no {key}; expected one, e.g. `{key}: {example}`")
        return cls(
            name=resource_name(table["name"], f"{path}.name"),
            capacity=disk_size(table["capacity"], f"{path}.capacity"),
            volumes=read_list(table, path, "volumes", MAX_VOLUMES, VolumeConfig.from_dict),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the plain mapping that `from_dict` reads back."""
        volumes = [volume.to_dict() for volume in self.volumes]
        return {"name": self.name, "capacity": format_size(self.capacity), "volumes": volumes}


def read_pools(table: Mapping[str, object]) -> tuple[PoolConfig, ...]:
    """Return what stands under `pools:`; raise ConfigError."""
    pools = read_list(table, "", "pools", MAX_POOLS, PoolConfig.from_dict)
    make_storage(pools, Storage())
    return pools


def make_storage(pools: Sequence[PoolConfig], storage: Storage) -> None:
    """Make pools and volumes in an empty storage; raise ConfigError for what does not go together."""
    for index, pool in enumerate(pools):
        path = f"pools[{index}]"
        try:
            storage.create_pool(pool.name, pool.capacity)
            for number, one in enumerate(pool.volumes):
                path = f"pools[{index}].volumes[{number}]"
                storage.create(
                    one.name, pool.name, one.capacity or None, one.format, one.backing, one.preallocated
                )
        except StorageError as error:
            raise ConfigError(path, f"is wrong: {error}") from error


def pools_of(storage: Storage) -> tuple[PoolConfig, ...]:
    """Return the pools and volumes as they are now."""
    return tuple(
        PoolConfig(
            pool.name,
            pool.capacity,
            tuple(
                VolumeConfig(one.name, one.capacity, one.format, one.backing, one.preallocated)
                for one in storage.state.volumes.values()
                if one.pool == pool.name
            ),
        )
        for pool in storage.state.pools.values()
    )


# Values


def read_list(
    table: Mapping[str, object], path: str, key: str, most: int, read: Callable[[object, str], T]
) -> tuple[T, ...]:
    """Return the entries of an optional list, each read and checked by `read`; raise ConfigError."""
    where = f"{path}.{key}" if path else key
    entries = table.get(key, [])
    if not isinstance(entries, Sequence) or isinstance(entries, str | bytes):
        raise ConfigError(where, f"is {kind_of(entries)}; expected a list")
    entries = cast("Sequence[object]", entries)
    if len(entries) > most:
        raise ConfigError(where, f"has {len(entries)} entries; at most {most} are possible")
    return tuple(read(entry, f"{where}[{index}]") for index, entry in enumerate(entries))


def disk_size(value: object, path: str = "disk") -> int:
    """Return a valid size of a disk, a volume or a pool in bytes; raise ConfigError."""
    return memory_size(value, path, MIN_DISK_BYTES, MAX_DISK_BYTES)


def resource_name(value: object, path: str) -> str:
    """Return a valid name of a pool or volume; raise ConfigError."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ConfigError(
        path,
        f"is {quoted(value)}; expected a name of 1 to 32 lower-case letters, digits and hyphens"
        " that starts with a letter, e.g. `golden`",
    )


def backing_name(value: object, path: str) -> str:
    """Return the name of a backing volume, "" for none; raise ConfigError."""
    return "" if value in (None, "", "none") else resource_name(value, path)


def volume_format(value: object, path: str) -> VolumeFormat:
    """Return "raw" or "qcow2"; raise ConfigError."""
    return one_of(value, path, get_args(VolumeFormat))


def byte_rate(value: object, path: str) -> int:
    """Return bytes a second; raise ConfigError."""
    if value in (0, None, "none"):
        return 0
    size = value.removesuffix("/s") if isinstance(value, str) else value
    return quantity(size, path, SIZE_UNITS, "4 MiB/s", 512, 1 << 40)


def latency(value: object, path: str) -> int:
    """Return a duration in nanoseconds that may be 0; raise ConfigError."""
    return 0 if value == 0 else quantity(value, path, DURATION_UNITS, "1 ms", 0, MAX_LATENCY_NS)


def _iops(value: object, path: str) -> int:
    return 0 if value is None else whole_number(value, path, 0, MAX_IOPS)


def _cache(value: object, path: str) -> CacheMode:
    return one_of(value, path, get_args(CacheMode))
