"""Layers of the maps of memory: a byte for each host frame, or each page of a VM, that says one thing of it.

What a layer says is measured: entries of the G-stage tables as they stand (A, D and permissions are those
that the MMU has set or checked), slots of the backing store, and the hypervisor's own books. Nothing is
changed by looking. *age* and *heat* compare looks (`sampling.py`), so they know nothing from before somebody
looked.

All of it is worked out for the whole map at once, on bytes and on long numbers made of them: a frame costs a
few nanoseconds.
"""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from emulator.hypervisor.gstage import PTE_R, PTE_V, PTE_W, PTE_X
from emulator.hypervisor.memory.daemon import balloon_of
from emulator.hypervisor.vm import Vm
from emulator.lab.planes import chosen, is_used, masked
from emulator.lab.sampling import FIRST, Samples, dirty, frame_flags, is_aging
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

# Codes that every layer has. In the map of a VM nothing is free: 0 is a page without a frame.
FREE, OTHER, UNKNOWN = 0, 1, 2
GUEST = 255
# What the codes from FIRST on mean.
KEYS: dict[str, tuple[str, ...]] = {
    "backing": ("resident", "shared", "swapped", "ballooned"),
    "sharing": ("own", "merged", "copy-on-write"),
    "dirty": ("never-written", "clean", "dirty"),
    "balloon": ("in-use", "ballooned"),
    "swap": ("no-copy", "has-copy", "swapped"),
    "age": ("not-seen", "earlier", "recent", "newest"),
    "permissions": ("rwx", "rw", "rx", "r", "none"),
    "heat": ("cold", "warm", "hot", "hottest"),
}
SAMPLED = ("age", "heat")
# Why a layer is not measured, or only in part.
NO_AGING, SHADOW, OF_PAGES, OFF, ONE_LOOK = "no-aging", "shadow", "choose-vm", "off", "one-look"
WRITES_ONLY = "writes-only"


class Layer(NamedTuple):
    """One byte per frame or page, and in `note` what a reader has to know: "" or one of the reasons above."""

    codes: bytes
    note: str


def host_layer(hypervisor: Hypervisor, name: str, samples: Samples) -> Layer:
    """Return a layer of the host's frames; `samples` has just looked, if it is one of SAMPLED."""
    frames = hypervisor.host.frames
    note = _note(hypervisor, list(hypervisor.vms.values()), name, samples)
    if name == "balloon" or note in (NO_AGING, ONE_LOOK):
        return Layer(_owned(hypervisor, bytes([UNKNOWN]) * frames), note)
    if name == "permissions":
        values = frame_flags(hypervisor).translate(_PERMISSIONS)
    elif name == "dirty":
        values = dirty(frame_flags(hypervisor), is_used(hypervisor.host.slots()))
    else:
        values = _of_frames(hypervisor, name, samples)
    return Layer(_owned(hypervisor, _unknown_where_shadowed(hypervisor, name, values)), note)


def vm_layer(hypervisor: Hypervisor, vm: Vm, name: str, samples: Samples) -> Layer:
    """Return a layer of the pages of a VM, in order of GPA; no page while it is off."""
    if vm.gstage is None:
        return Layer(b"", OFF)
    if name == "backing":
        return Layer(_backing(vm), "")
    if name == "balloon":
        return Layer(_ballooned(vm), "")
    note = _note(hypervisor, [vm], name, samples)
    flags = vm.gstage.leaf_flags(RAM_BASE, len(vm.frames))
    mapped = flags.translate(_MAPPED)
    if note in (NO_AGING, ONE_LOOK) or (note == SHADOW and name in ("dirty", "age")):
        return Layer(masked(bytes([UNKNOWN]) * len(flags), mapped), note)
    if name == "permissions":
        return Layer(masked(flags.translate(_PERMISSIONS), mapped), note)
    values = is_used(hypervisor.host.slots()) if name == "dirty" else _of_frames(hypervisor, name, samples)
    behind = bytes(map((values + b"\0").__getitem__, vm.frames))  # ABSENT is the last of them
    if name == "dirty":
        behind = dirty(flags, behind)
    codes = bytearray(masked(behind, mapped))
    if name == "swap":
        for page in vm.backing.swapped:
            codes[page] = FIRST + 2
    return Layer(bytes(codes), note)


def _of_frames(hypervisor: Hypervisor, name: str, samples: Samples) -> bytes:
    """Return what is known of frames, whoever's they are."""
    if name in SAMPLED:
        return samples.ages() if name == "age" else samples.heat()
    return _sharing(hypervisor) if name == "sharing" else _copies(hypervisor)


def _note(hypervisor: Hypervisor, vms: list[Vm], name: str, samples: Samples) -> str:
    if name == "balloon":
        return OF_PAGES
    if name == "age" and not is_aging(hypervisor):
        return NO_AGING
    if name in ("age", "heat") and len(samples.times) < 2:
        return ONE_LOOK
    if name == "heat" and not is_aging(hypervisor):
        return WRITES_ONLY
    shadowed = any(vm.gstage and vm.settings.paging == "shadow" for vm in vms)
    return SHADOW if shadowed and name in ("dirty", "age", "heat") else ""


def _owned(hypervisor: Hypervisor, values: bytes) -> bytes:
    """Return `values` for frames of guests' RAM, and FREE or OTHER for the rest."""
    kinds = bytes(hypervisor.partition.codes).translate(_KINDS)
    return chosen(kinds.translate(_IS_GUEST), values, kinds)


def _unknown_where_shadowed(hypervisor: Hypervisor, name: str, values: bytes) -> bytes:
    """Return values that are UNKNOWN for VMs whose G-stage tables no hart walks."""
    shadowed = [vm for vm in hypervisor.vms.values() if vm.gstage and vm.settings.paging == "shadow"]
    if not shadowed or name not in ("dirty", "age"):
        return values
    found = bytearray(values + b"\0")
    for vm in shadowed:
        for hfn in vm.frames:
            found[hfn] = UNKNOWN
    return bytes(found[:-1])


def _sharing(hypervisor: Hypervisor) -> bytes:
    """Return which frames several pages share (KSM), and which have their content from a clone's original."""
    found = bytearray([FIRST]) * hypervisor.host.frames
    slots = array("I", hypervisor.host.slots())
    used = set(slots)
    if len(slots) - slots.count(0) > len(used) - (0 in used):
        counts = Counter(slots)
        for hfn, slot in enumerate(slots):
            if slot and counts[slot] > 1:
                found[hfn] = FIRST + 2
    for hfn in hypervisor.pager.ksm.state.sharers:
        found[hfn] = FIRST + 1
    return bytes(found)


def _copies(hypervisor: Hypervisor) -> bytes:
    """Return which frames have a copy in the swap area."""
    found = bytearray([FIRST]) * (hypervisor.host.frames + 1)
    for vm in hypervisor.vms.values():
        for page in vm.backing.copies if vm.gstage else ():
            found[vm.frames[page]] = FIRST + 1
    return bytes(found[:-1])


def _backing(vm: Vm) -> bytes:
    assert vm.gstage is not None
    mapped = vm.gstage.leaf_flags(RAM_BASE, len(vm.frames)).translate(_MAPPED)
    found = bytearray(masked(bytes([FIRST]) * len(mapped), mapped))
    for pages, code in ((vm.backing.shared, 1), (vm.backing.swapped, 2), (_balloon(vm), 3)):
        for page in pages:
            found[page] = FIRST + code
    return bytes(found)


def _ballooned(vm: Vm) -> bytes:
    if balloon_of(vm) is None:
        return bytes([UNKNOWN]) * len(vm.frames)
    found = bytearray([FIRST]) * len(vm.frames)
    for page in _balloon(vm):
        found[page] = FIRST + 1
    return bytes(found)


def _balloon(vm: Vm) -> list[int]:
    """Return the pages of RAM that a guest has given up."""
    balloon = balloon_of(vm)
    first = RAM_BASE // PAGE_BYTES
    return (
        [page - first for page in balloon.state.pages if 0 <= page - first < len(vm.frames)]
        if balloon
        else []
    )


def _permission(flags: int) -> int:
    order = (PTE_R | PTE_W | PTE_X, PTE_R | PTE_W, PTE_R | PTE_X, PTE_R)
    return FIRST + (order.index(flags & order[0]) if flags & order[0] in order else len(order))


_KINDS = bytes([FREE, OTHER, *(GUEST if code % 2 == 0 else OTHER for code in range(2, 255)), GUEST])
_IS_GUEST = bytes(255 if code == GUEST else 0 for code in range(256))
_MAPPED = bytes(255 if flags & PTE_V else 0 for flags in range(256))
_PERMISSIONS = bytes(_permission(flags) for flags in range(256))
