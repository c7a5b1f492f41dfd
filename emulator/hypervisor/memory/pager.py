"""The pager: gives a VM's pages their frames at the first touch, and keeps account of them.

A page without a frame has no entry in the VM's G-stage table, so that touching it is a guest page fault,
which comes here. What a device or a call of the hypervisor touches is given its frame in the same way, as
part of the exit that it belongs to.

When there is no frame to be had, a VM whose guest needs one is paused: out of memory. Resumed, it tries
again. A write of a device cannot be tried again; a VM that loses one is stopped before its guest runs on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.hypervisor import lifecycle
from emulator.hypervisor.gstage import ENTRIES, frame_address
from emulator.hypervisor.gstage import LEAF_TABLE_SPAN as BLOCK_BYTES
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.memory.ksm import Ksm
from emulator.hypervisor.memory.reclaim import Reclaim
from emulator.hypervisor.memory.settings import MemorySettings
from emulator.hypervisor.partition import ram_code
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import ON, Vm
from emulator.machine.host import ZERO_DIGEST, ZERO_PAGE, page_digest
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

# Exit reasons: guest page faults that the pager serves.
DEMAND_PAGING, SWAP_IN, COPY_ON_WRITE = "demand paging", "swap in", "copy on write"
REASONS = (DEMAND_PAGING, SWAP_IN, COPY_ON_WRITE)


class Pager:
    """The one place where frames come to pages and go from them."""

    def __init__(self, hypervisor: Hypervisor, settings: MemorySettings) -> None:
        """Serve the VMs of a hypervisor."""
        self._hypervisor = hypervisor
        self._host = hypervisor.host
        self._partition = hypervisor.partition
        self.settings = settings
        self.reclaim = Reclaim(hypervisor, settings.swap_pages, settings.replacement)
        self.ksm = Ksm(hypervisor)

    # Room

    def obtainable(self, vm: Vm) -> int:
        """Return how many frames a VM could take now, its limit not considered."""
        return self._partition.free_count - self._promised_to_others(vm)

    def _promised_to_others(self, vm: Vm) -> int:
        promised = 0
        for other in self._hypervisor.vms.values():
            reservation = other.settings.ram.reservation
            if reservation and other is not vm and other.lifecycle in ON:
                promised += max(0, reservation // PAGE_BYTES - other.backing.resident)
        return promised

    def _make_room(self, vm: Vm) -> tuple[str, int]:
        """See to it that a VM can have a frame; return why it cannot, and how long the disk took."""
        waited = 0
        while refused := self._why_not(vm):
            limit = vm.settings.ram.limit // PAGE_BYTES
            only = vm if limit and vm.backing.resident >= limit else None
            cycles = self.reclaim.evict(vm, only)
            if cycles is None:
                return refused, 0
            waited += cycles
        return "", waited

    def _why_not(self, vm: Vm) -> str:
        """Return why a VM cannot have a frame now, "" if it can."""
        limit = vm.settings.ram.limit // PAGE_BYTES
        if limit and vm.backing.resident >= limit:
            return f"it has the {limit} frames that its memory_limit allows"
        if self._partition.free_count == 0:
            return "the host has no free frame"
        reserved = vm.settings.ram.reservation // PAGE_BYTES
        if vm.backing.resident >= reserved and self.obtainable(vm) <= 0:
            return f"the host's {self._partition.free_count} free frames are reserved for other VMs"
        return ""

    # Start and end

    def populate(self, vm: Vm) -> None:
        """Give a VM that starts its memory, which can be had: all frames, or with overcommit only tables."""
        vm.frames = []
        vm.backing.resident = 0
        self.extend(vm, vm.settings.memory // PAGE_BYTES)

    def extend(self, vm: Vm, pages: int) -> None:
        """Give a VM pages behind those it has, which can be had: frames, or with overcommit only tables."""
        assert vm.gstage is not None
        gpa = RAM_BASE + len(vm.frames) * PAGE_BYTES
        if self.settings.on_demand:
            vm.gstage.prepare(gpa, pages)
            vm.frames = vm.frames + [ABSENT] * pages
            return
        frames = self._map_new(vm, gpa, pages)
        vm.frames = vm.frames + frames
        vm.backing.resident += pages
        if self.reclaim.area.size:
            for hfn in frames:
                self.reclaim.came(hfn)

    def _map_new(self, vm: Vm, gpa: int, pages: int) -> list[int]:
        """Map so many pages from a GPA, by leaves of 2 MiB where the VM wants and can have them."""
        assert vm.gstage is not None
        code, end = ram_code(vm.index), gpa + pages * PAGE_BYTES
        if vm.settings.ram.page == PAGE_BYTES:
            frames = self._partition.take(pages, code, gpa)
            vm.gstage.map(gpa, frames)
            return frames
        # All blocks before anything else, which would break up what is left.
        wanted = range(-(-gpa // BLOCK_BYTES) * BLOCK_BYTES, end - BLOCK_BYTES + 1, BLOCK_BYTES)
        blocks = {at: self._partition.take_block(ENTRIES, code) for at in wanted}
        frames: list[int] = []
        while (at := gpa + len(frames) * PAGE_BYTES) < end:
            block = blocks.get(at)
            if block:
                vm.gstage.map_block(at, block[0])
                self._partition.place(block, at)
            else:
                count = (min(end, at // BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES) - at) // PAGE_BYTES
                block = self._partition.take(count, code, at)
                vm.gstage.map(at, block)
            frames += block
        return frames

    def clear(self, vm: Vm) -> None:
        """Zero a VM's memory before it boots again; with overcommit it gets its frames anew."""
        if self.settings.on_demand:
            self.release(vm, range(len(vm.frames)))
        else:
            self.release(vm, list(vm.backing.shared))
            self._host.discard(present(vm))

    def depopulate(self, vm: Vm) -> None:
        """Take all memory and the table from a VM."""
        self.reclaim.forget_all(vm)
        self.drop(vm, list(vm.backing.shared))
        for hfn in present(vm):
            self.reclaim.went(hfn)
        frames = present(vm) + (vm.gstage.frames if vm.gstage else [])
        self._host.discard(frames)
        self._partition.give_back(frames)
        vm.frames = []
        vm.gstage = None
        vm.backing.resident = 0

    # What guests touch

    def kind_of_fault(self, vm: Vm, gpa: int) -> str:
        """Return the exit reason of a guest page fault that can be served here, "" for any other."""
        if not vm.contains(gpa):
            return ""
        page = page_of(gpa)
        if vm.frames[page] != ABSENT:
            return COPY_ON_WRITE if page in vm.backing.shared else ""
        return SWAP_IN if page in vm.backing.swapped else DEMAND_PAGING

    def serve(self, vcpu: Vcpu, gpa: int) -> str:
        """Give the page at a GPA what it lacks, or pause the VM; return what was done.

        While the disk works, the vCPU is blocked.
        """
        vm, page = vcpu.vm, page_of(gpa)
        refused, wait = self._make_room(vm)
        if refused:
            vm.backing.refused = refused
            lifecycle.suspend(self._hypervisor, vm, f"was paused, out of memory: {refused}")
            return f"no frame for GPA {gpa:#x}: {refused}"
        if page in vm.backing.shared:
            self._part(vm, page)
            if wait:
                self._hypervisor.block_vcpu(vcpu, self._hypervisor.now + wait)
            return f"write to the shared page at GPA {gpa & -PAGE_BYTES:#x}: frame {vm.frames[page]} given"
        swapped = page in vm.backing.swapped
        hfn = self._give(vm, page)
        wait += self.settings.swap_latency if swapped else 0
        if wait:
            self._hypervisor.block_vcpu(vcpu, self._hypervisor.now + wait)
        what = "was swapped in" if swapped else "was touched for the first time"
        return f"GPA {page * PAGE_BYTES + RAM_BASE:#x} {what}: frame {hfn} given"

    def _give(self, vm: Vm, page: int) -> int:
        """Put a frame behind a page, with what was swapped out or zeros; there is one to be had."""
        assert vm.gstage is not None
        gpa, backing = RAM_BASE + page * PAGE_BYTES, vm.backing
        frames = self._partition.take(1, ram_code(vm.index), gpa)
        slot = backing.swapped.pop(page, None)
        if slot is None:
            backing.given += 1
        else:
            self._host.write(frame_address(frames[0]), self.reclaim.content(slot))
            backing.copies[page] = slot
            backing.swapped_in += 1
        vm.gstage.map(gpa, frames, dirty=slot is None)
        vm.frames[page] = frames[0]
        backing.resident += 1
        self.reclaim.came(frames[0])
        return frames[0]

    def _part(self, vm: Vm, page: int) -> None:
        """Give a page that shares a frame one of its own, with the same content; there is one to be had."""
        self.ksm.state.breaks += 1
        content = self.content(vm, page)
        self.ksm.leave(vm, page)
        vm.frames[page] = ABSENT
        hfn = self._give(vm, page)
        vm.backing.given -= 1
        self._host.write(frame_address(hfn), content)
        self._host.flush_all()

    # What devices and calls touch

    def writable(self, vm: Vm, page: int) -> int:
        """Return the frame of a page that the host writes to, ABSENT if it cannot have one."""
        hfn = vm.frames[page]
        shared = page in vm.backing.shared
        if hfn != ABSENT and not shared:
            if page in vm.backing.copies:
                self.reclaim.forget_copy(vm, page)
            return hfn
        if self._make_room(vm)[0]:
            self._hypervisor.starved.append(vm)
            return ABSENT
        if shared:
            self._part(vm, page)
            return vm.frames[page]
        hfn = self._give(vm, page)
        self.reclaim.forget_copy(vm, page)
        return hfn

    def stop_starved(self) -> None:
        """Stop the VMs that have lost a write."""
        starved, self._hypervisor.starved = self._hypervisor.starved, []
        for vm in starved:
            if vm.lifecycle in ON:
                text = "out of memory: there was no frame for what a device had to write"
                lifecycle.crash(self._hypervisor, vm, text)

    # What is given up

    def release(self, vm: Vm, pages: Iterable[int]) -> int:
        """Take what stands behind pages back, zeroed; return how many frames there were."""
        pages = list(pages)
        for page in pages:
            self.reclaim.forget(vm, page)
        return self.drop(vm, pages)

    def drop(self, vm: Vm, pages: Iterable[int]) -> int:
        """Take the frames of pages back, zeroed; return how many there were."""
        assert vm.gstage is not None
        taken: list[int] = []
        for page in pages:
            if vm.frames[page] != ABSENT:
                if page in vm.backing.shared:
                    self.ksm.leave(vm, page)
                else:
                    self.reclaim.went(vm.frames[page])
                    taken.append(vm.frames[page])
                vm.frames[page] = ABSENT
                vm.gstage.unmap(RAM_BASE + page * PAGE_BYTES)
        self._host.discard(taken)  # and every hart forgets all translations
        self._partition.give_back(taken)
        vm.backing.resident -= len(taken)
        return len(taken)

    # Contents, for those who only look

    def content(self, vm: Vm, page: int) -> bytes:
        """Return the 4096 bytes of a page, wherever they are."""
        hfn = vm.frames[page]
        if hfn != ABSENT:
            return self._host.read_frame(hfn)
        slot = vm.backing.swapped.get(page)
        return ZERO_PAGE if slot is None else self.reclaim.content(slot)

    def digest(self, vm: Vm) -> str:
        """Return a digest over a VM's memory, in order of GPA: the digest of its pages' digests."""
        digest = hashlib.blake2b(digest_size=16)
        for page, hfn in enumerate(vm.frames):
            digest.update(self._host.frame_digest(hfn) if hfn != ABSENT else self._digest_absent(vm, page))
        return digest.hexdigest()

    def _digest_absent(self, vm: Vm, page: int) -> bytes:
        return page_digest(self.content(vm, page)) if page in vm.backing.swapped else ZERO_DIGEST


def page_of(gpa: int) -> int:
    """Return the number of a page of RAM."""
    return (gpa - RAM_BASE) // PAGE_BYTES


def present(vm: Vm) -> list[int]:
    """Return the frames that a VM has, in order of GPA."""
    return [hfn for hfn in vm.frames if hfn != ABSENT]
