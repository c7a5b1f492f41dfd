"""A bare host for tests of the core: a few harts, programs of a few lines, page tables written by hand.

No hypervisor takes part: registers and tables are set here, the kernels do the rest.
"""

from __future__ import annotations

import hashlib
from typing import Any

from emulator.isa.assembler import assemble
from emulator.machine.host import Host
from emulator.state import EXIT_BUDGET, NO_ADDRESS, PAGE_BYTES, PRIV_M, RAM_BASE

FRAMES = 512
# Where a trap to each mode goes in these tests, and what is there: a loop.
M_TRAP, S_TRAP, VS_TRAP = RAM_BASE + 0x1000, RAM_BASE + 0x2000, RAM_BASE + 0x3000
CODE = RAM_BASE + 0x8000
DATA = RAM_BASE + 0x10000
TABLES = RAM_BASE + 0x80000
MASK = NO_ADDRESS


def frame(number: int) -> int:
    """Return the HPA of a frame."""
    return RAM_BASE + number * PAGE_BYTES


class Machine:
    """A host whose harts start in M-mode at CODE with every trap vector at a loop of its own."""

    def __init__(self, engine: Any, harts: int = 1, frames: int = FRAMES) -> None:
        """Power on; the clock ticks every 10 cycles."""
        self.host = Host(harts, frames * PAGE_BYTES, 100_000_000, engine)
        self.engine = engine
        self.hart: Any = self.host.harts[0]
        for hart in self.host.harts:
            hart.priv = PRIV_M
            hart.pc = CODE
            # As firmware would: nothing that Smstateen guards is closed.
            hart.mstateen[:] = hart.hstateen[:] = [MASK] * 4
            hart.mtvec, hart.stvec, hart.vstvec = M_TRAP, S_TRAP, VS_TRAP
        for vector in (M_TRAP, S_TRAP, VS_TRAP):
            self.code("1: j 1b", vector)

    def code(self, source: str, address: int = CODE) -> int:
        """Assemble position-independent lines to `address` and return their address."""
        for segment in assemble(source).segments:
            self.host.write(address + segment.address - RAM_BASE, segment.data)
        return address

    def load(self, address: int, size: int = 8) -> int:
        """Read physical memory."""
        return int.from_bytes(self.host.read(address, size), "little")

    def store(self, address: int, value: int, size: int = 8) -> None:
        """Write physical memory."""
        self.host.write(address, (value & MASK).to_bytes(size, "little"))

    def run(self, budget: int, hart: int = 0) -> int:
        """Run a hart."""
        return self.host.run(hart, budget)

    def step(self, source: str, steps: int = 1, address: int = CODE) -> Any:
        """Write code, go to it and execute `steps` instructions; return the hart."""
        self.code(source, address)
        self.hart.pc = address
        assert self.run(steps) == EXIT_BUDGET
        return self.hart

    def enter(self, priv: int, virt: int = 0) -> Any:
        """Put hart 0 into a mode."""
        self.hart.priv, self.hart.virt = priv, virt
        return self.hart

    def delegate(self, *, to_guest: bool = False) -> None:
        """Delegate all that can be delegated to HS-mode, and with `to_guest` on to VS-mode."""
        hart = self.hart
        hart.medeleg, hart.mideleg = 0xF0B7FF, 0x1666
        hart.hedeleg, hart.hideleg = (0xB1FF, 0x444) if to_guest else (0, 0)

    def fence(self) -> None:
        """Forget all translations, as fences of every kind would."""
        self.engine.flush(self.hart)

    def digest(self) -> str:
        """Return a hash of the architectural state."""
        digest = hashlib.blake2b(digest_size=16)
        for part in self.host.state_parts():
            digest.update(part)
        return digest.hexdigest()
