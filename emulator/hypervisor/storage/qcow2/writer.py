"""Writing a qcow2 image: header, L1 table, then clusters as they come with an L2 table after each of its
groups, and the refcounts of all of it at the end. Nothing is written that `qemu-img check` calls a leak.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable
from typing import BinaryIO

from emulator.hypervisor.storage.qcow2.header import (
    EXTENSION_BACKING_FORMAT,
    HEADER_V2,
    HEADER_V3,
    MAGIC,
    MAX_BACKING_NAME,
    MAX_CLUSTER_BITS,
    MAX_SIZE,
    MIN_CLUSTER_BITS,
    V3_BYTES,
    Qcow2Error,
)
from emulator.hypervisor.storage.qcow2.image import COMPRESSED, COPIED, ZERO

REFCOUNT_ORDER = 4


def write_image(
    out: BinaryIO,
    size: int,
    clusters: Iterable[tuple[int, bytes]],
    cluster_bits: int = 16,
    backing: str = "",
    backing_format: str = "",
    compress: bool = False,
) -> None:
    """Write an image of version 3 into an empty file.

    Args:
        out: Where to; it must be possible to seek in it.
        size: Bytes that the guest sees, a multiple of 512.
        clusters: (number, content) in rising order; empty content is a cluster of zeros.
        cluster_bits: Binary logarithm of the size of clusters.
        backing: Name of the backing file, "" for none.
        backing_format: Its format.
        compress: Deflate clusters where that makes them smaller.

    Raises Qcow2Error for what cannot be written.
    """
    name = backing.encode()
    if not MIN_CLUSTER_BITS <= cluster_bits <= MAX_CLUSTER_BITS:
        raise Qcow2Error(f"clusters of 2^{cluster_bits} bytes are not possible; choose 512 bytes to 2 MiB")
    if not 0 <= size <= MAX_SIZE or size % 512:
        raise Qcow2Error(f"{size} bytes: must be a multiple of 512, at most 16 TiB")
    if len(name) > min(MAX_BACKING_NAME, (1 << cluster_bits) - V3_BYTES - 64):
        raise Qcow2Error(
            f"the backing file's name has {len(name)} bytes; it has no room in the first cluster"
        )
    writer = _Writer(out, size, cluster_bits, compress)
    for number, content in clusters:
        writer.add(number, content)
    writer.finish(name, backing_format.encode())


class _Writer:
    def __init__(self, out: BinaryIO, size: int, bits: int, compress: bool) -> None:
        self._out = out
        self._size = size
        self._bits = bits
        self._bytes = 1 << bits
        self._compress = compress
        entries = -(-size // self._bytes)
        self._l1 = [0] * -(-entries // (self._bytes // 8))
        self._l1_clusters = -(-len(self._l1) * 8 // self._bytes)
        self._next = 1 + self._l1_clusters  # the first cluster of the file that is free
        self._packed = 0  # where the next compressed cluster goes, 0 for a new cluster of the file
        self._shared: Counter[int] = Counter()  # compressed clusters that touch a cluster of the file
        self._table = -1
        self._l2: list[int] = []

    def add(self, number: int, content: bytes) -> None:
        table, entry = divmod(number, self._bytes // 8)
        if table != self._table:
            self._close_table()
            self._table, self._l2 = table, [0] * (self._bytes // 8)
        self._l2[entry] = self._place(content.ljust(self._bytes, b"\0")) if content else ZERO

    def _place(self, content: bytes) -> int:
        """Write a cluster; return its L2 entry."""
        packed = self._deflated(content)
        if packed is not None:
            return self._place_packed(packed)
        return self._append(content) | COPIED

    def _append(self, content: bytes) -> int:
        """Write a whole cluster behind the others; return its offset."""
        offset = self._next << self._bits
        self._next += 1
        self._write(offset, content)
        self._packed = 0
        return offset

    def _deflated(self, content: bytes) -> bytes | None:
        if not self._compress:
            return None
        stream = zlib.compressobj(9, zlib.DEFLATED, -12)
        packed = stream.compress(content) + stream.flush()
        return packed if len(packed) < self._bytes else None

    def _place_packed(self, packed: bytes) -> int:
        offset = self._packed or self._next << self._bits
        end = offset + len(packed)
        self._write(offset, packed)
        for cluster in range(offset >> self._bits, (end - 1 >> self._bits) + 1):
            self._shared[cluster] += 1
        self._next = -(-end >> self._bits)
        self._packed = end if end % self._bytes else 0
        sectors = (end - 1 >> 9) - (offset >> 9)
        return COMPRESSED | sectors << 62 - (self._bits - 8) | offset

    def _close_table(self) -> None:
        if any(self._l2):
            self._l1[self._table] = self._append(struct.pack(f">{len(self._l2)}Q", *self._l2)) | COPIED

    def finish(self, name: bytes, form: bytes) -> None:
        self._close_table()
        table, table_clusters = self._write_refcounts()
        self._write(1 << self._bits, struct.pack(f">{len(self._l1)}Q", *self._l1))
        self._write_header(name, form, table, table_clusters)
        self._out.truncate(self._next << self._bits)

    def _write_refcounts(self) -> tuple[int, int]:
        """Write refcount blocks and their table, which count themselves; return its offset and clusters."""
        per_block, before = self._bytes // 2, self._next
        blocks = tables = 0
        while True:
            total = before + blocks + tables
            wanted = -(-total // per_block)
            if (blocks, tables) == (wanted, -(-wanted * 8 // self._bytes)):
                break
            blocks, tables = wanted, -(-wanted * 8 // self._bytes)
        offsets: list[int] = []
        for block in range(blocks):
            numbers = range(block * per_block, min(total, (block + 1) * per_block))
            counts = [self._shared.get(number, 1) for number in numbers]
            data = struct.pack(f">{len(counts)}H", *counts)
            offsets.append(self._append(data.ljust(self._bytes, b"\0")))
        table = self._next << self._bits
        self._write(table, struct.pack(f">{blocks}Q", *offsets).ljust(tables * self._bytes, b"\0"))
        self._next += tables
        return table, tables

    def _write_header(self, name: bytes, form: bytes, table: int, table_clusters: int) -> None:
        extensions = b""
        if form:
            padded = form.ljust(-(-len(form) // 8) * 8, b"\0")
            extensions = struct.pack(">II", EXTENSION_BACKING_FORMAT, len(form)) + padded
        extensions += bytes(8)
        name_at = V3_BYTES + len(extensions) if name else 0
        l1_at = 1 << self._bits
        fields = (MAGIC, 3, name_at, len(name), self._bits, self._size, 0, len(self._l1), l1_at)
        head = HEADER_V2.pack(*fields, table, table_clusters, 0, 0)
        head += HEADER_V3.pack(0, 0, 0, REFCOUNT_ORDER, V3_BYTES)
        self._write(0, (head + extensions + name).ljust(self._bytes, b"\0"))

    def _write(self, offset: int, data: bytes) -> None:
        self._out.seek(offset)
        self._out.write(data)
