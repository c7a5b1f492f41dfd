"""The memory of a host and its VMs as people and pages are shown it: JSON-ready, counted, cheap.

Pages are of 4 KiB. What a VM may have (`memory_bytes`) is the sum of what is resident, shared, swapped, and
absent: never touched, or given to the balloon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from emulator.hypervisor.gstage import ENTRIES
from emulator.hypervisor.memory.daemon import balloon_of
from emulator.hypervisor.vm import Vm
from emulator.state import PAGE_BYTES

if TYPE_CHECKING:
    from emulator.lab.lab import Lab


class HostMemoryView(TypedDict):
    """How the host gives memory. The names of what is merged are Linux's (KSM)."""

    overcommit: int  # percent; 0 is a static partition
    swap_pages: int
    swap_free: int
    swap_policy: str
    ksm: bool
    pages_shared: int  # frames that are shared
    pages_sharing: int  # pages beyond those: what is saved
    pages_unshared: int
    zero_pages: int
    full_scans: int
    breaks: int  # of sharing, by writes
    balloon_policy: str


class VmMemoryView(TypedDict):
    """What stands behind the memory of one VM, in pages, and what happened to it since its start."""

    vm: str
    pages: int
    resident: int  # with a frame of their own
    shared: int  # with a frame that others have, too
    swapped: int
    huge: int  # of all, those in leaves of 2 MiB
    has_balloon: bool  # whether it can be asked for memory now
    balloon: int  # given up by the guest
    balloon_target: int
    working_set: int  # used in the last interval, where the host looks (`swap_policy` lru or working-set)
    limit: int  # 0 is none
    reservation: int
    given: int  # at a first touch
    swapped_in: int
    swapped_out: int  # written
    out_of_memory: str  # why the VM was paused, or ""


def host_memory(lab: Lab) -> HostMemoryView:
    """Return the counters of the host."""
    pager = lab.hypervisor.pager
    settings, area, ksm = pager.settings, pager.reclaim.area, pager.ksm
    return {
        "overcommit": settings.overcommit,
        "swap_pages": area.size,
        "swap_free": area.free,
        "swap_policy": settings.replacement,
        "ksm": settings.ksm,
        "pages_shared": ksm.pages_shared,
        "pages_sharing": ksm.pages_sharing,
        "pages_unshared": ksm.pages_unshared,
        "zero_pages": ksm.zero_pages,
        "full_scans": ksm.state.full_scans,
        "breaks": ksm.state.breaks,
        "balloon_policy": settings.balloon_policy,
    }


def vm_memory(vm: Vm) -> VmMemoryView:
    """Return the account of a VM."""
    backing, balloon = vm.backing, balloon_of(vm)
    return {
        "vm": vm.name,
        "pages": vm.settings.memory // PAGE_BYTES,
        "resident": backing.resident,
        "shared": len(backing.shared),
        "swapped": len(backing.swapped),
        "huge": vm.gstage.blocks * ENTRIES if vm.gstage else 0,
        "has_balloon": bool(balloon and vm.frames),
        "balloon": len(balloon.state.pages) if balloon and vm.frames else 0,
        "balloon_target": balloon.state.target if balloon and vm.frames else 0,
        "working_set": backing.used,
        "limit": vm.settings.ram.limit // PAGE_BYTES,
        "reservation": vm.settings.ram.reservation // PAGE_BYTES,
        "given": backing.given,
        "swapped_in": backing.swapped_in,
        "swapped_out": backing.swapped_out,
        "out_of_memory": backing.refused,
    }
