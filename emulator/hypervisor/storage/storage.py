"""The storage of one host: makes, deletes, resizes and reads volumes, and refuses what would harm one.

A write that finds no room in its pool raises PoolFullError and changes nothing, so that a guest may try again
after the pool was extended. Who uses a volume is not known here: see `emulator.hypervisor.disks`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

from emulator.hypervisor.storage import chain
from emulator.hypervisor.storage.state import (
    CLUSTER_BYTES,
    MAX_CHAIN,
    PoolFullError,
    PoolState,
    StorageError,
    StorageState,
    VolumeFormat,
    VolumeState,
)

SECTOR_BYTES = 512


class Storage:
    """Pools and volumes; everything it knows is in `state`."""

    def __init__(self) -> None:
        """No pool, no volume. `on_full` is told when a pool begins to refuse writes."""
        self.state = StorageState()
        self.on_full: Callable[[str, str], None] = lambda pool, text: None

    # Finding

    def pool(self, name: str) -> PoolState:
        """Return a pool. Raises StorageError."""
        found = self.state.pools.get(name)
        if found is None:
            raise StorageError(f"there is no pool {name!r}; {_known('pools', self.state.pools)}")
        return found

    def volume(self, name: str) -> VolumeState:
        """Return a volume. Raises StorageError."""
        found = self.state.volumes.get(name)
        if found is None:
            raise StorageError(f"there is no volume {name!r}; {_known('volumes', self.state.volumes)}")
        return found

    def chain(self, name: str) -> list[VolumeState]:
        """Return a volume and what it is backed by, top first. Raises StorageError."""
        return chain.of(self.state, self.volume(name))

    def overlays_of(self, name: str) -> list[str]:
        """Return the volumes that a volume directly backs."""
        return [other.name for other in self.state.volumes.values() if other.backing == name]

    def allocation(self, pool: str) -> int:
        """Return the bytes that are taken from a pool."""
        return sum(volume.allocation for volume in self.state.volumes.values() if volume.pool == pool)

    def free(self, pool: str) -> int:
        """Return the bytes that are left in a pool."""
        return self.pool(pool).capacity - self.allocation(pool)

    # Pools

    def create_pool(self, name: str, capacity: int) -> None:
        """Add an empty pool. Raises StorageError."""
        if name in self.state.pools:
            raise StorageError(f"there is a pool {name!r} already; choose another name")
        self.state.pools[name] = PoolState(name, capacity)

    def resize_pool(self, name: str, capacity: int) -> None:
        """Give a pool another capacity, not below its allocation. Raises StorageError."""
        pool, taken = self.pool(name), self.allocation(name)
        if capacity < taken:
            raise StorageError(
                f"pool {name} cannot shrink to {capacity} bytes: {taken} are allocated; delete volumes first"
            )
        pool.capacity = capacity
        pool.was_full = False

    def delete_pool(self, name: str) -> None:
        """Remove an empty pool. Raises StorageError."""
        self.pool(name)
        inside = [volume.name for volume in self.state.volumes.values() if volume.pool == name]
        if inside:
            raise StorageError(f"pool {name} holds {', '.join(inside)}; delete its volumes first")
        del self.state.pools[name]

    # Volumes

    def create(
        self,
        name: str,
        pool: str,
        capacity: int | None = None,
        form: VolumeFormat = "qcow2",
        backing: str = "",
        preallocated: bool = False,
    ) -> VolumeState:
        """Add a volume; an overlay has its backing's capacity unless it is told one. Raises StorageError."""
        if name in self.state.volumes:
            raise StorageError(f"there is a volume {name!r} already; choose another name")
        self.pool(pool)
        if capacity is None:
            if not backing:
                raise StorageError(f"volume {name} has no capacity; give one, e.g. 16 MiB, or a backing")
            capacity = self.volume(backing).capacity
        if capacity % SECTOR_BYTES or capacity <= 0:
            raise StorageError(f"volume {name}: {capacity} bytes is no whole number of sectors of 512 bytes")
        if backing and capacity < self.volume(backing).capacity:
            raise StorageError(f"volume {name} is smaller than {backing}, which backs it; make it as large")
        if form == "raw" and backing:
            raise StorageError(f"volume {name}: a raw volume has no backing; make it qcow2")
        if preallocated and form != "raw":
            raise StorageError(f"volume {name}: only a raw volume can be preallocated")
        volume = VolumeState(name, pool, capacity, form, backing, preallocated)
        if backing and len(self.chain(backing)) >= MAX_CHAIN:
            raise StorageError(
                f"volume {name}: the chain under {backing} has {MAX_CHAIN} volumes, the most there may be;"
                " flatten one of them first"
            )
        self.require_room(pool, volume.allocation, f"volume {name}")
        self.state.volumes[name] = volume
        return volume

    def delete(self, name: str) -> None:
        """Remove a volume that backs no other. Raises StorageError."""
        pool = self.pool(self.volume(name).pool)
        self.require_no_overlays(name, "deleted")
        del self.state.volumes[name]
        pool.was_full = False

    def resize(self, name: str, capacity: int) -> None:
        """Grow a volume. Raises StorageError."""
        volume = self.volume(name)
        if capacity % SECTOR_BYTES:
            raise StorageError(f"{capacity} bytes is not a whole number of sectors of 512 bytes")
        if capacity < volume.capacity:
            raise StorageError(
                f"volume {name} has {volume.capacity} bytes and can only grow: shrinking would cut data off;"
                " make a smaller volume and copy"
            )
        self.require_no_overlays(name, "resized")
        if volume.preallocated:
            more = -(-capacity // CLUSTER_BYTES) * CLUSTER_BYTES - volume.allocation
            self.require_room(volume.pool, more, f"volume {name}")
        volume.capacity = capacity

    def require_no_overlays(self, name: str, done: str) -> None:
        """Raise StorageError if a volume backs others."""
        overlays = self.overlays_of(name)
        if overlays:
            raise StorageError(
                f"volume {name} cannot be {done}: it backs {', '.join(overlays)}; rebase or delete them first"
            )

    def require_room(self, pool: str, size: int, what: str) -> None:
        """Raise PoolFullError unless `size` more bytes fit into a pool."""
        free = self.free(pool)
        if size > free:
            raise PoolFullError(
                f"{what} needs {size} bytes more of pool {pool}, which has {max(free, 0)} free;"
                " extend the pool or delete volumes"
            )

    # Contents

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return bytes of a volume as its guest sees them; the range lies in its capacity."""
        return chain.read(self.chain(name), offset, length)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write into a volume; the range lies in its capacity. Raises PoolFullError."""
        layers = self.chain(name)
        self._take_clusters(layers[0], offset, len(data))
        chain.write(layers, offset, data)

    def reserve(self, name: str, offset: int, length: int) -> None:
        """Give a range clusters of its own, so that no later write to it lacks room. Raises PoolFullError."""
        layers = self.chain(name)
        self._take_clusters(layers[0], offset, length)
        chain.allocate(layers, offset, length)

    def clear(self, name: str, offset: int, length: int) -> None:
        """Let a range read zero. A cluster that nothing below shows through takes no space any more.

        Raises PoolFullError.
        """
        layers = self.chain(name)
        top, below = layers[0], layers[1:]
        end = offset + length
        for number in chain.clusters_of(offset, length):
            first = max(offset, number * CLUSTER_BYTES)
            last = min(end, (number + 1) * CLUSTER_BYTES)
            whole = first % CLUSTER_BYTES == 0 and (last % CLUSTER_BYTES == 0 or last == top.capacity)
            if whole and not any(number in layer.clusters for layer in below):
                if top.clusters.pop(number, None) is not None:
                    self.pool(top.pool).was_full = False
            elif any(self.read(name, first, last - first)):
                self.write(name, first, bytes(last - first))

    def refused(self, name: str, text: str) -> None:
        """Note that a guest's write to a volume was refused for want of room."""
        pool = self.pool(self.volume(name).pool)
        if not pool.was_full:
            pool.was_full = True
            self.on_full(pool.name, text)

    def _take_clusters(self, volume: VolumeState, offset: int, length: int) -> None:
        """Raise PoolFullError unless the pool has the clusters that a write takes anew."""
        if volume.preallocated:
            return
        new = sum(number not in volume.clusters for number in chain.clusters_of(offset, length))
        if new:
            self.require_room(volume.pool, new * CLUSTER_BYTES, f"a write to volume {volume.name}")

    def state_parts(self) -> Iterator[bytes]:
        """Yield the state of storage, if there is any, for the state hash."""
        if not self.state.pools:
            return
        for pool in self.state.pools.values():
            yield json.dumps([pool.name, pool.capacity, pool.was_full]).encode()
        for volume in self.state.volumes.values():
            digest = hashlib.blake2b(digest_size=32)
            for number in sorted(volume.clusters):
                digest.update(number.to_bytes(8, "little"))
                digest.update(volume.clusters[number])
            plain = [volume.name, volume.pool, volume.capacity, volume.format, volume.backing]
            yield json.dumps([*plain, volume.preallocated, digest.hexdigest()]).encode()


def _known(what: str, names: dict[str, PoolState] | dict[str, VolumeState]) -> str:
    return f"{what} here: {', '.join(names)}" if names else f"no {what} are defined"
