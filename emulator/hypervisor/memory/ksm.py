"""Kernel samepage merging: pages with the same content share one frame, until somebody writes.

As Linux's ksmd (Documentation/admin-guide/mm/ksm.rst): a scanner goes round the pages of all VMs at a set
pace. A page whose content is that of a shared frame joins it; one that has not changed since the last round
is looked for among the others that have not. A shared frame is read-only in every G-stage that leads to it; a
write is a guest page fault, and the writer gets a copy. That takes longer than a write to a page of one's
own, which a guest can measure, and so learn what is in its neighbours' memory: the side channel is real.

Left out: frames that stay shared by one page alone, trees (content is found by its digest, then compared
byte by byte), `max_page_sharing`, NUMA.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emulator.hypervisor.gstage import PTE_D, PTE_W
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.partition import SHARED, ram_code
from emulator.hypervisor.vm import ON, Vm
from emulator.machine.host import ZERO_DIGEST
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

CYCLES_PER_PAGE = 400  # to compute a checksum
CYCLES_PER_MERGE = 1500  # to compare, and to change two tables
PAGES_PER_STEP = 20
Place = tuple[int, int]  # serial number of a VM, page


@dataclass
class KsmState:
    """Which frames are shared by whom, and how far the scanner is. Names of counters are Linux's."""

    sharers: dict[int, list[Place]] = field(default_factory=dict[int, list[Place]])  # by frame
    stable: dict[bytes, int] = field(default_factory=dict[bytes, int])  # digest -> shared frame
    seen: dict[Place, bytes] = field(default_factory=dict[Place, bytes])  # digest at the last round
    unstable: dict[bytes, Place] = field(default_factory=dict[bytes, Place])  # of this round
    ahead: list[Place] = field(default_factory=list[Place])  # what is left of this round, last first
    left: int = 0  # pages of this interval
    full_scans: int = 0
    breaks: int = 0
    found: int = 0  # changes and merges in this round
    ran: int = 0  # what guests had run when it began
    settled: bool = False  # a whole round found nothing, and no guest has run since


class Ksm:
    """The scanner, and the frames that it has merged."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        """Begin with nothing merged."""
        self._hypervisor = hypervisor
        self.state = KsmState()

    # Counters

    @property
    def pages_shared(self) -> int:
        """How many frames are shared."""
        return len(self.state.sharers)

    @property
    def pages_sharing(self) -> int:
        """How many pages more than frames there are: what is saved."""
        return sum(len(places) - 1 for places in self.state.sharers.values())

    @property
    def pages_unshared(self) -> int:
        """How many pages were looked at in vain."""
        return len(self.state.seen)

    @property
    def zero_pages(self) -> int:
        """How many pages share the frame of zeros."""
        return len(self.state.sharers.get(self.state.stable.get(ZERO_DIGEST, ABSENT), ()))

    # Scanning

    @property
    def _ran(self) -> int:
        return sum(pcpu.run_cycles for pcpu in self._hypervisor.pcpus)

    @property
    def is_settled(self) -> bool:
        """Whether another round would find nothing."""
        return self.state.settled and self._ran == self.state.ran

    def scan(self) -> tuple[int, bool]:
        """Scan a few pages; return the cycles that took, and whether this interval is done."""
        state, ran = self.state, self._ran
        if self.is_settled:
            return 1, True
        state.left = state.left or self._hypervisor.pager.settings.ksm_pages
        cycles = 0
        for _ in range(min(PAGES_PER_STEP, state.left)):
            state.left -= 1
            if not state.ahead and not self._next_round(ran):
                state.left = 0
                break
            cycles += CYCLES_PER_PAGE + self._look_at(state.ahead.pop())
        return cycles, state.left == 0

    def _next_round(self, ran: int) -> bool:
        """Begin with the first page again; False if there is nothing to be done."""
        state = self.state
        state.settled = not state.found and ran == state.ran and state.full_scans > 0
        state.ran, state.found = ran, 0
        vms = [vm for vm in self._hypervisor.vms.values() if vm.lifecycle in ON]
        places = [(vm.serial, page) for vm in vms for page in range(len(vm.frames))]
        if state.settled or not places:
            return False
        state.full_scans += 1
        state.unstable.clear()
        state.ahead = places[::-1]
        return True

    def _look_at(self, place: Place) -> int:
        """Look at a page; return what it costs beyond that."""
        state = self.state
        vm, page = self._vm(place), place[1]
        if vm is None or not self._is_own(vm, page):
            state.seen.pop(place, None)
            return 0
        digest = self._hypervisor.host.frame_digest(vm.frames[page])
        frame = state.stable.get(digest)
        if frame is not None and self._same(frame, vm.frames[page]):
            return self._join(vm, page, frame)
        if state.seen.get(place) != digest:
            state.seen[place] = digest
            state.found += 1
            return 0
        other = state.unstable.get(digest)
        if other is not None and self._may_merge(other, vm.frames[page]):
            return self._share(other, digest) + self._join(vm, page, state.stable[digest])
        state.unstable[digest] = place
        return 0

    def _vm(self, place: Place) -> Vm | None:
        return next((vm for vm in self._hypervisor.vms.values() if vm.serial == place[0]), None)

    def _is_own(self, vm: Vm, page: int) -> bool:
        """Return whether a page has a frame of its own."""
        return page < len(vm.frames) and vm.frames[page] != ABSENT and page not in vm.backing.shared

    def _may_merge(self, place: Place, frame: int) -> bool:
        vm, page = self._vm(place), place[1]
        return vm is not None and self._is_own(vm, page) and self._same(vm.frames[page], frame)

    def _same(self, one: int, other: int) -> bool:
        host = self._hypervisor.host
        return one != other and host.read_frame(one) == host.read_frame(other)

    # Merging

    def _share(self, place: Place, digest: bytes) -> int:
        """Make the frame of a page a shared one, of that page alone."""
        vm, page = self._vm(place), place[1]
        assert vm is not None
        frame = vm.frames[page]
        self._hypervisor.pager.reclaim.went(frame)
        self._hypervisor.partition.hand_over([frame], SHARED)
        self.state.stable[digest] = frame
        self.state.sharers[frame] = []
        vm.backing.resident -= 1
        self._point(vm, page, frame)
        return CYCLES_PER_MERGE

    def _join(self, vm: Vm, page: int, frame: int) -> int:
        """Let a page share a frame that holds the same; its own goes back to the host."""
        self._hypervisor.pager.drop(vm, [page])
        self._point(vm, page, frame)
        self.state.found += 1
        return CYCLES_PER_MERGE

    def _point(self, vm: Vm, page: int, frame: int) -> None:
        """Let a page lead to a shared frame, for reading only."""
        assert vm.gstage is not None
        vm.frames[page] = frame
        vm.backing.shared.add(page)
        self._hypervisor.pager.reclaim.forget(vm, page)
        vm.gstage.map(RAM_BASE + page * PAGE_BYTES, [frame])
        vm.gstage.change(RAM_BASE + page * PAGE_BYTES, clear=PTE_W | PTE_D)
        self.state.sharers[frame].append((vm.serial, page))
        self.state.seen.pop((vm.serial, page), None)
        self._hypervisor.host.flush_all()

    # Parting

    def leave(self, vm: Vm, page: int) -> None:
        """Take a page from those that share its frame; who is left alone has the frame to itself."""
        frame, state = vm.frames[page], self.state
        vm.backing.shared.discard(page)
        state.sharers[frame].remove((vm.serial, page))
        if len(state.sharers[frame]) > 1:
            return
        (last,) = state.sharers.pop(frame)
        state.stable = {digest: other for digest, other in state.stable.items() if other != frame}
        owner = self._vm(last)
        assert owner is not None
        self._keep(owner, last[1], frame)

    def _keep(self, vm: Vm, page: int, frame: int) -> None:
        """Give a page its frame to itself, and to write to."""
        assert vm.gstage is not None
        vm.backing.shared.discard(page)
        self._hypervisor.partition.hand_over([frame], ram_code(vm.index))
        self._hypervisor.partition.place([frame], RAM_BASE + page * PAGE_BYTES)
        vm.gstage.map(RAM_BASE + page * PAGE_BYTES, [frame])
        vm.backing.resident += 1
        self._hypervisor.pager.reclaim.came(frame)

    def state_parts(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        state = self.state
        return [
            sorted(state.sharers.items()),
            [(digest.hex(), frame) for digest, frame in state.stable.items()],
            [(place, digest.hex()) for place, digest in state.seen.items()],
            [(digest.hex(), place) for digest, place in state.unstable.items()],
            [len(state.ahead), state.left, state.full_scans, state.breaks, state.found, state.ran],
            state.settled,
        ]
