"""Checking a qcow2 image: every cluster of the file is counted where it is referred to, and compared with its
refcount. More references than counted is an error (two owners, and a write of one changes the other); fewer
is a leak. Internal snapshots are followed, bitmaps refused.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from emulator.hypervisor.storage.qcow2.header import (
    EXTENSION_BITMAPS,
    MAX_L1_BYTES,
    Header,
    Qcow2Error,
    file_size,
    read_at,
    read_header,
)
from emulator.hypervisor.storage.qcow2.image import COPIED, OFFSET_MASK, mapping_of, read_table

SNAPSHOT = struct.Struct(">QIHHIIQII")
PROBLEMS_KEPT = 100


@dataclass
class Report:
    """What was found: sentences for errors, counts for the rest, in clusters."""

    errors: list[str] = field(default_factory=list[str])
    error_count: int = 0
    leaks: int = 0
    allocated: int = 0
    total: int = 0
    compressed: int = 0

    @property
    def clean(self) -> bool:
        """Whether there are neither errors nor leaks."""
        return not self.error_count and not self.leaks

    def error(self, text: str) -> None:
        """Note an error; the first hundred are kept."""
        self.error_count += 1
        if len(self.errors) < PROBLEMS_KEPT:
            self.errors.append(text)


def check(file: BinaryIO) -> Report:
    """Compare references and refcounts of an image. Raises Qcow2Error if it cannot be read at all."""
    header = read_header(file)
    if EXTENSION_BITMAPS in header.extensions:
        raise Qcow2Error("the image has bitmaps, which cannot be checked here; use qemu-img")
    return _Checker(file, header).run()


class _Checker:
    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._header = header
        self._size = file_size(file)
        self._bits = header.cluster_bits
        self._references: Counter[int] = Counter()
        self._report = Report(total=header.clusters)

    def run(self) -> Report:
        header, report = self._header, self._report
        self._refer(0, 1, "the header")
        self._refer(header.refcount_offset, header.refcount_clusters << self._bits, "the refcount table")
        stored = dict(self._stored())
        active = self._l1(header.l1_offset, header.l1_size, "the L1 table")
        tables: Counter[int] = Counter(entry & OFFSET_MASK for entry in active if entry & OFFSET_MASK)
        seen = set(tables)
        for l1 in self._snapshot_l1s():
            tables.update(entry & OFFSET_MASK for entry in l1 if entry & OFFSET_MASK)
        for offset, times in tables.items():
            self._check_l2(offset, times, offset in seen, stored)
        for index, entry in enumerate(active):
            self._check_copied(entry, entry & OFFSET_MASK, stored, f"L1 entry {index}")
        self._compare(stored)
        return report

    def _refer(self, offset: int, length: int, what: str, times: int = 1) -> None:
        if offset + length > -(-self._size >> self._bits) << self._bits:
            self._report.error(f"{what} at {offset:#x} lies outside the file")
            return
        for cluster in range(offset >> self._bits, -(-(offset + length) >> self._bits)):
            self._references[cluster] += times

    def _stored(self) -> Iterator[tuple[int, int]]:
        """Yield (cluster, refcount) for every refcount that is not zero."""
        header = self._header
        entries = header.refcount_clusters * header.l2_entries
        table = (
            read_table(self._file, header.refcount_offset, entries, "the refcount table") if entries else ()
        )
        per_block = header.cluster_bytes * 8 >> header.refcount_order
        for index, offset in enumerate(table):
            if not offset:
                continue
            if offset % header.cluster_bytes or offset + header.cluster_bytes > self._size:
                self._report.error(f"refcount block {index} at {offset:#x} is not a cluster of the file")
                continue
            self._refer(offset, header.cluster_bytes, f"refcount block {index}")
            block = read_at(self._file, offset, header.cluster_bytes, "a refcount block")
            if any(block):
                for number, count in enumerate(_counts(block, header.refcount_order)):
                    if count:
                        yield index * per_block + number, count

    def _l1(self, offset: int, size: int, what: str) -> tuple[int, ...]:
        if size * 8 > MAX_L1_BYTES:
            raise Qcow2Error(f"{what} has {size} entries; at most {MAX_L1_BYTES // 8} are possible")
        if not size:
            return ()
        self._refer(offset, size * 8, what)
        return read_table(self._file, offset, size, what)

    def _snapshot_l1s(self) -> Iterator[tuple[int, ...]]:
        at = self._header.snapshots_offset
        for number in range(self._header.snapshots):
            what = f"snapshot {number}"
            fields = SNAPSHOT.unpack(read_at(self._file, at, SNAPSHOT.size, what))
            yield self._l1(fields[0], fields[1], f"the L1 table of {what}")
            at += -(-(SNAPSHOT.size + fields[8] + fields[2] + fields[3]) // 8) * 8
        if self._header.snapshots:
            length = at - self._header.snapshots_offset
            self._refer(self._header.snapshots_offset, length, "the snapshot table")

    def _check_l2(self, offset: int, times: int, active: bool, stored: dict[int, int]) -> None:
        header = self._header
        if offset % header.cluster_bytes or offset + header.cluster_bytes > self._size:
            self._report.error(f"the L2 table at {offset:#x} is not a cluster of the file")
            return
        self._refer(offset, header.cluster_bytes, "an L2 table", times)
        for index, entry in enumerate(read_table(self._file, offset, header.l2_entries, "an L2 table")):
            if entry:
                self._check_entry(
                    entry, times, active, stored, f"entry {index} of the L2 table at {offset:#x}"
                )

    def _check_entry(self, entry: int, times: int, active: bool, stored: dict[int, int], what: str) -> None:
        try:
            found = mapping_of(entry, self._header)
        except Qcow2Error as error:
            self._report.error(f"{what}: {error}")
            return
        if active and found.kind != "none":
            self._report.allocated += found.kind != "zero" or found.offset > 0
            self._report.compressed += found.kind == "compressed"
        if found.kind == "compressed":
            length = min(found.length, max(1, self._size - found.offset))
            self._refer(found.offset, length, what, times)
        elif found.offset:
            self._refer(found.offset, self._header.cluster_bytes, what, times)
            if active:
                self._check_copied(entry, found.offset, stored, what)

    def _check_copied(self, entry: int, offset: int, stored: dict[int, int], what: str) -> None:
        """The COPIED flag says that the refcount is exactly one, so that a write needs no copy."""
        if offset and bool(entry & COPIED) != (stored.get(offset >> self._bits, 0) == 1):
            self._report.error(f"{what}: its COPIED flag does not fit the refcount of {offset:#x}")

    def _compare(self, stored: dict[int, int]) -> None:
        for cluster in sorted(stored.keys() | self._references.keys()):
            count, references = stored.get(cluster, 0), self._references[cluster]
            if count < references:
                self._report.error(f"cluster {cluster} has refcount {count} and {references} references")
            self._report.leaks += count > references


def _counts(block: bytes, order: int) -> Iterator[int]:
    """Yield the refcounts of a block, of 2^order bits each."""
    if order >= 3:
        width = 1 << order - 3
        for at in range(0, len(block), width):
            yield int.from_bytes(block[at : at + width], "big")
        return
    bits = 1 << order
    for byte in block:
        for shift in range(0, 8, bits):
            yield byte >> shift & (1 << bits) - 1
