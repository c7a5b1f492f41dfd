"""Looking closely at memory, one page walk, one frame. Nothing here changes anything."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from emulator.hypervisor import partition
from emulator.hypervisor.faults import walk_guest
from emulator.hypervisor.gstage import PTE_R, PTE_W, PTE_X, frame_address
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.shadow import as_nested
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import Vm
from emulator.isa.causes import describe
from emulator.lab.errors import LabError
from emulator.lab.mappers import mappers
from emulator.lab.observation import (
    AccessKind,
    AddressSpace,
    DigestView,
    FrameView,
    MemoryPage,
    MemoryView,
    SharerView,
    WalkView,
)
from emulator.lab.observing import address
from emulator.lab.registers import live_vcpu
from emulator.lab.walks import ACCESSES, walk_view
from emulator.state import ACCESS_LOAD, NO_ADDRESS, PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

MAX_MEMORY_BYTES = 64 << 10
PREVIEW_BYTES = 64
ADDRESS_MASK = (1 << 64) - 1


def memory(lab: Lab, vm: str | None, vcpu: int, start: int, space: AddressSpace, length: int) -> MemoryView:
    """Return memory by GVA or GPA of a VM, or by HPA, page by page; a page that is not mapped says why.

    Raises LabError.
    """
    if not 0 <= length <= MAX_MEMORY_BYTES:
        raise LabError(f"length is {length}; must be from 0 to {MAX_MEMORY_BYTES}", "length")
    if not 0 <= start <= ADDRESS_MASK:
        raise LabError(f"address {start} is not a 64-bit address", "address")
    reader = None if space == "hpa" else live_vcpu(lab, vm or "", vcpu)
    pages: list[MemoryPage] = []
    at, end = start, min(start + length, ADDRESS_MASK + 1)
    while at < end:
        part = min(end - at, PAGE_BYTES - at % PAGE_BYTES)
        pages.append(_page(lab, reader, at, space, part))
        at += part
    return {
        "vm": None if reader is None else reader.vm.name,
        "vcpu": None if reader is None else reader.index,
        "space": space,
        "address": address(start),
        "length": length,
        "pages": pages,
    }


def _page(lab: Lab, vcpu: Vcpu | None, at: int, space: AddressSpace, length: int) -> MemoryPage:
    gpa, hpa, reason = _locate(lab, vcpu, at, space)
    hfn = None if hpa is None else (hpa - RAM_BASE) // PAGE_BYTES
    return {
        "address": address(at),
        "gpa": None if gpa is None else address(gpa),
        "hpa": None if hpa is None else address(hpa),
        "hfn": hfn,
        "owner": "none" if hfn is None else owner_of(lab, hfn)[1] or owner_of(lab, hfn)[0],
        "data": None if hpa is None else lab.hypervisor.host.read(hpa, length).hex(),
        "reason": reason,
    }


def _locate(lab: Lab, vcpu: Vcpu | None, at: int, space: AddressSpace) -> tuple[int | None, int | None, str]:
    """Return GPA, HPA, and why there is no HPA."""
    if vcpu is None:
        end = RAM_BASE + lab.hypervisor.host.memory_bytes
        if not RAM_BASE <= at < end:
            return None, None, f"host RAM is {RAM_BASE:#x} to {end - 1:#x}"
        return lab.hypervisor.partition.gpa((at - RAM_BASE) // PAGE_BYTES), at, ""
    if space == "gpa":
        if not vcpu.vm.contains(at):
            last = RAM_BASE + vcpu.vm.settings.memory - 1
            return at, None, f"outside the memory of {vcpu.vm.name}, which is {RAM_BASE:#x} to {last:#x}"
        if vcpu.vm.frames[(at - RAM_BASE) // PAGE_BYTES] == ABSENT:
            return at, None, "not resident: no frame stands behind this page"
        return at, vcpu.vm.hpa(at), ""
    found = walk_guest(lab.hypervisor.host, as_nested(vcpu, lab.hypervisor.registers(vcpu)), at, ACCESS_LOAD)
    gpa = None if found.gpa == NO_ADDRESS else found.gpa
    if found.cause != NO_ADDRESS:
        return gpa, None, describe(found.cause).name
    return gpa, found.hpa, ""


def walk(lab: Lab, vm: str, vcpu: int, gva: int, access: AccessKind = "load") -> WalkView:
    """Return the two-stage walk that the MMU would make now for an access of a vCPU. Raises LabError."""
    live = live_vcpu(lab, vm, vcpu)
    if not 0 <= gva <= ADDRESS_MASK:
        raise LabError(f"address {gva} is not a 64-bit address", "gva")
    if access not in ACCESSES:
        raise LabError(f"access is {access!r}; must be fetch, load or store", "access")
    record = as_nested(live, lab.hypervisor.registers(live))
    found = walk_guest(lab.hypervisor.host, record, gva, ACCESSES[access])
    view = walk_view(lab.hypervisor.partition.gpa, vm, vcpu, record.vsatp, gva, access, found)
    if view["hfn"] is not None:
        owner, name, _ = owner_of(lab, view["hfn"])
        view["owner"] = name or owner
    return view


def owner_of(lab: Lab, hfn: int) -> tuple[str, str | None, str]:
    """Return owner ("free", "hypervisor" or "vm"), VM name and role of a frame."""
    code = lab.hypervisor.partition.codes[hfn]
    if code == partition.FREE:
        return "free", None, "free"
    if code == partition.HYPERVISOR:
        return "hypervisor", None, "hypervisor"
    if code == partition.SHARED:
        return "shared", None, "shared page"
    index, table = divmod(code - 2, 2)
    name = next(vm.name for vm in lab.hypervisor.vms.values() if vm.index == index)
    return "vm", name, "G-stage table" if table else "guest RAM"


def frame(lab: Lab, hfn: int) -> FrameView:
    """Return one frame: its owner, its place in the owner's world, its content. Raises LabError."""
    host = lab.hypervisor.host
    if not 0 <= hfn < host.frames:
        raise LabError(f"there is no frame {hfn}; the host has frames 0 to {host.frames - 1}", "hfn")
    owner, name, role = owner_of(lab, hfn)
    gpa = lab.hypervisor.partition.gpa(hfn)
    content = host.read_frame(hfn)
    nobody = "R-X" if owner == "shared" else "---"
    found, cut = mappers(lab, hfn)
    return {
        "hfn": hfn,
        "hpa": address(frame_address(hfn)),
        "owner": owner,  # pyright: ignore[reportReturnType]
        "vm": name,
        "role": role,  # pyright: ignore[reportReturnType]
        "gpa": None if gpa is None else address(gpa),
        "permissions": _permissions(lab.vm(name), gpa) if name and gpa is not None else nobody,
        "sharers": _sharers(lab, hfn),
        "mappers": found,
        "cut": cut,
        "zero": host.frame_is_zero(hfn),
        "digest": hashlib.blake2b(content, digest_size=16).hexdigest(),
        "preview": content[:PREVIEW_BYTES].hex(),
    }


def _sharers(lab: Lab, hfn: int) -> list[SharerView]:
    places = lab.hypervisor.pager.ksm.state.sharers.get(hfn, [])
    names = {vm.serial: vm.name for vm in lab.hypervisor.vms.values()}
    return [{"vm": names[vm], "gpa": address(RAM_BASE + page * PAGE_BYTES)} for vm, page in places]


def _permissions(vm: Vm, gpa: int) -> str:
    entry = vm.gstage.lookup(gpa) if vm.gstage else 0
    return "".join(
        letter if entry & bit else "-" for letter, bit in (("R", PTE_R), ("W", PTE_W), ("X", PTE_X))
    )


def digest(lab: Lab, vm: str) -> DigestView:
    """Return the digest over a VM's RAM frames in order of GPA, now and at its start. Raises LabError."""
    found = lab.vm(vm)
    now = lab.hypervisor.pager.digest(found) if found.frames else ""
    return {
        "vm": vm,
        "frames": len(found.frames),
        "digest": now,
        "at_start": found.start_digest,
        "unchanged": bool(found.frames) and now == found.start_digest,
    }
