"""What every pCPU retired in a short window of the past: one instruction after the other, as it happened.

Nothing of this is recorded. The lab is taken back aside to a checkpoint, run again to the window, and stepped
through it; then it stands where it was (`aside.py`). An instruction says what it changed in x1 to x31 and
which address it loaded from or stored to; CSRs and floating-point registers are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from emulator.hypervisor.clocks import QUANTUM_CYCLES
from emulator.hypervisor.faults import fetch_instruction
from emulator.hypervisor.pcpu import Pcpu
from emulator.hypervisor.shadow import as_guest
from emulator.hypervisor.trace import END, KIND, START, VCPU, VM
from emulator.isa.disassembler import disassemble
from emulator.isa.encodings import decode
from emulator.isa.registers import REGISTERS
from emulator.lab.aside import looking_back, replay
from emulator.lab.observing import address
from emulator.machine.elf import Executable
from emulator.state import PRIV_S

if TYPE_CHECKING:
    from emulator.lab.lab import Lab, LogEntry

MOST_CYCLES = 500
ADDRESSES = 1 << 64


class RegisterChange(TypedDict):
    """A register that got another value."""

    name: str
    value: str


class Step(TypedDict):
    """What one pCPU did from one clock to another: an instruction, or something of the hypervisor's."""

    kind: Literal["instruction", "hypervisor", "idle"]
    start_cycles: int
    end_cycles: int
    position: int  # the lab's, before it
    vm: str | None
    vcpu: int | None
    mode: Literal["VS", "VU"] | None
    pc: str | None
    where: str  # the pc by the symbol before it, "" if none is near
    text: str  # disassembled
    line: int | None
    source: str  # that line's text
    changes: list[RegisterChange]
    access: Literal["load", "store", "atomic"] | None
    gva: str | None  # that it accessed
    exit: str | None  # the reason, if it ended in an exit


class InstructionsView(TypedDict):
    """The steps of each pCPU, oldest first."""

    from_cycles: int
    to_cycles: int
    pcpus: list[list[Step]]


def instructions(lab: Lab, first: int, last: int) -> InstructionsView:
    """Return what was done from clock `first` to `last`, at most MOST_CYCLES later.

    The lab does not move. Raises LabError if that instant is not recorded, or too far from what is.
    """
    newest = max(pcpu.hart.clock for pcpu in lab.hypervisor.pcpus)
    first = max(0, min(first, newest))
    last = min(max(first + 1, last), first + MOST_CYCLES, newest)
    steps: list[list[Step]] = [[] for _ in lab.hypervisor.pcpus]
    if last > first:
        # A quantum earlier every pCPU is before the window.
        start = lab.hypervisor.position_of(max(0, first // QUANTUM_CYCLES - 1) * QUANTUM_CYCLES)
        end = lab.position
        with looking_back(lab, max(start, lab.hypervisor.position_of(0) + 1)) as log:
            replay(lab, log, max(start, lab.position))
            for pcpu, step in _steps(lab, log, first, last, end):
                steps[pcpu].append(step)
    return {"from_cycles": first, "to_cycles": last, "pcpus": steps}


def _steps(lab: Lab, log: list[LogEntry], first: int, last: int, end: int) -> Iterator[tuple[int, Step]]:
    """Run on until every pCPU is beyond `last`, one instruction at a time within the window."""
    hypervisor = lab.hypervisor
    while any(pcpu.hart.clock < last for pcpu in hypervisor.pcpus) and lab.position < end:
        while len(lab.log) < len(log) and log[len(lab.log)]["position"] <= lab.position:
            lab.apply(log[len(lab.log)]["action"])
        due = log[len(lab.log)]["position"] if len(lab.log) < len(log) else end
        pcpu, position = hypervisor.pcpus[hypervisor.turn], lab.position
        clock = pcpu.hart.clock
        inside = first <= clock < last
        goal = hypervisor.quantum_end if clock >= last else first
        wanted = 1 if inside else max(1, min(goal, hypervisor.quantum_end) - clock)
        look = _Look(lab, pcpu) if inside else None
        lab.advance(min(position + wanted, due, end))
        if look is not None:
            yield pcpu.index, look.step(lab)
        if lab.position == position and due > position:
            return  # nothing can happen any more


class _Look:
    """A pCPU before a step."""

    def __init__(self, lab: Lab, pcpu: Pcpu) -> None:
        self.pcpu = pcpu
        self.position, self.clock = lab.position, pcpu.hart.clock
        self.vcpu = pcpu.current
        self.event = lab.hypervisor.trace.next_event
        if self.vcpu is not None:
            record = as_guest(self.vcpu, pcpu.hart)
            self.pc, self.mode, self.root = record.pc, record.priv, record.vsatp
            self.x = list(record.x)[: len(REGISTERS)]
            self.word = fetch_instruction(lab.hypervisor.host, record, self.pc)
            self.retired = self.vcpu.retired

    def step(self, lab: Lab) -> Step:
        """Return what has happened since."""
        vcpu = self.vcpu
        if vcpu is None or (vcpu.retired == self.retired and not self._exit(lab)):
            return self._of_hypervisor(lab)
        executable = vcpu.vm.settings.executable
        symbols = executable.symbols_under(self.root)
        line = executable.lines.get(self.pc)
        access, gva = self._access()
        return {
            "kind": "instruction",
            "start_cycles": self.clock,
            "end_cycles": self.pcpu.hart.clock,
            "position": self.position,
            "vm": vcpu.vm.name,
            "vcpu": vcpu.index,
            "mode": "VS" if self.mode == PRIV_S else "VU",
            "pc": address(self.pc),
            "where": symbols.name_of(self.pc),
            "text": "" if self.word is None else disassemble(self.word, self.pc, symbols),
            "line": line,
            "source": _source(executable, line),
            "changes": self._changes(lab),
            "access": access,
            "gva": gva,
            "exit": self._exit(lab),
        }

    def _exit(self, lab: Lab) -> str | None:
        trace = lab.hypervisor.trace
        new = trace.next_event > self.event and trace.exits and trace.exits[-1][0] >= self.event
        return trace.exits[-1][4] if new else None

    def _of_hypervisor(self, lab: Lab) -> Step:
        """Return a step in which no instruction retired: a world switch, idle time, the host's own work."""
        nothing: list[Any] = []
        newest = next(lab.hypervisor.trace.backwards(self.pcpu.index), nothing)
        kind = newest[KIND] if newest and newest[END] > self.clock else "idle"
        return {
            "kind": "idle" if kind == "idle" else "hypervisor",
            "start_cycles": max(self.clock, newest[START]) if newest else self.clock,
            "end_cycles": self.pcpu.hart.clock,
            "position": self.position,
            "vm": newest[VM] if newest else None,
            "vcpu": newest[VCPU] if newest else None,
            "mode": None,
            "pc": None,
            "where": "",
            "text": "",
            "line": None,
            "source": "",
            "changes": [],
            "access": None,
            "gva": None,
            "exit": None,
        }

    def _changes(self, lab: Lab) -> list[RegisterChange]:
        assert self.vcpu is not None
        after = lab.hypervisor.registers(self.vcpu).x
        return [
            {"name": name, "value": address(after[number])}
            for number, name in enumerate(REGISTERS)
            if number and after[number] != self.x[number]
        ]

    def _access(self) -> tuple[Literal["load", "store", "atomic"] | None, str | None]:
        """Return how the instruction accesses memory, and the address that its operands give."""
        decoded = None if self.word is None else decode(self.word)
        if decoded is None:
            return None, None
        instruction, operands = decoded
        kind = _ACCESSES.get(instruction.kind)
        if kind is None:
            return None, None
        base = instruction.expands.operands.get("rs1", "rs1") if instruction.expands else "rs1"
        register = base if isinstance(base, int) else operands[base]
        return kind, address((self.x[register] + operands.get("imm", 0)) % ADDRESSES)


_ACCESSES: dict[str, Literal["load", "store", "atomic"]] = {
    **dict.fromkeys(("load", "fpload"), "load"),
    **dict.fromkeys(("store", "fpstore"), "store"),
    **dict.fromkeys(("lr", "sc", "amo"), "atomic"),
}


def _source(executable: Executable, line: int | None) -> str:
    """Return the text of a source line, without the space around it."""
    lines = executable.source.splitlines() if line else []
    return lines[line - 1].strip() if line and line <= len(lines) else ""
