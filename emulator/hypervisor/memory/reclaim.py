"""Reclaim: takes frames from VMs, by a replacement policy, and puts what they hold into the swap area.

The A and D bits that the policy and the swap area go by are those that the MMU sets in the G-stage tables
(Privileged ISA 20240411, 10.3.1 and 18.5.1; `menvcfg.ADUE`). A page that was swapped in and not written since
keeps its slot, so that it can go again without being written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import ENVCFG_ADUE
from emulator.hypervisor.gstage import PTE_A, PTE_D
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.memory.custom import REPLACEMENTS
from emulator.hypervisor.memory.replacement import Replacement
from emulator.hypervisor.memory.swap import SwapArea
from emulator.hypervisor.vm import Vm
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

CYCLES_PER_ENTRY = 4  # to look at an entry of a G-stage table


class Candidates:
    """The frames that may be taken for one VM, as a replacement policy sees them."""

    def __init__(self, reclaim: Reclaim, wanting: Vm | None = None, only: Vm | None = None) -> None:
        """`wanting` needs a frame; if `only` is given, just that VM's frames may go."""
        self._reclaim = reclaim
        self._wanting = wanting
        self._only = only

    def may_go(self, frame: int, /) -> bool:
        """Return whether the frame's VM can lose it."""
        vm = self._reclaim.owner(frame)
        if self._only is not None:
            return vm is self._only
        return vm is self._wanting or vm.backing.resident > vm.settings.ram.reservation // PAGE_BYTES

    def accessed(self, frame: int, /) -> bool:
        """Return the frame's A bit."""
        return bool(self._reclaim.entry(frame) & PTE_A)

    def clear(self, frame: int, /) -> None:
        """Clear the frame's A bit; the caller drops translations afterwards."""
        vm, gpa = self._reclaim.owner(frame), self._reclaim.gpa(frame)
        assert vm.gstage is not None
        vm.gstage.change(gpa, clear=PTE_A)

    def time(self, frame: int, /) -> int:
        """Return in how many intervals the frame's VM has run."""
        return self._reclaim.owner(frame).backing.intervals


class Reclaim:
    """The policy, the swap area, and who owns which frame."""

    def __init__(self, hypervisor: Hypervisor, pages: int, policy: str) -> None:
        """Have a swap area of so many pages."""
        self._hypervisor = hypervisor
        self.area = SwapArea(pages)
        self.policy: Replacement = REPLACEMENTS[policy]()
        if pages:
            for hart in hypervisor.host.harts:
                hart.menvcfg |= ENVCFG_ADUE

    def use(self, policy: str) -> None:
        """Go on by another policy, which learns of the frames in the order of the old one."""
        if policy != self.policy.name:
            old, self.policy = self.policy, REPLACEMENTS[policy]()
            for frame in old.frames:
                self.policy.on_map(frame, Candidates(self))

    # Frames

    def owner(self, frame: int) -> Vm:
        """Return whose RAM a frame is."""
        index = (self._hypervisor.partition.codes[frame] - 2) // 2
        return next(vm for vm in self._hypervisor.vms.values() if vm.index == index)

    def gpa(self, frame: int) -> int:
        """Return where its VM sees a frame."""
        gpa = self._hypervisor.partition.gpa(frame)
        assert gpa is not None
        return gpa

    def entry(self, frame: int) -> int:
        """Return the G-stage entry that leads to a frame."""
        gstage = self.owner(frame).gstage
        return gstage.lookup(self.gpa(frame)) if gstage else 0

    def candidates(self) -> Candidates:
        """Return what a policy is shown when no VM wants a frame."""
        return Candidates(self)

    def came(self, frame: int) -> None:
        """Take note of a frame that can be taken from now on."""
        if self.area.size:
            self.policy.on_map(frame, Candidates(self))

    def went(self, frame: int) -> None:
        """Forget a frame."""
        self.policy.on_unmap(frame)

    # Eviction

    def evict(self, wanting: Vm, only: Vm | None) -> int | None:
        """Make a frame free for a VM; return how long the disk takes, None if no frame may go."""
        if not self._make_slot():
            return None
        frame = self.policy.victim(Candidates(self, wanting, only))
        if frame is None:
            return None
        vm, page = self.owner(frame), (self.gpa(frame) - RAM_BASE) // PAGE_BYTES
        written = self._swap_out(vm, page, frame)
        self._hypervisor.pager.drop(vm, [page])
        return self._hypervisor.pager.settings.swap_latency if written else 0

    def _swap_out(self, vm: Vm, page: int, frame: int) -> bool:
        """Let a slot hold a page's content; return whether it had to be written."""
        backing = vm.backing
        slot = backing.copies.pop(page, None)
        clean = slot is not None and not self.entry(frame) & PTE_D
        if slot is None or not clean:
            if slot is not None:
                self.area.release(slot)
            slot = self.area.store(self._hypervisor.host.read_frame(frame))
            backing.swapped_out += 1
        backing.swapped[page] = slot
        return not clean

    def _make_slot(self) -> bool:
        """Return whether a slot is free; copies of pages that have frames are given up for it."""
        if self.area.free:
            return True
        for vm in self._hypervisor.vms.values():
            for page in vm.backing.copies:
                self.forget_copy(vm, page)
                return True
        return False

    def content(self, slot: int) -> bytes:
        """Return what a slot holds."""
        return self.area.slots[slot]

    def forget_copy(self, vm: Vm, page: int) -> None:
        """Give up the slot of a page that has a frame, if it has one."""
        slot = vm.backing.copies.pop(page, None)
        if slot is not None:
            self.area.release(slot)

    def forget(self, vm: Vm, page: int) -> None:
        """Give up whatever the swap area holds of a page."""
        self.forget_copy(vm, page)
        slot = vm.backing.swapped.pop(page, None)
        if slot is not None:
            self.area.release(slot)

    def forget_all(self, vm: Vm) -> None:
        """Give up whatever the swap area holds of a VM."""
        for page in [*vm.backing.copies, *vm.backing.swapped]:
            self.forget(vm, page)

    # Aging

    def age(self) -> int:
        """Tell the policy what was used since the last time; return the cycles that looking took."""
        accessed: set[int] = set()
        looked = 0
        for vm in self._hypervisor.vms.values():
            if vm.gstage is None:
                continue
            ran = sum(vcpu.run_cycles for vcpu in vm.vcpus)
            vm.backing.intervals += ran != vm.backing.ran
            vm.backing.ran = ran
            used = vm.gstage.sweep_accessed()
            frames = {vm.frames[(gpa - RAM_BASE) // PAGE_BYTES] for gpa in used} - {ABSENT}
            vm.backing.used = len(frames)
            accessed |= frames
            looked += vm.backing.resident
        self._hypervisor.host.flush_all()
        self.policy.on_age(accessed, Candidates(self))
        return CYCLES_PER_ENTRY * looked

    def state(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        return [self.area.state(), self.policy.state()]
