"""Where is this byte? One address of a vCPU in all three spaces, with the walks from one to the next.

An address may be given as people name it: a number, a register of the vCPU (`sp`), a symbol of its program,
or either with a number added (`buffer+16`). Nothing here changes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.hypervisor.faults import walk_guest
from emulator.hypervisor.shadow import as_guest, as_nested
from emulator.hypervisor.vcpu import Vcpu
from emulator.isa.registers import REGISTER_NUMBERS
from emulator.lab.byte_views import TableEntry, TableView, WhereView
from emulator.lab.errors import LabError
from emulator.lab.inspection import owner_of
from emulator.lab.naming import SUM_OF, alike
from emulator.lab.observation import AccessKind, AddressSpace, WalkView
from emulator.lab.observing import address
from emulator.lab.page_entries import R, V, X, flags
from emulator.lab.registers import live_vcpu
from emulator.lab.tlb_observed import tlb_entry
from emulator.lab.values import nearest
from emulator.lab.walks import ACCESSES, walk_view
from emulator.state import HART, NO_ADDRESS, PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

LONGEST = 120  # characters of an address
OTHER_REGISTERS = {"pc": "pc", "sepc": "vsepc", "stvec": "vstvec", "stval": "vstval", "sscratch": "vsscratch"}


def where(
    lab: Lab, vm: str | None, vcpu: int, space: AddressSpace, asked: str, access: AccessKind = "load"
) -> WhereView:
    """Return one byte in all spaces; `asked` is a number, a register or a symbol. Raises LabError."""
    if access not in ACCESSES:
        raise LabError(f"access is {access!r}; must be fetch, load or store", "access")
    if space == "hpa" and vm is None:
        return _of_host(lab, None, None, address_of(None, None, asked), asked, access)
    live = live_vcpu(lab, vm or "", vcpu)
    record = lab.hypervisor.registers(live)
    guest = as_guest(live, record)
    at = address_of(live, guest, asked)
    if space == "hpa":
        return _of_host(lab, live.vm.name, vcpu, at, asked, access)
    walk = walk_now(lab, live, as_nested(live, record), at, access, bare=space == "gpa")
    shadow = shadow_walk(lab, live, record, at, access) if space == "gva" else None
    return {
        **_of_host(lab, live.vm.name, vcpu, at, asked, access),
        "space": space,
        "name": live.vm.settings.executable.symbols_under(guest.vsatp if space == "gva" else 0).name_of(at),
        "gva": address(at) if space == "gva" else None,
        "gpa": address(at) if space == "gpa" else walk["gpa"],
        "hpa": walk["hpa"],
        "hfn": walk["hfn"],
        "owner": walk["owner"],
        "device": _device(live, walk["gpa"]),
        "walk": walk,
        "shadow": shadow,
        "tlb": tlb_entry(lab, live, at, access) if space == "gva" else None,
        "explanation": walk["explanation"],
    }


def address_named(lab: Lab, vm: str, vcpu: int, asked: str) -> int:
    """Return the address that a number, a register or a symbol of a vCPU is. Raises LabError."""
    live = live_vcpu(lab, vm, vcpu)
    return address_of(live, as_guest(live, lab.hypervisor.registers(live)), asked)


def _of_host(
    lab: Lab, vm: str | None, vcpu: int | None, at: int, asked: str, access: AccessKind
) -> WhereView:
    """Return a byte of which only the HPA is known."""
    end = RAM_BASE + lab.hypervisor.host.memory_bytes
    inside = RAM_BASE <= at < end
    hfn = (at - RAM_BASE) // PAGE_BYTES if inside else None
    gpa = None if hfn is None else lab.hypervisor.partition.gpa(hfn)
    owner, name, role = ("none", None, "") if hfn is None else owner_of(lab, hfn)
    said = "" if hfn is None else f"HPA {at:#x} lies in frame {hfn:#x}: {owner}."
    if hfn is not None and name:
        said = f"HPA {at:#x} lies in frame {hfn:#x}: {name}, {role}."
    return {
        "vm": vm,
        "vcpu": vcpu,
        "space": "hpa",
        "asked": asked,
        "address": address(at),
        "name": "",
        "access": access,
        "gva": None,
        "gpa": None if gpa is None else address(gpa + at % PAGE_BYTES),
        "hpa": address(at) if inside else None,
        "hfn": hfn,
        "owner": name or owner,
        "device": "",
        "walk": None,
        "shadow": None,
        "tlb": None,
        "explanation": said
        or f"There is no memory at HPA {at:#x}: host RAM is {RAM_BASE:#x} to {end - 1:#x}.",
    }


def walk_now(lab: Lab, vcpu: Vcpu, record: Any, at: int, access: AccessKind, bare: bool = False) -> WalkView:
    """Return the walk of both tables with a vCPU's registers; `bare`: of the second, for a GPA."""
    if bare:
        record = HART.struct.from_buffer_copy(record)
        record.vsatp = 0
    found = walk_guest(lab.hypervisor.host, record, at, ACCESSES[access])
    gpa_of = lab.hypervisor.partition.gpa
    view = walk_view(gpa_of, vcpu.vm.name, vcpu.index, record.vsatp, at, access, found)
    return _owned(lab, view)


def shadow_walk(lab: Lab, vcpu: Vcpu, record: Any, at: int, access: AccessKind) -> WalkView | None:
    """Return the walk that the MMU itself makes with shadow paging; None with nested paging."""
    if vcpu.vm.shadow is None:
        return None
    found = walk_guest(lab.hypervisor.host, record, at, ACCESSES[access])
    gpa_of = lab.hypervisor.partition.gpa
    view = walk_view(gpa_of, vcpu.vm.name, vcpu.index, record.vsatp, at, access, found, shadow=True)
    return _owned(lab, view)


def _owned(lab: Lab, view: WalkView) -> WalkView:
    hfn = view["hfn"]
    if hfn is not None and 0 <= hfn < lab.hypervisor.host.frames:
        owner, name, _ = owner_of(lab, hfn)
        view["owner"] = name or owner
    return view


def _device(vcpu: Vcpu, gpa: str | None) -> str:
    """Return what answers at a GPA where the VM has no memory."""
    board = vcpu.vm.board
    if gpa is None or board is None or vcpu.vm.contains(int(gpa, 16)):
        return ""
    base = board.bus.base_of(int(gpa, 16))
    if base is None:
        return ""
    device = type(board.bus.devices[base]).__name__
    return f"{device} at GPA {base:#x}"


# Addresses as people write them


def address_of(vcpu: Vcpu | None, record: Any, asked: str) -> int:
    """Return the address that a text names. Raises LabError."""
    text = asked.strip()
    if not text or len(text) > LONGEST or not text.isascii():
        raise LabError("say an address: a number like 0x80000000, a register like sp, or a symbol", "address")
    try:
        value = int(text, 0)
    except ValueError:
        value = _named(vcpu, record, text)
    if not 0 <= value <= NO_ADDRESS:
        raise LabError(f"{text} is not a 64-bit address", "address")
    return value


def _named(vcpu: Vcpu | None, record: Any, text: str) -> int:
    matched = SUM_OF.fullmatch(text)
    if matched is None or vcpu is None:
        raise LabError(
            f"{text!r} is no address; write a number like 0x80000000"
            if vcpu is None
            else f"{text!r} is no address; write a number like 0x80000000, a register like sp, or a symbol"
            " of the program",
            "address",
        )
    name, sign, more = matched.groups()
    offset = int(more, 16 if more.startswith("0x") else 10) if more else 0
    return _value_of(vcpu, record, name) + (-offset if sign == "-" else offset) & NO_ADDRESS


def _value_of(vcpu: Vcpu, record: Any, name: str) -> int:
    symbols = vcpu.vm.settings.executable.symbols_under(record.vsatp)
    if name in symbols:
        return symbols[name]
    if name in REGISTER_NUMBERS:
        return record.x[REGISTER_NUMBERS[name]]
    if name in OTHER_REGISTERS:
        return getattr(record, OTHER_REGISTERS[name])
    known = [*alike(symbols, name), *REGISTER_NUMBERS, *OTHER_REGISTERS]
    hint = nearest(name, known) or ""
    raise LabError(f"{vcpu.vm.name} has no register or symbol {name!r}{hint}", "address")


# A page of a table


def table(lab: Lab, hfn: int) -> TableView:
    """Return a frame read as 512 page-table entries, whatever it is. Raises LabError."""
    host = lab.hypervisor.host
    if not 0 <= hfn < host.frames:
        raise LabError(f"there is no frame {hfn}; the host has frames 0 to {host.frames - 1}", "hfn")
    content = memoryview(host.read_frame(hfn)).cast("Q")
    owner, name, role = owner_of(lab, hfn)
    return {
        "hfn": hfn,
        "hpa": address(RAM_BASE + hfn * PAGE_BYTES),
        "owner": f"VM {name}, {role}" if name else owner,
        "entries": [_entry(index, pte) for index, pte in enumerate(content) if pte],
    }


def _entry(index: int, pte: int) -> TableEntry:
    return {
        "index": index,
        "pte": address(pte),
        "kind": "not valid" if not pte & V else "leaf" if pte & (R | X) else "table",
        "flags": flags(pte),
        "target": address((pte >> 10 & (1 << 44) - 1) << 12),
    }
