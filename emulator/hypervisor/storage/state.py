"""What a lab's storage is: pools of a capacity, and volumes in them. Plain data, all of it.

The words are libvirt's: a volume has a *capacity* (what a guest sees) and an *allocation* (what it takes
from its pool). A raw volume may be preallocated; every other is thin: a cluster takes space once written.
Left out: the space that an image format needs for its own tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emulator.errors import VmLabError

CLUSTER_BYTES = 4096
MAX_CHAIN = 16  # volumes from an overlay down to its last backing file, both counted

VolumeFormat = Literal["raw", "qcow2"]


class StorageError(VmLabError):
    """A pool or a volume cannot do what it is asked; nothing has changed."""


class PoolFullError(StorageError):
    """A pool has no room for new clusters; nothing has been written."""


@dataclass
class PoolState:
    """`capacity` bytes. `was_full` since a write was refused, until there is room again."""

    name: str
    capacity: int
    was_full: bool = False


@dataclass
class VolumeState:
    """`clusters` holds what was written, CLUSTER_BYTES each, by number; the rest is the backing's."""

    name: str
    pool: str
    capacity: int
    format: VolumeFormat = "qcow2"
    backing: str = ""
    preallocated: bool = False
    clusters: dict[int, bytes] = field(default_factory=dict[int, bytes])

    @property
    def cluster_count(self) -> int:
        """Clusters of its whole capacity."""
        return -(-self.capacity // CLUSTER_BYTES)

    @property
    def allocation(self) -> int:
        """Bytes it takes from its pool."""
        return CLUSTER_BYTES * (self.cluster_count if self.preallocated else len(self.clusters))


@dataclass
class StorageState:
    """Pools and volumes by name. Names of volumes are unique in the whole lab."""

    pools: dict[str, PoolState] = field(default_factory=dict[str, PoolState])
    volumes: dict[str, VolumeState] = field(default_factory=dict[str, VolumeState])
