"""A batch: one world and the programs that run in it, as bytes of RAM, and the log that they leave."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from emulator.fuzz import atoms, worlds
from emulator.fuzz.layout import (
    CODE_BYTES,
    CONTEXT_FIELDS,
    COUNTS,
    EXEC,
    EXEC_PAGES,
    FLOATS,
    LOG,
    MAX_PROGRAMS,
    MONITOR,
    POOL,
    PRISTINE,
    PROGRAMS,
    RECORD_BYTES,
    RECORD_FIELDS,
    STUB,
    TRAP_BUDGET,
)
from emulator.fuzz.monitor import COUNT, OVERHEAD, POOL_START, monitor
from emulator.fuzz.operands import value
from emulator.fuzz.program import Program
from emulator.fuzz.worlds import World
from emulator.state import PAGE_BYTES

ATOMS = 90
ECALL = 0x73

Memory = dict[int, bytes]


@dataclass(frozen=True)
class Batch:
    """Programs of one world."""

    world: World
    programs: tuple[Program, ...]

    def image(self) -> Memory:
        """Return all that RAM holds at the start, by address."""
        assert len(self.programs) <= MAX_PROGRAMS
        pool = self.world.pool()
        return {
            MONITOR: monitor(),
            COUNT: len(self.programs).to_bytes(8, "little"),
            POOL_START: self.world.start.to_bytes(8, "little"),
            STUB: ECALL.to_bytes(4, "little") * (PAGE_BYTES // 4),
            EXEC: worlds.EXEC_CODE * EXEC_PAGES,
            POOL: pool,
            PRISTINE: pool,
            PROGRAMS: b"".join(_record(program) for program in self.programs),
        }


def make(seed: str, number: int, size: int) -> Batch:
    """Make batch `number` of a seed."""
    chance = random.Random(f"{seed} {number}")
    world = worlds.build(chance)
    return Batch(world, tuple(_program(chance, world, f"{seed}/{number}/{index}") for index in range(size)))


def _program(chance: random.Random, world: World, name: str) -> Program:
    contexts = tuple(worlds.contexts(chance, world))
    registers = tuple(0 if number < 5 else value(chance) for number in range(32))
    floats = tuple(value(chance) for _ in range(32)) if FLOATS else ()
    return Program(name, atoms.atoms(chance, ATOMS, world), contexts, registers, floats)


def _record(program: Program) -> bytes:
    words = [*program.registers]
    words[31] = 0  # the loop counter
    if FLOATS:
        words += [0, *program.floats]
    for context in program.contexts:
        words += [context[name] for name in CONTEXT_FIELDS]
    return struct.pack(f"<{len(words)}Q", *words) + program.code.ljust(CODE_BYTES, b"\0")


@dataclass(frozen=True)
class Note:
    """One trap of a program: registers, and how many instructions of the program had retired."""

    values: tuple[int, ...]
    retired: int

    def __getitem__(self, name: str) -> int:
        return self.values[_places()[name]]


@cache
def _places() -> dict[str, int]:
    return {name: place for place, name in enumerate(RECORD_FIELDS)}


@dataclass(frozen=True)
class Outcome:
    """What one machine left: the log, and the counters beside it."""

    log: bytes
    counts: bytes

    def notes(self, programs: int) -> list[list[Note]]:
        """Return the records of each program."""
        found: list[list[Note]] = [[] for _ in range(programs)]
        layout = struct.Struct(f"<{len(RECORD_FIELDS)}Q")
        for number in range(len(self.log) // RECORD_BYTES):
            values = layout.unpack_from(self.log, number * RECORD_BYTES)
            if not 1 <= values[0] <= programs:
                break
            mine = found[values[0] - 1]
            total = int.from_bytes(self.counts[8 * number : 8 * number + 8], "little")
            mine.append(Note(values, total - OVERHEAD * (len(mine) + 1)))
        return found


def log_bytes(programs: Sequence[Program] | int) -> int:
    """Return how much of the log programs may use at most."""
    count = programs if isinstance(programs, int) else len(programs)
    return count * TRAP_BUDGET * RECORD_BYTES


def regions(programs: int) -> dict[str, tuple[int, int]]:
    """Return where the parts of an outcome lie: address and length."""
    return {
        "log": (LOG, log_bytes(programs)),
        "counts": (COUNTS, 8 * TRAP_BUDGET * programs),
    }
