"""Initramfs archives: the cpio format "newc" that Linux unpacks at boot.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst. The archive depends on its entries
alone: no time, no owner but root, inode numbers in order. Hard links are left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

DIRECTORY, CHARACTER_DEVICE, REGULAR, SYMLINK = 0o040000, 0o020000, 0o100000, 0o120000
TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file: `mode` with its type bits, its content (a link's target), a device's numbers."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    """Return a directory that everybody may read."""
    return Entry(path, DIRECTORY | 0o755)


def program(path: str, data: bytes) -> Entry:
    """Return a file that everybody may run."""
    return Entry(path, REGULAR | 0o755, data)


def link(path: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(path, SYMLINK | 0o777, target.encode())


def device(path: str, major: int, minor: int) -> Entry:
    """Return a character device that only root may use."""
    return Entry(path, CHARACTER_DEVICE | 0o600, b"", (major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """Return the archive of `entries`, in their order: a directory stands before what is in it."""
    parts = [_record(entry, number) for number, entry in enumerate(entries, 1)]
    return b"".join([*parts, _record(Entry(TRAILER, 0), 0)])


def _record(entry: Entry, inode: int) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if entry.mode & 0o170000 == DIRECTORY else 1
    numbers = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data.ljust((len(data) + 3) & ~3, b"\0")
