"""Initramfs archives: the cpio format "newc" that Linux unpacks at boot.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst. The archive depends on its entries
alone: no time, no owner but root, inode numbers in order. Hard links are left out.

A file's content begins at a multiple of 16 bytes: zeros behind its name see to it, as in Linux's own
gen_init_cpio. Linux on RISC-V copies bytes one by one where source and destination are aligned differently.
"""

from collections.abc import Iterable
from dataclasses import dataclass

DIRECTORY, CHARACTER_DEVICE, REGULAR, SYMLINK = 0o040000, 0o020000, 0o100000, 0o120000
FILE_TYPE = 0o170000
TRAILER = "TRAILER!!!"
HEADER_BYTES = 110
DATA_ALIGNMENT = 16


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
    made = bytearray()
    for number, entry in enumerate(entries, 1):
        made += _record(entry, number, len(made))
    return bytes(made + _record(Entry(TRAILER, 0), 0, len(made)))


def _record(entry: Entry, inode: int, at: int) -> bytes:
    """Return the record of an entry that begins at byte `at` of the archive."""
    name = entry.path.encode() + b"\0"
    if entry.mode & FILE_TYPE == REGULAR:
        name += bytes(-(at + HEADER_BYTES + len(name)) % DATA_ALIGNMENT)
    links = 2 if entry.mode & FILE_TYPE == DIRECTORY else 1
    numbers = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data.ljust((len(data) + 3) & ~3, b"\0")
