"""Writing a guest's registers and memory from outside, as a debugger does: an action like any other.

    {verb: poke, vm: a, vcpu: 0, register: a0, value: 5}
    {verb: poke, vm: a, vcpu: 0, address: 0x80001000, data: 48656c6c6f}

It stands in the log, so that a history in which somebody has poked is repeated with it. It takes no virtual
time. Written are x1 to x31, pc, f0 to f31 and fcsr, and the guest's CSRs that nothing is derived from; memory
is written through the vCPU's page tables, as an ordinary store that the guest's own tables need not allow,
within what the VM has frames for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import FS
from emulator.hypervisor.faults import walk_guest
from emulator.hypervisor.shadow import as_nested
from emulator.hypervisor.vcpu import Vcpu
from emulator.isa.causes import describe
from emulator.isa.registers import FLOAT_REGISTERS, REGISTERS
from emulator.lab.conditions import number_of
from emulator.lab.errors import LabError
from emulator.lab.registers import live_vcpu
from emulator.state import ACCESS_LOAD, NO_ADDRESS, PAGE_BYTES

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

Result = dict[str, Any]
MAX_BYTES = 4096
PLAIN_CSRS = {
    "sscratch": "vsscratch",
    "scause": "vscause",
    "stval": "vstval",
    "sepc": "vsepc",
    "stvec": "vstvec",
}
KEYS = ("vm", "vcpu", "register", "value", "address", "data")


def _poke(lab: Lab, arguments: Result) -> Result:
    """Write a register (`register`, `value`) or memory (`address`, `data` in hexadecimal)."""
    for key in arguments:
        if key not in KEYS:
            raise LabError(f"{key!r} is no part of this action; known: {', '.join(KEYS)}", str(key))
    index = number_of(arguments, "vcpu") if "vcpu" in arguments else 0
    vcpu = live_vcpu(lab, str(arguments.get("vm")), index)
    if "register" in arguments:
        text = _write_register(lab, vcpu, arguments.get("register"), number_of(arguments, "value"))
    else:
        text = _write_memory(lab, vcpu, number_of(arguments, "address"), arguments.get("data"))
    hypervisor = lab.hypervisor
    said = f"{vcpu.vm.name}: {text} was written from outside"
    hypervisor.trace.log("action", "poke", said, lab.position, hypervisor.now, vcpu.vm.name)
    return {"vm": vcpu.vm.name, "vcpu": index}


def _write_register(lab: Lab, vcpu: Vcpu, name: object, value: int) -> str:
    record = lab.hypervisor.registers(vcpu)
    if name in REGISTERS[1:]:
        record.x[REGISTERS.index(str(name))] = value
    elif name == "pc" or name == "sepc":
        if value % 2:
            raise LabError(f"value is {value:#x}; instructions are at even addresses", "value")
        setattr(record, "pc" if name == "pc" else "vsepc", value)
    elif name in FLOAT_REGISTERS or name == "fcsr":
        if not record.vsstatus & FS:
            raise LabError(f"{vcpu.vm.name} has floating point off (sstatus.FS is 0)", "register")
        if name == "fcsr":
            record.fcsr = value & 0xFF
        else:
            record.f[FLOAT_REGISTERS.index(str(name))] = value
        record.vsstatus |= FS
    elif isinstance(name, str) and name in PLAIN_CSRS:
        setattr(record, PLAIN_CSRS[name], value & ~2 if name == "stvec" else value)
    else:
        known = f"ra ... t6, pc, ft0 ... ft11, fcsr, {', '.join(PLAIN_CSRS)}"
        raise LabError(f"register is {name!r}; can be written: {known}", "register")
    return str(name)


def _write_memory(lab: Lab, vcpu: Vcpu, address: int, data: object) -> str:
    try:
        content = bytes.fromhex(data) if isinstance(data, str) and len(data) <= 2 * MAX_BYTES else b""
    except ValueError:
        content = b""
    if not content:
        raise LabError(f"data must be 1 to {MAX_BYTES} bytes in hexadecimal", "data")
    pieces: list[tuple[int, bytes]] = []
    done = 0
    while done < len(content):
        at = (address + done) % (1 << 64)
        part = content[done : done + PAGE_BYTES - at % PAGE_BYTES]
        pieces.append((_gpa(lab, vcpu, at, len(part)), part))
        done += len(part)
    for gpa, part in pieces:
        lab.hypervisor.write_guest(vcpu.vm, gpa, part)
    return f"{len(content)} bytes at GVA {address:#x}"


def _gpa(lab: Lab, vcpu: Vcpu, gva: int, length: int) -> int:
    """Return where a piece of a page is in the VM's memory. Raises LabError."""
    record = as_nested(vcpu, lab.hypervisor.registers(vcpu))
    walk = walk_guest(lab.hypervisor.host, record, gva, ACCESS_LOAD)
    if walk.gpa == NO_ADDRESS or not vcpu.vm.contains(walk.gpa, length):
        why = "no memory of this VM" if walk.cause == NO_ADDRESS else describe(walk.cause).name
        raise LabError(f"{vcpu.vm.name} has nothing at GVA {gva:#x} to write to ({why})", "address")
    return walk.gpa


POKING_VERBS: dict[str, Callable[[Lab, Result], Result]] = {"poke": _poke}
