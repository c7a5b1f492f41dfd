"""Hosts whose guests are a few lines of assembly."""

from typing import Any

from emulator.hypervisor import lifecycle
from emulator.hypervisor.hypervisor import Hypervisor
from emulator.hypervisor.trace import Revision
from emulator.hypervisor.vm import Vm, VmSettings
from emulator.isa.assembler import assemble
from emulator.isa.extensions import DEFAULT_ISA, Isa
from emulator.isa.symbols import Symbols
from emulator.machine.elf import Executable, Segment
from emulator.machine.host import Host

# What most guests here need; `call` saves nothing but ra.
PRELUDE = """
    .equ SRST, 0x53525354
    .equ DBCN, 0x4442434E
    .equ TIME, 0x54494D45
    .equ IPI, 0x735049
    .equ HSM, 0x48534D
    .macro sbi extension, function
        li a7, \\extension
        li a6, \\function
        ecall
    .endm
    .macro shutdown
        li a0, 0
        li a1, 0
        sbi SRST, 0
    .endm
    .macro putchar
        sbi DBCN, 2
    .endm
    .globl _start
_start:
"""


def executable(source: str, prelude: bool = True) -> Executable:
    """Assemble a guest; its first line is where it starts."""
    program = assemble((PRELUDE if prelude else "") + source)
    segments = tuple(Segment(s.address, s.data, len(s.data), 7) for s in program.segments)
    return Executable(
        program.entry, segments, "test.s", program.source, Symbols.of(program.symbols), program.lines
    )


class Bench:
    """A hypervisor with guests; runs them for a number of cycles."""

    def __init__(
        self,
        engine: Any,
        pcpus: int = 2,
        memory: int = 8 << 20,
        timeslice: int = 100_000,
        isa: Isa = DEFAULT_ISA,
        **hypervisor: Any,
    ) -> None:
        self.host = Host(pcpus, memory, 100_000_000, engine, isa)
        self.hypervisor = Hypervisor(self.host, timeslice, Revision(), **hypervisor)

    def vm(self, source: str, name: str = "a", start: bool = True, **settings: Any) -> Vm:
        """Define a VM that runs a piece of assembly, and start it."""
        full = {"vcpus": 1, "memory": 64 << 10, "executable": executable(source)} | settings
        vm = self.hypervisor.define(VmSettings(name, **full))
        if start:
            lifecycle.start(self.hypervisor, vm)
        return vm

    def run(self, cycles: int = 1_000_000) -> None:
        """Run on by so many cycles of all pCPUs together."""
        self.hypervisor.run_to(self.hypervisor.position + cycles)

    def state(self) -> bytes:
        """Return the whole architectural state."""
        return b"|".join(self.hypervisor.state_parts())
