"""The story of any exit: what the guest did, what the hart reported, what was done, what the guest saw.

The log keeps of an exit its reason, its pc and its cost. The rest (registers, the walk, the trap's CSRs) is
read at that instant: the lab is taken back to a checkpoint, runs to the exit once more, and is put back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import (
    INSTRUCTION_GUEST_PAGE,
    INSTRUCTION_PAGE,
    LOAD_GUEST_PAGE,
    LOAD_PAGE,
    STORE_GUEST_PAGE,
    STORE_PAGE,
)
from emulator.hypervisor import mmio
from emulator.hypervisor.faults import KEPT_BYTES, fetch_instruction, guest_physical_address
from emulator.hypervisor.shadow import as_guest, as_nested
from emulator.hypervisor.trace import ExitRecord
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import ACTIVE
from emulator.isa.causes import describe
from emulator.isa.registers import REGISTERS
from emulator.lab import exit_words, htinst
from emulator.lab.aside import looking_back, replay
from emulator.lab.byte_views import ChangeView, ExitView, InstantView
from emulator.lab.errors import LabError
from emulator.lab.observation import AccessKind, SourceLine, WalkView
from emulator.lab.observing import address
from emulator.lab.registers import registers_view
from emulator.lab.where import shadow_walk, walk_now
from emulator.machine.elf import Executable
from emulator.state import HART, PRIV_S

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

NOT_TRAPS = ("wfi", "timer", "budget", "store full")
ACCESSES: dict[int, AccessKind] = {
    INSTRUCTION_PAGE: "fetch",
    INSTRUCTION_GUEST_PAGE: "fetch",
    LOAD_PAGE: "load",
    LOAD_GUEST_PAGE: "load",
    STORE_PAGE: "store",
    STORE_GUEST_PAGE: "store",
}
GUEST_PAGE = (INSTRUCTION_GUEST_PAGE, LOAD_GUEST_PAGE, STORE_GUEST_PAGE)
# What a guest can find changed beside x1 to x31, and its field.
SEEN = {
    "pc": "pc",
    "mode": "priv",
    "sepc": "vsepc",
    "scause": "vscause",
    "stval": "vstval",
    "sip": "hvip",
    "satp": "vsatp",
}


@dataclass(slots=True)
class _Instant:
    """A guest just before the hypervisor served its exit, and afterwards."""

    vcpu: Vcpu
    executable: Executable
    before: Any  # HART record, as the guest knows it
    word: int | None
    pc: WalkView
    walk: WalkView | None
    shadow: WalkView | None
    after: Any = None
    stopped: bool = False  # the VM, by this exit


def story(lab: Lab, event: int) -> ExitView:
    """Return the story of the exit with an event id, or of the exit that a fault's event belongs to.

    Raises LabError if there is no such exit in the log.
    """
    record = _record(lab, event)
    number, _, position, clock, reason, text, vm, vcpu, pcpu, _, cycles, _ = record
    instant, missing = None, ""
    try:
        instant = _view(_visit(lab, record), reason)
    except LabError as error:
        missing = str(error)
    return {
        "id": number,
        "position": position,
        "at_ns": lab.to_ns(clock),
        "vm": vm,
        "vcpu": vcpu,
        "pcpu": pcpu,
        "reason": reason,
        "cycles": cycles,
        "cost_ns": lab.to_ns(cycles),
        "did": exit_words.did(reason, text, instant),
        "fault": _fault_of(lab, record),
        "explanation": exit_words.explanation(reason, text, vm, instant),
        "instant": instant,
        "missing": missing,
    }


def _record(lab: Lab, event: int) -> ExitRecord:
    """Return the log's entry of an exit; a fault is told just after the exit that it was."""
    exits = lab.hypervisor.trace.exits
    fault = lab.hypervisor.faults.get(event)
    for one in exits:
        if one[0] == (event if fault is None else event - 1):
            return one
    problem = f"event {event} is no exit that the log still has; there was none yet"
    if exits:
        first = exits[0][0]
        problem = f"event {event} is no exit that the log still has; the log goes back to event {first}"
    raise LabError(problem, "event")


def _fault_of(lab: Lab, record: ExitRecord) -> int | None:
    number = record[0] + 1
    return number if number in lab.hypervisor.faults else None


# Going there


def _visit(lab: Lab, record: ExitRecord) -> _Instant:
    """Return what is found at an exit. Raises LabError."""
    number, _, position, _, reason, _, name, index, _, _, cycles, _ = record
    seen: list[_Instant] = []

    def look(vcpu: Vcpu, why: str) -> None:
        here = lab.hypervisor.position
        if here + cycles >= position and (vcpu.vm.name, vcpu.index, why) == (name, index, reason):
            seen[:] = [_look(lab, vcpu, why)]

    with looking_back(lab, position) as log:
        replay(lab, log, max(lab.position, position - cycles - 1))
        hypervisor = lab.hypervisor
        hypervisor.before_exit = look
        replay(lab, log, position)
        hypervisor.before_exit = None
        exits = hypervisor.trace.exits
        if not seen or not any(one[0] == number for one in exits):
            raise LabError("the exit was not met again on the way back to it", "event")
        vcpu = seen[0].vcpu
        seen[0].after = _copy(as_guest(vcpu, hypervisor.registers(vcpu)))
        seen[0].stopped = vcpu.vm.lifecycle not in ACTIVE
    return seen[0]


def _copy(record: Any) -> Any:
    return HART.struct.from_buffer_copy(bytes(record)[:KEPT_BYTES].ljust(HART.size, b"\0"))


def _look(lab: Lab, vcpu: Vcpu, reason: str) -> _Instant:
    record = lab.hypervisor.registers(vcpu)
    nested = as_nested(vcpu, record)
    access = None if reason in NOT_TRAPS else ACCESSES.get(record.scause)
    walk = shadow = None
    if access is not None:
        walk = walk_now(lab, vcpu, nested, record.stval, access)
        shadow = shadow_walk(lab, vcpu, record, record.stval, access)
    return _Instant(
        vcpu,
        vcpu.vm.settings.executable,
        _copy(as_guest(vcpu, record)),
        fetch_instruction(lab.hypervisor.host, nested, record.pc),
        walk_now(lab, vcpu, nested, record.pc, "fetch"),
        walk,
        shadow,
    )


# Telling


def _view(found: _Instant, reason: str) -> InstantView:
    record, walk = found.before, found.walk
    trap = reason not in NOT_TRAPS
    access = ACCESSES.get(record.scause) if trap else None
    known = describe(record.scause) if trap else None
    registers = registers_view(
        found.vcpu.vm.name, found.vcpu.index, 0, record, found.executable, found.word, None
    )
    done = mmio.decode_access(found.word) if found.word is not None and access else None
    changes = _changes(record, found.after)
    gpa = walk["gpa"] if walk else None
    if walk and gpa is None and record.scause in GUEST_PAGE:
        gpa = address(guest_physical_address(record))
    return {
        "pc": address(record.pc),
        "pc_gpa": found.pc["gpa"],
        "pc_hpa": found.pc["hpa"],
        "mode": "VS" if record.priv == PRIV_S else "VU",
        "instruction_word": None if found.word is None else f"{found.word:#x}",
        "instruction": registers["instruction"],
        "source": source_line(found.executable, record.pc),
        "registers": registers,
        "trap": trap,
        "cause": record.scause if trap else None,
        "cause_name": known.name if known else None,
        "cause_meaning": known.explanation if known else "",
        "access": access,
        "bytes": done.size if done and access != "fetch" else None,
        "gva": address(record.stval) if access else None,
        "gpa": gpa,
        "hpa": walk["hpa"] if walk else None,
        "stval": address(record.stval),
        "htval": address(record.htval),
        "htinst": address(record.htinst),
        "htinst_fields": htinst.fields(record.htinst),
        "htinst_meaning": htinst.meaning(record.htinst),
        "walk": walk,
        "shadow": found.shadow,
        "changes": changes,
        "saw": exit_words.saw(reason, changes, record.pc, found.after, found.stopped),
    }


def source_line(executable: Executable, pc: int) -> SourceLine | None:
    """Return the line of the source that an instruction comes from."""
    line = executable.lines.get(pc)
    if line is None:
        return None
    return {"file": executable.name, "line": line, "text": executable.source.split("\n")[line - 1]}


def _changes(before: Any, after: Any) -> list[ChangeView]:
    pairs = [(name, before.x[number], after.x[number]) for number, name in enumerate(REGISTERS)]
    pairs += [(name, getattr(before, field), getattr(after, field)) for name, field in SEEN.items()]
    return [
        {"name": name, "before": _value(name, old), "after": _value(name, new)}
        for name, old, new in pairs
        if old != new
    ]


def _value(name: str, value: int) -> str:
    if name == "mode":
        return "VS" if value == PRIV_S else "VU"
    return address(value >> 1 if name == "sip" else value)
