"""Disks of VMs over volumes: what a disk reads and writes, who uses a volume, and who may start with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emulator.devices.virtio.block import SECTOR_BYTES, MediumError, VirtioBlock
from emulator.devices.virtio.disk_limits import NO_LIMITS, DiskLimits
from emulator.hypervisor.storage import Storage, StorageError


@dataclass(frozen=True, slots=True)
class DiskSettings:
    """A disk of `size` bytes that begins with `contents` and is zero behind them; or a `volume` by name."""

    size: int
    contents: bytes = b""
    read_only: bool = False
    volume: str = ""
    limits: DiskLimits = NO_LIMITS

    def same_disk(self, other: DiskSettings) -> bool:
        """Return whether both are the same disk, whatever its limits are."""
        mine = (self.size, self.contents, self.read_only, self.volume)
        return mine == (other.size, other.contents, other.read_only, other.volume)


class VolumeMedium:
    """A volume behind a virtio disk."""

    def __init__(self, storage: Storage, name: str) -> None:
        """The volume exists as long as a VM names it."""
        self._storage = storage
        self._name = name

    @property
    def sectors(self) -> int:
        """The volume's capacity."""
        return self._storage.volume(self._name).capacity // SECTOR_BYTES

    def read(self, sector: int, count: int) -> bytes:
        """Return sectors. Raises MediumError."""
        try:
            return self._storage.read(self._name, sector * SECTOR_BYTES, count * SECTOR_BYTES)
        except StorageError as error:
            raise MediumError(str(error)) from error

    def write(self, sector: int, data: bytes) -> None:
        """Write sectors. Raises MediumError, and tells if the pool is full."""
        try:
            self._storage.write(self._name, sector * SECTOR_BYTES, data)
        except StorageError as error:
            self._storage.refused(self._name, str(error))
            raise MediumError(str(error)) from error

    def reserve(self, sector: int, count: int) -> None:
        """Take the room for sectors. Raises MediumError, and tells if the pool is full."""
        try:
            self._storage.reserve(self._name, sector * SECTOR_BYTES, count * SECTOR_BYTES)
        except StorageError as error:
            self._storage.refused(self._name, str(error))
            raise MediumError(str(error)) from error

    def clear(self, sector: int, count: int) -> None:
        """Let sectors read zero. Raises MediumError, and tells if the pool is full."""
        try:
            self._storage.clear(self._name, sector * SECTOR_BYTES, count * SECTOR_BYTES)
        except StorageError as error:
            self._storage.refused(self._name, str(error))
            raise MediumError(str(error)) from error


def make_disk(settings: DiskSettings, storage: Storage, serial: str) -> VirtioBlock:
    """Return a disk as its settings say."""
    medium = VolumeMedium(storage, settings.volume) if settings.volume else None
    return VirtioBlock(settings.contents, settings.read_only, serial, settings.size, medium)


def volume_of(settings: DiskSettings | None) -> str:
    """Return the volume that a VM's disk is, "" if it is none."""
    return settings.volume if settings else ""


def users(disks: Iterable[tuple[str, DiskSettings | None]], volume: str) -> list[str]:
    """Return the VMs whose disk is a volume, of `(VM, disk)` pairs."""
    return [vm for vm, settings in disks if volume_of(settings) == volume]


def require_usable(
    storage: Storage, vm: str, settings: DiskSettings | None, on: Iterable[tuple[str, DiskSettings | None]]
) -> None:
    """Raise StorageError if a VM cannot start with its disk, because another one writes to it, or reads it.

    `on` are the other VMs that are on. A volume that backs others can only be read: a write to it would
    change them all.
    """
    volume = volume_of(settings)
    if not settings or not volume:
        return
    overlays = storage.overlays_of(volume)
    if overlays and not settings.read_only:
        raise StorageError(
            f"cannot start {vm}: its disk, volume {volume}, backs {', '.join(overlays)}, and a write would"
            f" change them; make an overlay over {volume}, or the disk read_only"
        )
    for other, disk in on:
        if disk and disk.volume == volume and not (disk.read_only and settings.read_only):
            raise StorageError(
                f"cannot start {vm}: volume {volume} is the disk of {other}, which is on;"
                f" shut {other} off, or give each an overlay"
            )
