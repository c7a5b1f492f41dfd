"""Reading and writing through a backing chain.

A cluster is the first one found from the top down. Below a layer that ends before it there is nothing: it
reads zero. A write goes to the top and copies the rest of its cluster up first.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.hypervisor.storage.state import (
    CLUSTER_BYTES,
    MAX_CHAIN,
    StorageError,
    StorageState,
    VolumeState,
)

ZERO_CLUSTER = bytes(CLUSTER_BYTES)


def of(state: StorageState, volume: VolumeState) -> list[VolumeState]:
    """Return a volume and all below it. Raises StorageError for a loop, a gap or a chain that is too long."""
    layers = [volume]
    while layers[-1].backing:
        below = state.volumes.get(layers[-1].backing)
        if below is None:
            raise StorageError(f"volume {layers[-1].name} misses its backing {layers[-1].backing}")
        if below in layers:
            raise StorageError(f"volume {below.name} would back itself through {layers[-1].name}")
        layers.append(below)
        if len(layers) > MAX_CHAIN:
            raise StorageError(f"the chain under volume {volume.name} has more than {MAX_CHAIN} volumes")
    return layers


def clusters_of(offset: int, length: int) -> range:
    """Return the numbers of the clusters that a range touches."""
    return range(offset // CLUSTER_BYTES, -(-(offset + length) // CLUSTER_BYTES)) if length else range(0)


def cluster(layers: Sequence[VolumeState], number: int) -> bytes:
    """Return one cluster as seen from the top."""
    room = CLUSTER_BYTES
    for layer in layers:
        # What lies beyond the end of any layer on the way down cannot be seen through it.
        room = min(room, layer.capacity - number * CLUSTER_BYTES)
        if room <= 0:
            return ZERO_CLUSTER
        found = layer.clusters.get(number)
        if found is not None:
            return found if room >= CLUSTER_BYTES else found[:room].ljust(CLUSTER_BYTES, b"\0")
    return ZERO_CLUSTER


def read(layers: Sequence[VolumeState], offset: int, length: int) -> bytes:
    """Return a range as seen from the top."""
    numbers = clusters_of(offset, length)
    data = b"".join(cluster(layers, number) for number in numbers)
    skip = offset - numbers.start * CLUSTER_BYTES
    return data[skip : skip + length]


def write(layers: Sequence[VolumeState], offset: int, data: bytes) -> None:
    """Write a range into the top layer."""
    top, done = layers[0], 0
    for number in clusters_of(offset, len(data)):
        skip = max(0, offset - number * CLUSTER_BYTES)
        part = data[done : done + CLUSTER_BYTES - skip]
        done += len(part)
        if len(part) < CLUSTER_BYTES:
            old = cluster(layers, number)
            part = old[:skip] + part + old[skip + len(part) :]
        top.clusters[number] = part


def allocate(layers: Sequence[VolumeState], offset: int, length: int) -> None:
    """Copy the clusters of a range up, where they are not there yet."""
    for number in clusters_of(offset, length):
        if number not in layers[0].clusters:
            layers[0].clusters[number] = cluster(layers, number)
