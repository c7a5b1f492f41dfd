"""Wild programs on compiled and on plain kernels; `python -m tests.build.wild` runs those that it is told of.

A wild program is the code, tables and registers of `tests.core.hostile`, with interrupts: traps, both stages
of translation, CSRs, fences, atomics, floats, accesses everywhere. It is made from a number, and can be made
smaller by turning instructions into nops and by stopping earlier.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from emulator.build.engine import load_engine
from emulator.core.csr_bits import ENVCFG_STCE, VS_INTERRUPTS
from emulator.isa.disassembler import disassemble
from emulator.machine.host import Host
from emulator.state import EXIT_MMIO, MMIO_ANSWERED, PAGE_BYTES
from tests.build.corpus import digest
from tests.core.hostile import CODE, FRAMES, address, enter, fill

PIECE = 8


@dataclass(frozen=True)
class Wild:
    """A wild program: `pieces` of eight cycles; the instructions in `dropped` do nothing."""

    seed: int
    pieces: int = 10
    dropped: tuple[int, ...] = ()


def prepared(engine: Any, wild: Wild) -> tuple[Host, int, random.Random]:
    """Return a host with the program, how many instructions it has, and the chance of what happens to it."""
    chance = random.Random(wild.seed)
    host = Host(1, FRAMES * PAGE_BYTES, 10_000_000, engine)
    count = fill(chance, host, wild.dropped)
    hart: Any = host.harts[0]
    enter(chance, hart)
    # Interrupts of every kind, seldom enough that something else happens as well.
    hart.mie = chance.getrandbits(13) & chance.getrandbits(13)
    hart.hvip = chance.choice((0, VS_INTERRUPTS & chance.getrandbits(13)))
    if chance.random() < 0.5:
        hart.menvcfg |= ENVCFG_STCE
        hart.henvcfg |= ENVCFG_STCE
    hart.stimecmp, hart.vstimecmp = (chance.randrange(8 * PIECE) for _ in range(2))
    hart.mcounteren = hart.hcounteren = hart.scounteren = chance.choice((0, 7))
    return host, count, chance


def outcome(engine: Any, wild: Wild) -> list[str]:
    """Run a program; return a digest of all state after each piece."""
    host, _, chance = prepared(engine, wild)
    hart: Any = host.harts[0]
    found: list[str] = []
    for _ in range(wild.pieces):
        reason = host.run(0, PIECE)
        found.append(digest(host, reason))
        if reason == EXIT_MMIO:
            hart.mmio_value, hart.mmio_state = address(chance), MMIO_ANSWERED + chance.getrandbits(1)
        if chance.random() < 0.2:
            hart.lines = chance.getrandbits(13)
    return found


class Plain:
    """Plain kernels in another process, to be asked about one program after another."""

    def __init__(self, project: Path) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.build.wild"],
            cwd=project,
            env={**os.environ, "VMLAB_JIT": "0", "VMLAB_CHECKED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def outcome(self, wild: Wild) -> list[str]:
        """Run a program there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(wild)) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().split()

    def __enter__(self) -> Plain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._process.communicate("")


Differs = Callable[[Wild], bool]


def shrink(wild: Wild, count: int, differs: Differs) -> Wild:
    """Return the shortest program with the fewest instructions with which the outcomes still differ."""
    for pieces in range(1, wild.pieces):
        if differs(replace(wild, pieces=pieces)):
            wild = replace(wild, pieces=pieces)
            break
    for number in range(count):
        smaller = replace(wild, dropped=(*wild.dropped, number))
        if differs(smaller):
            wild = smaller
    return wild


def listing(engine: Any, wild: Wild) -> str:
    """Return what is left of a program, from the start of its code page."""
    host, count, _ = prepared(engine, wild)
    words = host.read(CODE, 4 * count + 4)
    halves = [words[place : place + 4] for place in range(0, 4 * count, 4)]
    return "\n".join(disassemble(int.from_bytes(word, "little"), pc=0) for word in halves)


def main() -> None:
    """Answer each line of standard input, a program, with its digests."""
    engine = load_engine()
    for line in sys.stdin:
        fields = json.loads(line)
        wild = Wild(fields["seed"], fields["pieces"], tuple(fields["dropped"]))
        print(*outcome(engine, wild), flush=True)


if __name__ == "__main__":
    main()
