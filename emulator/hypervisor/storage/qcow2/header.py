"""The header of a qcow2 image (QEMU, docs/interop/qcow2.txt), with everything checked that it claims."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from emulator.errors import VmLabError

MAGIC = b"QFI\xfb"
V2_BYTES, V3_BYTES = 72, 104
HEADER_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
HEADER_V3 = struct.Struct(">QQQII")
MIN_CLUSTER_BITS, MAX_CLUSTER_BITS = 9, 21
MAX_SIZE = 16 << 40  # bytes; no file system below would take more
MAX_L1_BYTES, MAX_REFCOUNT_TABLE_BYTES = 32 << 20, 8 << 20  # QEMU's own limits
MAX_BACKING_NAME = 1023
MAX_SNAPSHOTS = 65536
MAX_EXTENSIONS = 64
EXTENSION_BACKING_FORMAT, EXTENSION_FEATURES, EXTENSION_BITMAPS = 0xE279_2ACA, 0x6803_F857, 0x2385_2875
DIRTY, CORRUPT = 0, 1
REFUSED_FEATURES = {
    CORRUPT: "is marked corrupt; repair it with `qemu-img check -r all`",
    2: "keeps its data in an external file, which is not supported",
    3: "is compressed by other means than zlib, which is not supported",
    4: "has extended L2 entries (subclusters), which are not supported",
}
ENCRYPTION = {1: "AES", 2: "LUKS"}


class Qcow2Error(VmLabError):
    """An image cannot be used; the message says what is wrong with it and where."""


@dataclass(frozen=True)
class Header:
    """What an image says of itself. `size` is the guest's, in bytes; offsets are in the file."""

    version: int
    cluster_bits: int
    size: int
    l1_size: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshots: int = 0
    snapshots_offset: int = 0
    incompatible: int = 0
    refcount_order: int = 4
    backing: str = ""
    backing_format: str = ""
    extensions: dict[int, bytes] = field(default_factory=dict[int, bytes])

    @property
    def cluster_bytes(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def l2_entries(self) -> int:
        """Entries of an L2 table, which is one cluster."""
        return self.cluster_bytes // 8

    @property
    def clusters(self) -> int:
        """Clusters that the guest sees."""
        return -(-self.size // self.cluster_bytes)

    @property
    def dirty(self) -> bool:
        """Whether refcounts may be out of date."""
        return bool(self.incompatible >> DIRTY & 1)


def file_size(file: BinaryIO) -> int:
    """Return the size of a file."""
    return file.seek(0, os.SEEK_END)


def read_at(file: BinaryIO, offset: int, length: int, what: str) -> bytes:
    """Return bytes of a file. Raises Qcow2Error if they are not there."""
    size = file_size(file)
    if offset < 0 or length < 0 or offset + length > size:
        raise Qcow2Error(f"{what} at {offset:#x} ({length} bytes) lies outside the file of {size} bytes")
    file.seek(offset)
    return file.read(length)


def read_header(file: BinaryIO) -> Header:
    """Return the header of an image. Raises Qcow2Error."""
    if file_size(file) < V2_BYTES:
        raise Qcow2Error(f"it is no qcow2 image: it has {file_size(file)} bytes, less than a header")
    found = HEADER_V2.unpack(read_at(file, 0, V2_BYTES, "the header"))
    magic, version, name_at, name_length, bits, size, crypt, l1_size, l1_at, refs_at, refs, snapshots, at = (
        found
    )
    if magic != MAGIC:
        raise Qcow2Error(f"it is no qcow2 image: it begins with {magic.hex(' ')} instead of {MAGIC.hex(' ')}")
    if version not in (2, 3):
        raise Qcow2Error(f"it is qcow2 of version {version}; versions 2 and 3 are supported")
    if not MIN_CLUSTER_BITS <= bits <= MAX_CLUSTER_BITS:
        raise Qcow2Error(f"clusters of 2^{bits} bytes; must be 2^{MIN_CLUSTER_BITS} to 2^{MAX_CLUSTER_BITS}")
    if crypt:
        raise Qcow2Error(f"the image is encrypted ({ENCRYPTION.get(crypt, crypt)}), which is not supported")
    incompatible, order, length = _version_3(file, bits) if version == 3 else (0, 4, V2_BYTES)
    extensions = _extensions(file, length, name_at or 1 << bits)
    _refuse_features(incompatible, extensions)
    header = Header(
        version=version,
        cluster_bits=bits,
        size=size,
        l1_size=l1_size,
        l1_offset=l1_at,
        refcount_offset=refs_at,
        refcount_clusters=refs,
        snapshots=snapshots,
        snapshots_offset=at,
        incompatible=incompatible,
        refcount_order=order,
        backing=_backing_name(file, name_at, name_length, bits),
        backing_format=extensions.get(EXTENSION_BACKING_FORMAT, b"").decode("ascii", "replace"),
        extensions=extensions,
    )
    _check_tables(file, header)
    return header


def _version_3(file: BinaryIO, bits: int) -> tuple[int, int, int]:
    """Return incompatible features, refcount order and length of the header."""
    fields = HEADER_V3.unpack(read_at(file, V2_BYTES, HEADER_V3.size, "the header"))
    incompatible, _, _, order, length = fields
    if order > 6:
        raise Qcow2Error(f"refcounts of 2^{order} bits; at most 64 are possible")
    if not V3_BYTES <= length <= 1 << bits or length % 8:
        raise Qcow2Error(f"the header's length is {length}; must be {V3_BYTES} or more, in its first cluster")
    return incompatible, order, length


def _extensions(file: BinaryIO, start: int, end: int) -> dict[int, bytes]:
    """Return the header extensions by type."""
    found: dict[int, bytes] = {}
    at = start
    limit = min(end, file_size(file))
    while at + 8 <= limit:
        kind, length = struct.unpack(">II", read_at(file, at, 8, "a header extension"))
        if kind == 0:
            break
        if length > limit - at - 8:
            raise Qcow2Error(f"header extension {kind:#x} has {length} bytes and runs out of the header")
        if len(found) >= MAX_EXTENSIONS:
            raise Qcow2Error(f"there are more than {MAX_EXTENSIONS} header extensions")
        found[kind] = read_at(file, at + 8, length, "a header extension")
        at += 8 + -(-length // 8) * 8
    return found


def _refuse_features(incompatible: int, extensions: dict[int, bytes]) -> None:
    for bit in range(64):
        if incompatible >> bit & 1 and bit != DIRTY:
            problem = REFUSED_FEATURES.get(bit) or f"needs {_feature_name(bit, extensions)}"
            raise Qcow2Error(f"the image {problem}")


def _feature_name(bit: int, extensions: dict[int, bytes]) -> str:
    """Return what the image's own table of names calls an incompatible feature."""
    table = extensions.get(EXTENSION_FEATURES, b"")
    for at in range(0, len(table) - 47, 48):
        if table[at] == 0 and table[at + 1] == bit:
            name = table[at + 2 : at + 48].rstrip(b"\0").decode("ascii", "replace")
            return f"the feature {name!r} (bit {bit}), which is not supported"
    return f"an unknown feature (bit {bit})"


def _backing_name(file: BinaryIO, at: int, length: int, bits: int) -> str:
    if not at:
        return ""
    if length > MAX_BACKING_NAME or at + length > 1 << bits:
        raise Qcow2Error(f"the backing file's name ({length} bytes at {at:#x}) is not in the first cluster")
    name = read_at(file, at, length, "the backing file's name")
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise Qcow2Error(f"the backing file's name is no text: {name!r}") from error


def _check_tables(file: BinaryIO, header: Header) -> None:
    if header.size > MAX_SIZE:
        raise Qcow2Error(f"the image claims {header.size} bytes; at most {MAX_SIZE} (16 TiB) are supported")
    if header.l1_size * 8 > MAX_L1_BYTES:
        raise Qcow2Error(
            f"the L1 table has {header.l1_size} entries; at most {MAX_L1_BYTES // 8} are possible"
        )
    needed = -(-header.clusters // header.l2_entries)
    if header.l1_size < needed:
        raise Qcow2Error(
            f"the L1 table has {header.l1_size} entries, and {header.size} bytes need {needed} of them"
        )
    if header.refcount_clusters << header.cluster_bits > MAX_REFCOUNT_TABLE_BYTES:
        raise Qcow2Error(
            f"the refcount table has {header.refcount_clusters} clusters; that is more than 8 MiB"
        )
    if header.snapshots > MAX_SNAPSHOTS:
        raise Qcow2Error(f"there are {header.snapshots} snapshots; at most {MAX_SNAPSHOTS} are possible")
    for what, offset in (("L1 table", header.l1_offset), ("refcount table", header.refcount_offset)):
        if offset % header.cluster_bytes:
            raise Qcow2Error(f"the {what} at {offset:#x} does not begin at a cluster")
    read_at(
        file, header.refcount_offset, header.refcount_clusters << header.cluster_bits, "the refcount table"
    )
    if header.l1_size:
        read_at(file, header.l1_offset, header.l1_size * 8, "the L1 table")
