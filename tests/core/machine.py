"""A bare host for tests of the core: a few harts, programs of a few lines, page tables written by hand.

No hypervisor takes part: registers and tables are set here, the kernels do the rest.
"""

from __future__ import annotations

import hashlib
from typing import Any

from emulator.core.csr_bits import PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from emulator.isa.assembler import assemble
from emulator.machine.host import Host
from emulator.state import EXIT_BUDGET, NO_ADDRESS, PAGE_BYTES, PRIV_M, RAM_BASE

FRAMES = 512
SV39, SV48, SV57 = 8, 9, 10
RWX = PTE_R | PTE_W | PTE_X
# A leaf that needs no update; G-stage leaves and user pages have U too.
LEAF = PTE_V | RWX | PTE_A | PTE_D
USER = LEAF | PTE_U
# Where a trap to each mode goes in these tests, and what is there: a loop.
M_TRAP, S_TRAP, VS_TRAP = RAM_BASE + 0x1000, RAM_BASE + 0x2000, RAM_BASE + 0x3000
CODE = RAM_BASE + 0x8000
DATA = RAM_BASE + 0x10000
TABLES = RAM_BASE + 0x80000
MASK = NO_ADDRESS


def frame(number: int) -> int:
    """Return the HPA of a frame."""
    return RAM_BASE + number * PAGE_BYTES


class Tables:
    """Page tables of one stage. `pool` is where new tables are taken from; the root lies at its start."""

    def __init__(self, machine: Machine, pool: int, mode: int = SV39, stage2: bool = False) -> None:
        """Make an empty root: one page, or for the G-stage four."""
        self.machine = machine
        self.mode = mode
        self.stage2 = stage2
        self.root = pool
        self._next = pool + (4 if stage2 else 1) * PAGE_BYTES

    def register(self, identifier: int = 0) -> int:
        """Return the value of satp, vsatp or hgatp for these tables."""
        return self.mode << 60 | identifier << 44 | self.root >> 12

    def entry(self, address: int, level: int = 0) -> int:
        """Return where the entry for an address stands at `level`, making the tables above it."""
        table = self.root
        top = self.mode - 6
        for current in range(top, level - 1, -1):
            width = 0x7FF if self.stage2 and current == top else 0x1FF
            place = table + (address >> 12 + 9 * current & width) * 8
            if current == level:
                return place
            if not self.machine.load(place) & PTE_V:
                self.machine.store(place, self._next >> 2 | PTE_V)
                self._next += PAGE_BYTES
            table = (self.machine.load(place) >> 10) << 12
        raise AssertionError("no such level")

    def map(self, address: int, target: int, flags: int = LEAF, level: int = 0, pages: int = 1) -> None:
        """Map pages of the size of `level`."""
        size = PAGE_BYTES << 9 * level
        for number in range(pages):
            self.machine.store(
                self.entry(address + number * size, level), (target + number * size) >> 2 | flags
            )


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
