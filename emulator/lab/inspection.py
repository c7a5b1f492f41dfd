"""Looking closely.

Registers, memory, one page walk, one frame, a program's listing. Nothing here changes anything.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import VS_INTERRUPTS
from emulator.hypervisor import partition
from emulator.hypervisor.faults import fetch_instruction, walk_guest
from emulator.hypervisor.gstage import PTE_R, PTE_W, PTE_X, frame_address
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import HOLDS_MEMORY, Vm
from emulator.isa.causes import describe
from emulator.isa.disassembler import disassemble, instruction_length
from emulator.isa.registers import REGISTERS
from emulator.lab.errors import LabError
from emulator.lab.observation import (
    AccessKind,
    AddressSpace,
    DigestView,
    FrameView,
    ListingLine,
    ListingView,
    MemoryPage,
    MemoryView,
    RegistersView,
    RegisterView,
    WalkView,
)
from emulator.lab.observing import address
from emulator.lab.walks import ACCESSES, walk_view
from emulator.machine.elf import Executable
from emulator.state import ACCESS_LOAD, NO_ADDRESS, PAGE_BYTES, PRIV_S, RAM_BASE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

MAX_MEMORY_BYTES = 64 << 10
MAX_LISTING_INSTRUCTIONS = 4096
PREVIEW_BYTES = 64
ADDRESS_MASK = (1 << 64) - 1


class SeenRegisters:
    """The registers as they were shown at another position, so that a change can be marked.

    No part of the state.
    """

    def __init__(self) -> None:
        """Nothing has been shown."""
        self._shown: dict[tuple[str, int], tuple[int, dict[str, int], dict[str, int]]] = {}

    def before(self, vm: str, vcpu: int, position: int, values: dict[str, int]) -> dict[str, int]:
        """Return what was shown last at another position, and remember `values`."""
        key = (vm, vcpu)
        last = self._shown.get(key)
        if last is None:
            before = values
        elif last[0] == position:
            before = last[2]
        else:
            before = last[1]
        self._shown[key] = (position, values, before)
        return before


def live_vcpu(lab: Lab, vm_name: str, index: int) -> Vcpu:
    """Return a vCPU of a VM that has memory. Raises LabError."""
    vm = lab.vm(vm_name)
    if vm.lifecycle not in HOLDS_MEMORY:
        raise LabError(f"{vm.name} is {vm.state.value}: it has no registers and memory; start it first", "vm")
    if not 0 <= index < len(vm.vcpus):
        raise LabError(f"{vm.name} has {len(vm.vcpus)} vCPU(s), numbered from 0; there is no {index}", "vcpu")
    return vm.vcpus[index]


def registers(lab: Lab, vm_name: str, index: int) -> RegistersView:
    """Return a vCPU's registers, with marks on those that changed since they were last shown elsewhere."""
    vcpu = live_vcpu(lab, vm_name, index)
    record = lab.hypervisor.registers(vcpu)
    before = lab.registers_seen.before(vm_name, index, lab.position, _values(record))
    word = fetch_instruction(lab.hypervisor.host, record, record.pc)
    executable = vcpu.vm.settings.executable
    return registers_view(vm_name, index, lab.position, record, executable, word, before)


def registers_view(
    vm: str,
    index: int,
    position: int,
    record: Any,
    executable: Executable,
    word: int | None,
    before: dict[str, int] | None,
) -> RegistersView:
    """Return the registers in a HART record as data; `word` is the instruction at its pc."""
    values = _values(record)
    changed = {name for name, value in values.items() if before is not None and before.get(name) != value}
    return {
        "vm": vm,
        "vcpu": index,
        "position": position,
        "mode": "VS" if record.priv == PRIV_S else "VU",
        "pc": address(record.pc),
        "instruction": "" if word is None else disassemble(word, record.pc, executable.symbols),
        "line": executable.lines.get(record.pc),
        "general": [
            _register(name, f"x{number}", values[name], name in changed, "")
            for number, name in enumerate(REGISTERS)
        ],
        "control": [_register(n, None, values[n], n in changed, _meaning(n, values[n])) for n in _GUEST_CSRS],
        "hypervisor": [
            _register(n, None, values[n], n in changed, _meaning(n, values[n])) for n in _HYPERVISOR_CSRS
        ],
    }


# The guest's name of a register, and the field behind it.
_GUEST_CSRS = {
    "sstatus": "vsstatus",
    "sie": "mie",
    "sip": "hvip",
    "stvec": "vstvec",
    "sscratch": "vsscratch",
    "sepc": "vsepc",
    "scause": "vscause",
    "stval": "vstval",
    "satp": "vsatp",
}
_HYPERVISOR_CSRS = (
    "hgatp",
    "hstatus",
    "hedeleg",
    "hideleg",
    "hvip",
    "hcounteren",
    "htimedelta",
    "htval",
    "htinst",
)


def _values(record: Any) -> dict[str, int]:
    values: dict[str, int] = {name: record.x[number] for number, name in enumerate(REGISTERS)}
    for name, field in _GUEST_CSRS.items():
        value = getattr(record, field)
        values[name] = (value & VS_INTERRUPTS) >> 1 if name in ("sie", "sip") else value
    for name in _HYPERVISOR_CSRS:
        values[name] = getattr(record, name)
    return values


def _register(name: str, alias: str | None, value: int, changed: bool, meaning: str) -> RegisterView:
    return {"name": name, "alias": alias, "value": address(value), "changed": changed, "meaning": meaning}


def _meaning(name: str, value: int) -> str:
    if name == "satp":
        return _translation(value, "ASID", 16, "GPA")
    if name == "hgatp":
        return _translation(value, "VMID", 14, "HPA")
    if name == "scause" and value:
        return describe(value).name
    if name in ("sie", "sip"):
        bits = (("software", 1 << 1), ("timer", 1 << 5), ("external", 1 << 9))
        return ", ".join(text for text, bit in bits if value & bit)
    if name == "stvec":
        return "vectored" if value & 1 else ""
    if name == "sstatus":
        return "interrupts on" if value & 2 else "interrupts off"
    return ""


def _translation(value: int, kind: str, bits: int, space: str) -> str:
    mode = value >> 60
    if mode == 0:
        return "Bare: no translation at this stage"
    names = {8: "Sv39", 9: "Sv48", 10: "Sv57"}
    name = names.get(mode, f"mode {mode}") + ("x4" if kind == "VMID" else "")
    number = value >> 44 & ((1 << bits) - 1)
    return f"{name}, {kind} {number}, root table at {space} {(value & (1 << 44) - 1) << 12:#x}"


def memory(lab: Lab, vm: str | None, vcpu: int, start: int, space: AddressSpace, length: int) -> MemoryView:
    """Return memory page by page; a page that is not mapped says why."""
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
        return at, vcpu.vm.hpa(at), ""
    found = walk_guest(lab.hypervisor.host, lab.hypervisor.registers(vcpu), at, ACCESS_LOAD)
    gpa = None if found.gpa == NO_ADDRESS else found.gpa
    if found.cause != NO_ADDRESS:
        return gpa, None, describe(found.cause).name
    return gpa, found.hpa, ""


def walk(lab: Lab, vm: str, index: int, gva: int, access: AccessKind) -> WalkView:
    """Return the walk that the MMU would make now for an access of a vCPU."""
    vcpu = live_vcpu(lab, vm, index)
    if not 0 <= gva <= ADDRESS_MASK:
        raise LabError(f"address {gva} is not a 64-bit address", "gva")
    if access not in ACCESSES:
        raise LabError(f"access is {access!r}; must be fetch, load or store", "access")
    record = lab.hypervisor.registers(vcpu)
    found = walk_guest(lab.hypervisor.host, record, gva, ACCESSES[access])
    view = walk_view(lab.hypervisor.partition.gpa, vm, index, record.vsatp, gva, access, found)
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
    index, table = divmod(code - 2, 2)
    name = next(vm.name for vm in lab.hypervisor.vms.values() if vm.index == index)
    return "vm", name, "G-stage table" if table else "guest RAM"


def frame(lab: Lab, hfn: int) -> FrameView:
    """Return one frame: its owner, its place in the owner's world, and its content."""
    host = lab.hypervisor.host
    if not 0 <= hfn < host.frames:
        raise LabError(f"there is no frame {hfn}; the host has frames 0 to {host.frames - 1}", "hfn")
    owner, name, role = owner_of(lab, hfn)
    gpa = lab.hypervisor.partition.gpa(hfn)
    content = host.read_frame(hfn)
    return {
        "hfn": hfn,
        "hpa": address(frame_address(hfn)),
        "owner": owner,  # pyright: ignore[reportReturnType]
        "vm": name,
        "role": role,  # pyright: ignore[reportReturnType]
        "gpa": None if gpa is None else address(gpa),
        "permissions": _permissions(lab.vm(name), gpa) if name and gpa is not None else "---",
        "zero": host.frame_is_zero(hfn),
        "digest": hashlib.blake2b(content, digest_size=16).hexdigest(),
        "preview": content[:PREVIEW_BYTES].hex(),
    }


def _permissions(vm: Vm, gpa: int) -> str:
    entry = vm.gstage.lookup(gpa) if vm.gstage else 0
    return "".join(
        letter if entry & bit else "-" for letter, bit in (("R", PTE_R), ("W", PTE_W), ("X", PTE_X))
    )


def digest(lab: Lab, name: str) -> DigestView:
    """Return the digest over a VM's RAM frames, in order of GPA."""
    vm = lab.vm(name)
    now = lab.hypervisor.host.digest_frames(vm.frames) if vm.frames else ""
    return {
        "vm": vm.name,
        "frames": len(vm.frames),
        "digest": now,
        "at_start": vm.start_digest,
        "unchanged": bool(vm.frames) and now == vm.start_digest,
    }


def listing(lab: Lab, name: str) -> ListingView:
    """Return the source of a VM's program beside its code, or the disassembly of an ELF file."""
    vm, program = lab.vm(name), lab.program(name)
    executable = program.executable
    if program.source is not None:
        lines = _source_lines(executable)
    else:
        lines = _disassembly(executable)
    by_address = {line["address"]: line["number"] for line in lines if line["address"] is not None}
    pcs = [
        by_address.get(address(lab.hypervisor.registers(vcpu).pc)) if vm.lifecycle in HOLDS_MEMORY else None
        for vcpu in vm.vcpus
    ]
    return {
        "vm": name,
        "program": program.name,
        "kind": "source" if program.source is not None else "disassembly",
        "entry": address(executable.entry),
        "lines": lines,
        "pcs": pcs if vm.lifecycle in HOLDS_MEMORY else [],
    }


def _source_lines(executable: Executable) -> list[ListingLine]:
    """Pair each source line with the bytes from its first address to the next line's."""
    starts = sorted(executable.lines)
    first: dict[int, int] = {}
    code: dict[int, bytes] = {}
    for at, end in zip(starts, [*starts[1:], None], strict=True):
        number = executable.lines[at]
        first.setdefault(number, at)
        code[number] = code.get(number, b"") + _bytes_between(executable, at, end)
    names = {value: name for name, value in sorted(executable.symbols.items(), reverse=True)}
    return [
        {
            "number": number,
            "text": text,
            "address": address(first[number]) if number in first else None,
            "code": code.get(number, b"")[:32].hex(),
            "symbol": names.get(first[number]) if number in first else None,
        }
        for number, text in enumerate(executable.source.split("\n"), 1)
    ]


def _bytes_between(executable: Executable, start: int, end: int | None) -> bytes:
    for segment in executable.segments:
        if segment.address <= start < segment.address + segment.size:
            stop = segment.address + len(segment.data) if end is None else end
            return segment.data[start - segment.address : max(0, stop - segment.address)]
    return b""


def _disassembly(executable: Executable) -> list[ListingLine]:
    lines: list[ListingLine] = []
    for segment in executable.segments:
        at = 0
        while segment.flags & 1 and at + 2 <= len(segment.data) and len(lines) < MAX_LISTING_INSTRUCTIONS:
            half = int.from_bytes(segment.data[at : at + 2], "little")
            length = instruction_length(half)
            code = segment.data[at : at + length]
            text = disassemble(int.from_bytes(code, "little"), segment.address + at)
            lines.append(
                {
                    "number": len(lines) + 1,
                    "text": text,
                    "address": address(segment.address + at),
                    "code": code.hex(),
                    "symbol": None,
                }
            )
            at += length
    return lines
