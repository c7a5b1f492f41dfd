"""Unicorn and our interpreter side by side, in M-mode without translation, over the same RAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unicorn import UC_ARCH_RISCV, UC_MODE_RISCV64, riscv_const
from unicorn.unicorn_py3 import Uc, UcError

from emulator.isa.disassembler import disassemble
from emulator.machine.host import Host
from emulator.state import EXIT_BUDGET, EXIT_NAMES, NO_ADDRESS, PRIV_M, RAM_BASE

RAM_BYTES = 4 << 20
X = [getattr(riscv_const, f"UC_RISCV_REG_X{number}") for number in range(32)]
PC = riscv_const.UC_RISCV_REG_PC
NOWHERE = RAM_BASE + RAM_BYTES  # unicorn stops there; no program reaches it


@dataclass(frozen=True)
class State:
    """What is compared: 32 registers, the pc, a piece of memory; or why the machine stopped early."""

    registers: tuple[int, ...] = ()
    pc: int = 0
    memory: bytes = b""
    stopped: str = ""

    def differences(self, other: State) -> list[str]:
        """Name what differs, our value first; two machines that both stopped early do not differ."""
        if self.stopped or other.stopped:
            both = self.stopped and other.stopped
            return [] if both else [f"ours {self.stopped or 'ran'}, unicorn {other.stopped or 'ran'}"]
        lines = [
            f"x{n}: ours {a:#x}, unicorn {b:#x}"
            for n, (a, b) in enumerate(zip(self.registers, other.registers, strict=True))
            if a != b
        ]
        if self.pc != other.pc:
            lines.append(f"pc: ours {self.pc:#x}, unicorn {other.pc:#x}")
        places = [n for n, (a, b) in enumerate(zip(self.memory, other.memory, strict=True)) if a != b]
        if places:
            first = places[0]
            lines.append(
                f"memory +{first:#x}: ours {self.memory[first : first + 8].hex()}, "
                f"unicorn {other.memory[first : first + 8].hex()}"
            )
        return lines


class Pair:
    """Both machines, always given the same memory and registers."""

    def __init__(self, engine: Any) -> None:
        """Make two machines with zeroed RAM."""
        self.host = Host(1, RAM_BYTES, 100_000_000, engine)
        self.hart: Any = self.host.harts[0]
        self.hart.priv = PRIV_M
        self.unicorn: Any = Uc(UC_ARCH_RISCV, UC_MODE_RISCV64)
        self.unicorn.mem_map(RAM_BASE, RAM_BYTES)

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into both memories."""
        self.host.write(address, data)
        self.unicorn.mem_write(address, data)

    def forget_code(self) -> None:
        """Make unicorn translate anew what it has translated."""
        self.unicorn.ctl_flush_tb()

    def run(
        self, pc: int, registers: Mapping[int, int], steps: int, window: tuple[int, int]
    ) -> tuple[State, State]:
        """Execute `steps` instructions on both; return our state and unicorn's."""
        return self.run_ours(pc, registers, steps, window), self.run_unicorn(pc, registers, steps, window)

    def run_ours(self, pc: int, registers: Mapping[int, int], steps: int, window: tuple[int, int]) -> State:
        """Execute on our machine."""
        hart = self.hart
        for number in range(1, 32):
            hart.x[number] = registers.get(number, 0)
        hart.pc = pc
        traps = hart.traps_taken
        reason = self.host.run(0, steps)
        if hart.traps_taken != traps:
            return State(stopped=f"trapped at {hart.mepc:#x}: mcause {hart.mcause}, mtval {hart.mtval:#x}")
        if reason != EXIT_BUDGET:
            hart.mmio_state = 0
            return State(stopped=f"stopped: {EXIT_NAMES[reason]}")
        return State(tuple(hart.x[:32]), hart.pc, self.host.read(*window))

    def run_unicorn(
        self, pc: int, registers: Mapping[int, int], steps: int, window: tuple[int, int]
    ) -> State:
        """Execute on unicorn."""
        emulator = self.unicorn
        emulator.reg_write_batch([(X[number], registers.get(number, 0)) for number in range(1, 32)])
        try:
            emulator.emu_start(pc, NOWHERE, count=steps)
        except UcError as error:
            return State(stopped=f"stopped: {error}")
        values = emulator.reg_read_batch([*X, PC])
        values = [value & NO_ADDRESS for value in values]
        return State(tuple(values[:32]), values[32], bytes(emulator.mem_read(*window)))


def listing(code: bytes, base: int) -> str:
    """Disassemble `code` line by line."""
    lines: list[str] = []
    offset = 0
    while offset < len(code):
        word = int.from_bytes(code[offset : offset + 4].ljust(4, b"\0"), "little")
        length = 4 if word & 3 == 3 else 2
        lines.append(f"  {base + offset:#x}: {disassemble(word, pc=base + offset)}")
        offset += length
    return "\n".join(lines)
