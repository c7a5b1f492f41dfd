"""Shadow page tables: what a guest's table and the hypervisor's table come to, as one table from GVA to HPA.

The technique is that of the first VMMs for machines without a second stage (K. Adams, O. Agesen, "A
Comparison of Software and Hardware Techniques for x86 Virtualization", ASPLOS 2006, sections 2.2 to 2.4). For
every value of `satp` that the guest uses there is a table of its own, empty at first, which is filled entry
by entry as the guest touches pages. It is a cache like a TLB, and is emptied by the same fences. Only 4 KiB
leaves are written, whatever the guest's pages are. The frames come from a pool that is set aside when the
VM starts; when it is used up, all tables are emptied.

An entry is written for a frame only that the VM's G-stage table maps at that moment, and is taken away with
it (`forget`); there is no second check, because `hgatp` is Bare in this mode.
"""

from __future__ import annotations

import struct
from typing import Any

from emulator.core.csr_bits import PTE_A, PTE_D, PTE_V, PTE_W
from emulator.errors import VmLabError
from emulator.hypervisor.gstage import frame_address
from emulator.machine.host import Host
from emulator.state import PAGE_BYTES

SV39 = 8
INDEX_BITS, PAGE_BITS = 9, 12
LEAF_TABLE_BITS = PAGE_BITS + INDEX_BITS
ASID_SHIFT, ASID_MASK = 44, 0xFFFF
LEAST_FRAMES = 24  # roots of 8 vCPUs and the tables for 4 pages far apart
MOST_FRAMES = 512
Key = tuple[int, int, int]  # satp, level, the part of the GVA above what the table spans


class PoolUsedUpError(VmLabError):
    """No frame is left for another table."""


def frames_needed(pages: int) -> int:
    """Return how many frames are set aside for the shadow tables of a VM with so many pages."""
    return min(MOST_FRAMES, LEAST_FRAMES + pages // 16)


class ShadowTables:
    """The shadow tables of one VM, by the guest's `satp`, in the frames of its pool."""

    def __init__(self, host: Host, pool: list[int], asid: int) -> None:
        """Begin without tables; `asid` tells their TLB entries from those of other VMs."""
        self._host = host
        self._asid = asid
        self.pool = pool
        self.free = list(reversed(pool))
        self.tables: dict[Key, int] = {}  # HFN
        self.spans: dict[int, set[tuple[int, int]]] = {}  # satp -> (GVA, bytes) of the guest's larger pages
        self._places: dict[int, set[tuple[int, int]]] = {}  # guest page -> where it is mapped: (satp, GVA)

    def vsatp(self, satp: int) -> int:
        """Return the `vsatp` that puts the shadow of a guest's `satp` in force. Raises PoolUsedUpError."""
        mode = satp >> 60 or SV39
        root = self._table((satp, mode - 6, 0))
        return mode << 60 | self._asid << ASID_SHIFT | frame_address(root) >> PAGE_BITS

    def fill(self, satp: int, gva: int, gpa: int, hpa: int, flags: int, span: int) -> None:
        """Map the page of a GVA. Raises PoolUsedUpError.

        `flags` are R, W, X and U of the entry, W only where the guest's D bit is set; `span` is the size of
        the guest's page.
        """
        entry = self._path(satp, gva)
        flags |= PTE_V | PTE_A | (PTE_D if flags & PTE_W else 0)
        self._write(entry, hpa >> PAGE_BITS << 10 | flags)
        self._places.setdefault(gpa >> PAGE_BITS, set()).add((satp, gva >> PAGE_BITS << PAGE_BITS))
        if span > PAGE_BYTES and satp >> 60:
            self.spans.setdefault(satp, set()).add((gva & ~(span - 1), span))

    def fence(self, gva: int | None, asid: int | None) -> None:
        """Drop what a fence names: a page or all, in one address space or all."""
        for satp in sorted({key[0] for key in self.tables}):
            if not satp >> 60 or (asid is not None and satp >> ASID_SHIFT & ASID_MASK != asid & ASID_MASK):
                continue
            if gva is None:
                self._drop_all(satp)
            else:
                self._drop(satp, gva)

    def forget(self, gpa: int) -> None:
        """Drop every entry for a guest page. The caller flushes the TLBs of all harts."""
        for satp, gva in self._places.pop(gpa >> PAGE_BITS, ()):
            self._clear_entry(satp, gva)

    def clear(self) -> None:
        """Give all tables up, roots too. The caller flushes the TLBs and sets every vsatp anew."""
        self._host.discard(self.pool)
        self.free = list(reversed(self.pool))
        for table in (self.tables, self.spans, self._places):
            table.clear()

    def state(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        spans = [[satp, sorted(spans)] for satp, spans in sorted(self.spans.items())]
        return [self.free, sorted([*key, hfn] for key, hfn in self.tables.items()), spans]

    def _table(self, key: Key) -> int:
        """Return the frame of a table, an empty one if it is new."""
        if key not in self.tables:
            if not self.free:
                raise PoolUsedUpError("the pool of shadow tables is used up")
            self.tables[key] = self.free.pop()
        return self.tables[key]

    def _path(self, satp: int, gva: int) -> int:
        """Return the HPA of the leaf entry for a GVA, making the tables on the way."""
        levels = (satp >> 60 or SV39) - 5
        gva &= (1 << (PAGE_BITS + INDEX_BITS * levels)) - 1
        table = frame_address(self._table((satp, levels - 1, 0)))
        for level in range(levels - 1, 0, -1):
            prefix = gva >> (PAGE_BITS + INDEX_BITS * level)
            known = (satp, level - 1, prefix) in self.tables
            child = frame_address(self._table((satp, level - 1, prefix)))
            if not known:
                self._write(table + (prefix & 511) * 8, child >> PAGE_BITS << 10 | PTE_V)
            table = child
        return table + (gva >> PAGE_BITS & 511) * 8

    def _drop(self, satp: int, gva: int) -> None:
        """Drop the page of a GVA; all of it, if it is a larger one of the guest's."""
        self._clear_entry(satp, gva)
        spans = self.spans.get(satp, set())
        for start, size in [one for one in spans if one[0] <= gva < one[0] + one[1]]:
            spans.discard((start, size))
            for places in self._places.values():
                for at, page in [one for one in places if one[0] == satp and start <= one[1] < start + size]:
                    self._clear_entry(at, page)
                    places.discard((at, page))

    def _drop_all(self, satp: int) -> None:
        """Empty the tables of one address space; its root stays where it is."""
        self.spans.pop(satp, None)
        keys = [key for key in self.tables if key[0] == satp]
        root = max(keys, key=lambda key: key[1])
        self._host.discard([self.tables[key] for key in keys])
        for key in keys:
            if key != root:
                self.free.append(self.tables.pop(key))

    def _clear_entry(self, satp: int, gva: int) -> None:
        levels = (satp >> 60 or SV39) - 5
        gva &= (1 << (PAGE_BITS + INDEX_BITS * levels)) - 1
        table = self.tables.get((satp, 0, gva >> LEAF_TABLE_BITS))
        if table is not None:
            self._write(frame_address(table) + (gva >> PAGE_BITS & 511) * 8, 0)

    def _write(self, hpa: int, entry: int) -> None:
        self._host.write(hpa, struct.pack("<Q", entry))
