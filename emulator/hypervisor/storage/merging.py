"""Moving data along a backing chain: commit an overlay into its base, rebase or flatten one.

Every operation keeps what each guest sees, and checks its room before it changes anything.
"""

from __future__ import annotations

from emulator.hypervisor.storage import chain
from emulator.hypervisor.storage.state import CLUSTER_BYTES, MAX_CHAIN, StorageError, VolumeState
from emulator.hypervisor.storage.storage import Storage


def commit(storage: Storage, name: str) -> int:
    """Write an overlay's clusters into its base and empty it, as `qemu-img commit` does.

    Return the clusters written. Raises StorageError: it has no base, the base backs others, whose contents
    this would change, or there is no room.
    """
    overlay = storage.volume(name)
    if not overlay.backing:
        raise StorageError(f"volume {name} has no backing volume to commit into")
    base = storage.volume(overlay.backing)
    others = [other for other in storage.overlays_of(base.name) if other != name]
    if others:
        raise StorageError(
            f"volume {name} cannot be committed: {base.name} also backs {', '.join(others)}, whose contents"
            " would change; rebase them first"
        )
    grown = max(base.capacity, overlay.capacity)
    gained = overlay.allocation if overlay.pool == base.pool else 0
    storage.require_room(base.pool, _growth(base, overlay, grown) - gained, f"committing volume {name}")
    written = len(overlay.clusters)
    base.clusters.update(overlay.clusters)
    base.capacity = grown
    overlay.clusters.clear()
    storage.pool(overlay.pool).was_full = False
    return written


def _growth(base: VolumeState, overlay: VolumeState, capacity: int) -> int:
    """Return by how many bytes the base's allocation grows."""
    if base.preallocated:
        return -(-capacity // CLUSTER_BYTES) * CLUSTER_BYTES - base.allocation
    return CLUSTER_BYTES * sum(number not in base.clusters for number in overlay.clusters)


def rebase(storage: Storage, name: str, backing: str) -> int:
    """Put a volume onto another backing volume, "" for none (flatten), without changing what it reads as.

    Clusters that would read differently are copied up. Return how many. Raises StorageError: a loop, a chain
    that is too long, or no room.
    """
    volume = storage.volume(name)
    before = storage.chain(name)
    below = storage.chain(backing) if backing else []
    if any(layer.name == name for layer in below):
        raise StorageError(f"volume {name} cannot be rebased onto {backing}: it would back itself")
    if volume.format == "raw" and backing:
        raise StorageError(f"volume {name} is raw, which has no backing; make it an overlay of qcow2")
    if len(below) >= MAX_CHAIN:
        raise StorageError(f"the chain under {backing} has {MAX_CHAIN} volumes, the most there may be")
    if below and below[0].capacity > volume.capacity:
        raise StorageError(f"volume {backing} is larger than {name}; resize {name} first")
    copied = _different(volume, before, [volume, *below])
    if not volume.preallocated:
        storage.require_room(volume.pool, CLUSTER_BYTES * len(copied), f"rebasing volume {name}")
    volume.clusters.update(copied)
    volume.backing = backing
    return len(copied)


def _different(volume: VolumeState, before: list[VolumeState], after: list[VolumeState]) -> dict[int, bytes]:
    """Return the clusters that read differently through two chains with the same top."""
    touched = {number for layer in (*before[1:], *after[1:]) for number in layer.clusters}
    own = volume.clusters.keys()
    seen = ((number, chain.cluster(before, number)) for number in sorted(touched - own))
    return {number: data for number, data in seen if data != chain.cluster(after, number)}
