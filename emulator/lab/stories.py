"""The story of a fault, told for a student.

What the guest did, what the MMU found, what the hypervisor did about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.hypervisor.faults import Fault
from emulator.isa.causes import describe
from emulator.lab import htinst
from emulator.lab.errors import LabError
from emulator.lab.observation import FaultView, OriginalTrap, SourceLine, TrapView
from emulator.lab.observing import address
from emulator.lab.registers import registers_view
from emulator.lab.walks import ACCESS_NAMES, walk_view
from emulator.machine.host import Trap
from emulator.state import HART, PRIV_S, RAM_BASE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

DEEDS = {
    "fetch": "VM {vm} tried to fetch an instruction from address {gva}",
    "load": "VM {vm} tried to read address {gva}",
    "store": "VM {vm} tried to write address {gva}",
}
PAGE_TABLE_ACCESS = (0x3000, 0x3020)  # htinst of an access to a VS-stage page-table entry


def story(lab: Lab, event: int) -> FaultView:
    """Return the story of the fault with an event id. Raises LabError."""
    fault = lab.hypervisor.faults.get(event)
    if fault is None:
        known = ", ".join(str(number) for number in list(lab.hypervisor.faults)[-8:]) or "none so far"
        raise LabError(f"event {event} is no fault whose story is kept; faults: {known}", "event")
    record = HART.struct.from_buffer_copy(fault.registers.ljust(HART.size, b"\0"))
    access = ACCESS_NAMES[fault.access]
    registers = registers_view(
        fault.vm_name, fault.vcpu, fault.position, record, fault.executable, fault.instruction, None
    )
    return {
        "id": fault.id,
        "position": fault.position,
        "at_ns": lab.to_ns(fault.clock),
        "vm": fault.vm_name,
        "vcpu": fault.vcpu,
        "pcpu": fault.pcpu,
        "cause": fault.cause,
        "cause_name": describe(fault.cause).name,
        "access": access,
        "pc": address(fault.pc),
        "mode": "VS" if record.priv == PRIV_S else "VU",
        "instruction_word": None if fault.instruction is None else f"{fault.instruction:#x}",
        "instruction": registers["instruction"],
        "source": _source(fault),
        "gva": address(fault.gva),
        "gpa": address(fault.gpa),
        "htval": address(fault.htval),
        "htinst": address(fault.htinst),
        "htinst_fields": htinst.fields(fault.htinst),
        "htinst_meaning": htinst.meaning(fault.htinst),
        "stval": address(fault.stval),
        "registers": registers,
        "walk": walk_view(
            fault.table_gpas.get, fault.vm_name, fault.vcpu, record.vsatp, fault.gva, access, fault.walk
        ),
        "original_trap": _original(fault),
        "traps": [_trap(lab, trap) for trap in fault.traps],
        "neighbours": [
            {"vm": p.vm, "before": p.before, "after": p.after, "unchanged": p.before == p.after}
            for p in fault.proofs
        ],
        "action": fault.action,
        "explanation": _explanation(fault),
    }


def _trap(lab: Lab, trap: Trap) -> TrapView:
    return {
        "at_ns": lab.to_ns(trap.clock),
        "cause": trap.cause & 0x3F,
        "cause_name": describe(trap.cause).name,
        "interrupt": bool(trap.cause >> 63),
        "pc": address(trap.pc),
        "value": address(trap.value),
    }


def _source(fault: Fault) -> SourceLine | None:
    line = fault.executable.lines.get(fault.pc)
    if line is None:
        return None
    text = fault.executable.source.split("\n")[line - 1]
    return {"file": fault.executable.name, "line": line, "text": text}


def _original(fault: Fault) -> OriginalTrap | None:
    if fault.original is None:
        return None
    cause, pc, value = fault.original
    known, where = describe(cause), _at(fault, pc)
    return {
        "cause": cause & 0x3F,
        "cause_name": known.name,
        "pc": address(pc),
        "value": address(value),
        "explanation": (
            f"The guest itself took a trap {where}: {known.name}. {known.explanation} It had set no"
            " trap handler that it could reach, so it jumped to where it has no memory."
        ),
    }


def _explanation(fault: Fault) -> str:
    """Return the story in one sentence; what the hypervisor did about it is in `action`."""
    vm, first, last = fault.vm_name, RAM_BASE, RAM_BASE + fault.memory - 1
    if fault.original is not None:
        cause, pc, _ = fault.original
        trap, where = describe(cause).name, _at(fault, pc)
        return (
            f"VM {vm} took a trap of its own ({trap} {where}) without having set a trap handler, so it"
            f" jumped to address {fault.gva:#x}, where it has no memory."
        )
    if fault.htinst in PAGE_TABLE_ACCESS:
        return (
            f"The page table of VM {vm} lies at GPA {fault.gpa:#x}, outside its memory ({first:#x} to"
            f" {last:#x}), so the MMU could not even look up address {fault.gva:#x}."
        )
    deed = DEEDS[ACCESS_NAMES[fault.access]].format(vm=vm, gva=f"{fault.gva:#x}")
    if fault.gva != fault.gpa:
        deed = f"{deed} (its own page table turns it into GPA {fault.gpa:#x})"
    return (
        f"{deed}, but its memory is GPA {first:#x} to {last:#x}:"
        " its G-stage table has no entry there, and the MMU refused before any memory was touched."
    )


def _at(fault: Fault, pc: int) -> str:
    line = fault.executable.lines.get(pc)
    program = fault.executable.name
    return f"at pc {pc:#x}" if line is None else f"in line {line} of {program}"
