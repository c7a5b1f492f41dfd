"""Reading a qcow2 image: which guest cluster is where, and what it holds.

Nothing of the file is trusted. Tables may not overlap each other or the header, so no table is two things and
none is walked twice; a data cluster may not lie in a table.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, Literal

from emulator.hypervisor.storage.qcow2.header import Header, Qcow2Error, file_size, read_at, read_header

OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
COPIED, COMPRESSED, ZERO = 1 << 63, 1 << 62, 1
TABLES_KEPT = 16
Kind = Literal["none", "zero", "data", "compressed"]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Where a guest cluster is: `length` bytes at `offset` of the file, if it has any there."""

    kind: Kind
    offset: int = 0
    length: int = 0


NOT_HERE = Mapping("none")


def mapping_of(entry: int, header: Header) -> Mapping:
    """Return what an L2 entry says. Raises Qcow2Error if a cluster does not begin at one."""
    if entry & COMPRESSED:
        shift = 62 - (header.cluster_bits - 8)
        offset = entry & (1 << shift) - 1
        sectors = (entry & COMPRESSED - 1) >> shift
        return Mapping("compressed", offset, (sectors + 1) * 512 - offset % 512)
    offset = entry & OFFSET_MASK
    if offset % header.cluster_bytes:
        raise Qcow2Error(f"a data cluster at {offset:#x} does not begin at a cluster")
    if entry & ZERO and header.version >= 3:
        return Mapping("zero", offset)
    return Mapping("data", offset, header.cluster_bytes) if offset else NOT_HERE


def read_table(file: BinaryIO, offset: int, entries: int, what: str) -> tuple[int, ...]:
    """Return a table of 64-bit entries. Raises Qcow2Error."""
    return struct.unpack(f">{entries}Q", read_at(file, offset, entries * 8, what))


class Image:
    """An image in a file that can be read anywhere; its header and L1 table are checked at once."""

    def __init__(self, file: BinaryIO) -> None:
        """Open it. Raises Qcow2Error."""
        self.file = file
        self.header = read_header(file)
        self._size = file_size(file)
        header = self.header
        self._l1 = (
            read_table(file, header.l1_offset, header.l1_size, "the L1 table") if header.l1_size else ()
        )
        self._tables = self._claim_tables()
        self._l2 = lru_cache(TABLES_KEPT)(self._read_l2)

    def _claim_tables(self) -> dict[int, str]:
        """Return which clusters of the file hold tables; refuse those that overlap."""
        header, claimed = self.header, {0: "the header"}
        self._claim(claimed, header.l1_offset, header.l1_size * 8, "the L1 table")
        length = header.refcount_clusters << header.cluster_bits
        self._claim(claimed, header.refcount_offset, length, "the refcount table")
        for index, entry in enumerate(self._l1):
            offset = entry & OFFSET_MASK
            if offset:
                if offset % header.cluster_bytes:
                    raise Qcow2Error(f"L2 table {index} at {offset:#x} does not begin at a cluster")
                if offset + header.cluster_bytes > self._size:
                    raise Qcow2Error(f"L2 table {index} at {offset:#x} lies outside the file")
                self._claim(claimed, offset, header.cluster_bytes, f"L2 table {index}")
        return claimed

    def _claim(self, claimed: dict[int, str], offset: int, length: int, what: str) -> None:
        bits = self.header.cluster_bits
        for number in range(offset >> bits, -(-(offset + length) >> bits)):
            if number in claimed:
                raise Qcow2Error(f"{what} at {offset:#x} overlaps {claimed[number]}")
            claimed[number] = what

    def _read_l2(self, index: int) -> tuple[int, ...]:
        offset = self._l1[index] & OFFSET_MASK
        return read_table(self.file, offset, self.header.l2_entries, f"L2 table {index}") if offset else ()

    def mapping(self, cluster: int) -> Mapping:
        """Return where a guest cluster is. Raises Qcow2Error."""
        table, entry = divmod(cluster, self.header.l2_entries)
        entries = self._l2(table) if table < len(self._l1) else ()
        if not entries:
            return NOT_HERE
        found = mapping_of(entries[entry], self.header)
        if found.kind in ("data", "compressed"):
            if found.offset >= self._size:
                raise Qcow2Error(f"guest cluster {cluster} at {found.offset:#x} lies outside the file")
            table_there = self._tables.get(found.offset >> self.header.cluster_bits)
            if table_there:
                raise Qcow2Error(f"guest cluster {cluster} at {found.offset:#x} overlaps {table_there}")
        return found

    def mapped(self) -> Iterator[int]:
        """Yield the guest clusters that the image says something of, in order."""
        per_table, count = self.header.l2_entries, self.header.clusters
        for table, l1_entry in enumerate(self._l1):
            if l1_entry & OFFSET_MASK:
                first = table * per_table
                for number, entry in enumerate(self._l2(table)):
                    if entry & ~COPIED and first + number < count:
                        yield first + number

    def cluster(self, number: int) -> bytes | None:
        """Return what a guest cluster holds; None if that is for the backing file. Raises Qcow2Error."""
        found, size = self.mapping(number), self.header.cluster_bytes
        if found.kind == "none":
            return None
        if found.kind == "zero":
            return bytes(size)
        # A file may end within its last cluster: the rest is zero.
        data = read_at(self.file, found.offset, min(found.length, self._size - found.offset), "a cluster")
        return data.ljust(size, b"\0") if found.kind == "data" else _inflate(data, size, number)


def _inflate(data: bytes, size: int, number: int) -> bytes:
    """Return a cluster that was compressed: a raw deflate stream with a window of 4 KiB or less."""
    try:
        found = zlib.decompressobj(-12).decompress(data, size)
    except zlib.error as error:
        raise Qcow2Error(f"guest cluster {number} cannot be decompressed: {error}") from error
    if len(found) != size:
        raise Qcow2Error(
            f"guest cluster {number} has {len(found)} bytes after decompression instead of {size}"
        )
    return found
