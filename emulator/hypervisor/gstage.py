"""G-stage page tables: the Sv39x4 tree in host RAM through which the MMU turns a VM's GPAs into HPAs.

Privileged ISA 20240411, chapter 18, "Two-Stage Address Translation". The root has 2048 entries (16 KiB) and
maps 1 GiB with each; the two levels below have 512. A leaf must have U=1, because every guest access counts
as a user access. A and D are set from the start. Leaves are of 4 KiB, or of 2 MiB until something is done to
a page inside: then the leaf is split into a table of 512 that translate as it did, for which a frame was set
aside when it was made. Leaves of 1 GiB are left out.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence

from emulator.hypervisor.partition import ROOT_FRAMES, Partition, table_code
from emulator.machine.host import Host
from emulator.state import PAGE_BYTES, RAM_BASE

SV39X4 = 8
PTE_V, PTE_R, PTE_W, PTE_X, PTE_U, PTE_A, PTE_D = 1, 2, 4, 8, 16, 64, 128
READ_WRITE_EXECUTE = PTE_R | PTE_W | PTE_X
ENTRIES = 512
LEAF_TABLE_SPAN = ENTRIES * PAGE_BYTES  # 2 MiB
MIDDLE_TABLE_SPAN = ENTRIES * LEAF_TABLE_SPAN  # 1 GiB


def frame_address(hfn: int) -> int:
    """Return the HPA of a frame."""
    return RAM_BASE + hfn * PAGE_BYTES


def table_frames_needed(gpa: int, pages: int) -> int:
    """Return how many frames a table that maps `pages` pages from `gpa` takes."""
    end = gpa + pages * PAGE_BYTES
    leaf_tables = -(-end // LEAF_TABLE_SPAN) - gpa // LEAF_TABLE_SPAN
    middle_tables = -(-end // MIDDLE_TABLE_SPAN) - gpa // MIDDLE_TABLE_SPAN
    return ROOT_FRAMES + middle_tables + leaf_tables


class GStage:
    """One VM's table. `frames` are the frames it stands in, the four of the root first."""

    def __init__(self, host: Host, partition: Partition, vm_index: int) -> None:
        """Make an empty table. Raises OutOfFramesError."""
        self._host = host
        self._partition = partition
        self._code = table_code(vm_index)
        self.frames = partition.take_root(self._code)
        self._spare: list[int] = []  # one for each leaf of 2 MiB
        # Told the GPA of each page whose entry changes: whoever has copies of entries.
        self.on_change: Callable[[int], None] | None = None

    def hgatp(self, vmid: int) -> int:
        """Return the value of `hgatp` that puts this table in force."""
        return SV39X4 << 60 | vmid << 44 | frame_address(self.frames[0]) >> 12

    def map(
        self, gpa: int, frames: Sequence[int], permissions: int = READ_WRITE_EXECUTE, dirty: bool = True
    ) -> None:
        """Map pages from `gpa` to frames, in that order; `permissions` are R, W and X bits of an entry."""
        flags = PTE_V | PTE_U | PTE_A | (PTE_D if dirty else 0) | permissions
        entries = _leaves(frames, frame_address(0) >> 2 | flags)
        done = 0
        while done < len(frames):
            address = gpa + done * PAGE_BYTES
            index = address // PAGE_BYTES % ENTRIES
            count = min(ENTRIES - index, len(frames) - done)
            table = entries[done * 8 : (done + count) * 8]
            self._host.write(self._leaf_table(address) + index * 8, table)
            done += count
        self._changed_from(gpa, len(frames))

    def map_block(self, gpa: int, first: int) -> None:
        """Map the 2 MiB from `gpa` by one leaf to 512 adjacent frames; both are at multiples of 2 MiB."""
        assert gpa % LEAF_TABLE_SPAN == frame_address(first) % LEAF_TABLE_SPAN == 0
        entry_hpa = self._middle_entry(gpa)
        assert not self._read(entry_hpa) & PTE_V
        self._spare += self._partition.take(1, self._code)
        self.frames.append(self._spare[-1])
        entry = frame_address(first) >> 2 | PTE_V | PTE_U | PTE_A | PTE_D | READ_WRITE_EXECUTE
        self._host.write(entry_hpa, struct.pack("<Q", entry))
        self._changed_from(gpa, ENTRIES)

    @property
    def blocks(self) -> int:
        """How many leaves are of 2 MiB."""
        return len(self._spare)

    def prepare(self, gpa: int, pages: int) -> None:
        """Make the tables for so many pages from `gpa`, so that mapping them needs no frame any more."""
        for address in range(
            gpa // LEAF_TABLE_SPAN * LEAF_TABLE_SPAN, gpa + pages * PAGE_BYTES, LEAF_TABLE_SPAN
        ):
            self._leaf_table(address)

    def unmap(self, gpa: int) -> None:
        """Take the entry of a page away; translations of it may still be in TLBs."""
        self._host.write(self._leaf_entry(gpa), bytes(8))
        self._changed(gpa)

    def change(self, gpa: int, clear: int = 0, put: int = 0) -> None:
        """Clear and set bits of the entry of a page; translations of it may still be in TLBs."""
        entry = self._leaf_entry(gpa)
        self._host.write(entry, struct.pack("<Q", self._read(entry) & ~clear | put))
        self._changed(gpa)

    def sweep_accessed(self) -> list[int]:
        """Return the GPAs of the pages whose A bit is set, and clear these bits.

        Translations may still be in TLBs; a hart sets the bit again at its next walk.
        """
        found: list[int] = []
        for base, table in self._leaf_tables():
            entries = array("Q", self._host.read(table, PAGE_BYTES))
            used = [index for index, entry in enumerate(entries) if entry & PTE_A]
            for index in used:
                entries[index] &= ~PTE_A
            if used:
                self._host.write(table, entries.tobytes())
                found.extend(base + index * PAGE_BYTES for index in used)
        for gpa in found:
            self._changed(gpa)
        return found

    def leaf_flags(self, gpa: int, pages: int) -> bytes:
        """Return the low byte (V R W X U G A D) of the leaf of each page from `gpa`, a multiple of 2 MiB."""
        found: list[bytes] = []
        for base in range(gpa, gpa + pages * PAGE_BYTES, LEAF_TABLE_SPAN):
            root_index, middle_index, _ = _indices(base)
            middle = self._read(frame_address(self.frames[0]) + root_index * 8)
            entry = self._read((middle >> 10 << 12) + middle_index * 8) if middle & PTE_V else 0
            if entry & PTE_V and not entry & READ_WRITE_EXECUTE:
                found.append(self._host.read(entry >> 10 << 12, PAGE_BYTES)[::8])
            else:
                found.append(bytes([entry & 255]) * ENTRIES)
        return b"".join(found)[:pages]

    def _leaf_tables(self) -> Iterator[tuple[int, int]]:
        """Yield GPA and HPA of each table of the last level."""
        for root_index, middle in self._tables_in(frame_address(self.frames[0]), ENTRIES * ROOT_FRAMES):
            for middle_index, leaf in self._tables_in(middle, ENTRIES):
                yield root_index * MIDDLE_TABLE_SPAN + middle_index * LEAF_TABLE_SPAN, leaf

    def _tables_in(self, table: int, count: int) -> Iterator[tuple[int, int]]:
        """Yield number and target of the entries of a table that lead to another one."""
        for index, entry in enumerate(array("Q", self._host.read(table, count * 8))):
            if entry & PTE_V and not entry & READ_WRITE_EXECUTE:
                yield index, entry >> 10 << 12

    def _leaf_entry(self, gpa: int) -> int:
        """Return the HPA of the last-level entry for a GPA."""
        return self._leaf_table(gpa) + gpa // PAGE_BYTES % ENTRIES * 8

    def _changed_from(self, gpa: int, pages: int) -> None:
        if self.on_change is not None:
            for page in range(pages):
                self.on_change(gpa + page * PAGE_BYTES)

    def _changed(self, gpa: int) -> None:
        if self.on_change is not None:
            self.on_change(gpa)

    def lookup(self, gpa: int) -> int:
        """Return the leaf entry for a GPA as it stands in RAM, 0 if there is none.

        Inside a leaf of 2 MiB it is the one that would map the page alone.
        """
        root_index, middle_index, leaf_index = _indices(gpa)
        if root_index >= ENTRIES * 4:
            return 0
        table = self._read(frame_address(self.frames[0]) + root_index * 8)
        for index in (middle_index, leaf_index):
            if not table & PTE_V:
                return 0
            if table & READ_WRITE_EXECUTE:
                return table + (leaf_index << 10)
            table = self._read((table >> 10 << 12) + index * 8)
        return table

    def _leaf_table(self, gpa: int) -> int:
        """Return the HPA of the last-level table for a GPA, making the tables on the way."""
        entry_hpa = self._middle_entry(gpa)
        if self._read(entry_hpa) & READ_WRITE_EXECUTE:
            self._split(entry_hpa)
        return self._next_table(entry_hpa)

    def _middle_entry(self, gpa: int) -> int:
        """Return the HPA of the entry of the middle level for a GPA, making its table."""
        root_index, middle_index, _ = _indices(gpa)
        return self._next_table(frame_address(self.frames[0]) + root_index * 8) + middle_index * 8

    def _split(self, entry_hpa: int) -> None:
        """Put a table in place of a leaf of 2 MiB.

        It translates as before, so a fence is due only for what the caller changes in it.
        """
        leaf, table = self._read(entry_hpa), frame_address(self._spare.pop())
        entries = array("Q", [leaf + (index << 10) for index in range(ENTRIES)])
        self._host.write(table, entries.tobytes())
        self._host.write(entry_hpa, struct.pack("<Q", table >> 2 | PTE_V))

    def _next_table(self, entry_hpa: int) -> int:
        entry = self._read(entry_hpa)
        if not entry & PTE_V:
            frame = self._partition.take(1, self._code)[0]
            self.frames.append(frame)
            entry = frame_address(frame) >> 2 | PTE_V
            self._host.write(entry_hpa, struct.pack("<Q", entry))
        return entry >> 10 << 12

    def _read(self, hpa: int) -> int:
        return int.from_bytes(self._host.read(hpa, 8), "little")


def _leaves(frames: Sequence[int], zero: int) -> bytes:
    """Return entries for frames; `zero` is the one for frame 0.

    An entry is the frame's address shifted right by 2, and flags below it. All are computed at once, as one
    long number: no entry is so large that it would reach into the next.
    """
    numbers = int.from_bytes(array("Q", frames).tobytes(), "little")
    zeros = int.from_bytes(zero.to_bytes(8, "little") * len(frames), "little")
    return ((numbers << 10) + zeros).to_bytes(8 * len(frames), "little")


def _indices(gpa: int) -> tuple[int, int, int]:
    """Return the entry numbers at the three levels, root first."""
    return gpa >> 30, gpa >> 21 & 511, gpa >> 12 & 511
