"""Pools, volumes and backing chains. `Storage` is the object; the other modules are its parts."""

from emulator.hypervisor.storage.state import CLUSTER_BYTES as CLUSTER_BYTES
from emulator.hypervisor.storage.state import PoolFullError as PoolFullError
from emulator.hypervisor.storage.state import PoolState as PoolState
from emulator.hypervisor.storage.state import StorageError as StorageError
from emulator.hypervisor.storage.state import StorageState as StorageState
from emulator.hypervisor.storage.state import VolumeState as VolumeState
from emulator.hypervisor.storage.storage import Storage as Storage
