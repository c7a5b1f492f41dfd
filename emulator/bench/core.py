"""`vmlab bench core`: guest instructions per second of the interpreter, and how long its first compile takes.

Each program runs in S-mode under Sv39 with 4 KiB pages as a VM's guest, so every address goes through two
stages of translation. Where QEMU is installed it runs the same ELF file, in turns with ours, and both keep
their best time. Times are CPU time, which a busy machine disturbs least. The instructions are counted once,
in our run; QEMU's MIPS are the same instructions over QEMU's time.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from emulator.bench import qemu, vm
from emulator.bench.figures import Figure, figure, geometric_mean
from emulator.bench.programs import PRIVILEGED, Program, build_guest, native_check
from emulator.bench.stopwatch import BenchError
from emulator.build.engine import Engine

Say = Callable[[str], None]
# QEMU's console is read from outside: a shorter run is over before its first line has been seen.
SHORTEST_S = 0.01
COMPILE = "from emulator.build.engine import load_engine; load_engine()"


def measure(
    programs: Sequence[Program], size: str, repeat: int, cache: Path, engine: Engine, say: Say
) -> Iterator[Figure]:
    """Yield `core.<program>.mips` for each program and then their geometric mean.

    Raises BenchError when a check value is not the native run's (for a privileged program: QEMU's).
    """
    peer = qemu.version()
    rows: list[Figure] = []
    for program in programs:
        say(f"core: {program.name}")
        row = _measure_one(program, size, repeat, cache, engine, peer)
        rows.append(row)
        yield row
    peers = [row.peer_value for row in rows if row.peer_value is not None]
    peer_mean = geometric_mean(peers) if len(peers) == len(rows) else None
    yield figure("core.geomean.mips", geometric_mean(row.value for row in rows), "MIPS", peer, peer_mean)


def _measure_one(
    program: Program, size: str, repeat: int, cache: Path, engine: Engine, peer: str | None
) -> Figure:
    elf = build_guest(program, size, cache)
    expected = None if program in PRIVILEGED else native_check(program, size, cache)
    ours: list[float] = []
    theirs: list[float] = []
    instructions = 0
    for _ in range(repeat):
        run = vm.run(elf, engine)
        _require_check(program, "the emulator", run.stopwatch.check, expected)
        ours.append(run.stopwatch.elapsed())
        instructions = run.instructions
        if peer:
            stopwatch = qemu.run(elf)
            _require_check(program, peer, stopwatch.check, run.stopwatch.check)
            theirs.append(stopwatch.elapsed())
    millions = instructions / 1e6
    peer_value = millions / min(theirs) if theirs and min(theirs) >= SHORTEST_S else None
    return figure(f"core.{program.name}.mips", millions / min(ours), "MIPS", peer, peer_value)


def _require_check(program: Program, where: str, check: int | None, expected: int | None) -> None:
    if expected is not None and check != expected:
        shown = "nothing" if check is None else f"{check:#018x}"
        raise BenchError(f"bench: {program.name} on {where} gave {shown}; expected {expected:#018x}")


def measure_compile(say: Say) -> Figure:
    """Return `core.compile.s`: the first start of a new process with an empty cache."""
    say("core: first compile")
    with tempfile.TemporaryDirectory() as empty:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", COMPILE], env={**os.environ, "VMLAB_CACHE": empty}, check=True)
        return figure("core.compile.s", time.perf_counter() - started, "s")
