"""The story of a fault, told for a student.

What the guest did, what the MMU found, what the hypervisor did about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.hypervisor.faults import Fault
from emulator.isa.causes import describe
from emulator.lab.errors import LabError
from emulator.lab.inspection import registers_view
from emulator.lab.observation import FaultView, OriginalTrap, SourceLine, TrapView
from emulator.lab.observing import address
from emulator.lab.walks import ACCESS_NAMES, walk_view
from emulator.machine.host import Trap
from emulator.state import HART, PRIV_S, RAM_BASE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

DEEDS = {"fetch": "fetch an instruction from", "load": "read", "store": "write"}
ACTIONS = {
    "crash": "The hypervisor stopped the VM.",
    "skip": "The hypervisor let the VM go on behind the instruction, which did nothing.",
    "inject": "The hypervisor gave the guest an access fault to handle, as a real machine would.",
}


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
    known = describe(cause)
    return {
        "cause": cause & 0x3F,
        "cause_name": known.name,
        "pc": address(pc),
        "value": address(value),
        "explanation": (
            f"The guest itself took a trap at pc {pc:#x}: {known.name}. {known.explanation} It had set"
            " no trap handler (stvec is 0), so it jumped to address 0, where it has no memory."
        ),
    }


def _explanation(fault: Fault) -> str:
    vm, access = fault.vm_name, ACCESS_NAMES[fault.access]
    last = RAM_BASE + fault.memory - 1
    through = "" if fault.gva == fault.gpa else f", which its page table turned into GPA {fault.gpa:#x}"
    if fault.htinst in (0x3000, 0x3020):
        through = f"; its own page table lies at GPA {fault.gpa:#x}, where it has no memory"
    deed = f"{vm} tried to {DEEDS[access]} address {fault.gva:#x}{through}."
    wall = (
        f"The memory of {vm} is GPA {RAM_BASE:#x} to {last:#x}; the table that the hypervisor made for it"
        " maps nothing else, so the MMU found no host address and refused before any memory was touched."
    )
    sentences = [deed, wall, ACTIONS[fault.action]]
    original = _original(fault)
    return " ".join([original["explanation"], *sentences] if original else sentences)
