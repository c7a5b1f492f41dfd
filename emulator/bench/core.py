"""`vmlab bench core`: how long programs take on the interpreter, and how long its first compile takes.

Computing programs run twice: as firmware of the bare machine (`core.<program>`: M-mode without paging) and
as a VM's kernel (`core.vm.<program>`: VS-mode under Sv39 with 4 KiB pages, so that every address goes through
two stages of translation). Programs that measure traps, paging and interrupts need a supervisor and run as a
VM's kernel only; they keep the short name.

Where QEMU is installed it runs the same ELF file, in turns with ours, and both keep their best time. Times
are CPU time, which a busy machine disturbs least. The instructions are counted once, in our run; QEMU's MIPS
are the same instructions over QEMU's time.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.bench import bare, qemu, vm
from emulator.bench.figures import Figure, aligned, figure, geometric_mean, shown
from emulator.bench.programs import (
    BARE,
    FLOAT,
    INTEGER,
    PRIVILEGED,
    SUPERVISOR,
    Platform,
    Program,
    build_guest,
    native_check,
)
from emulator.bench.stopwatch import BenchError
from emulator.build.engine import Engine

Say = Callable[[str], None]
# QEMU's console is read from outside: a shorter run is over before its first line has been seen.
SHORTEST_S = 0.01
COMPILE = "from emulator.build.engine import load_engine; load_engine()"
GROUPS = {"integer": INTEGER, "float": FLOAT}


@dataclass(frozen=True)
class Result:
    """Best times of one program on one platform; `theirs_s` is None without a peer that can be timed."""

    program: Program
    platform: Platform
    instructions: int
    ours_s: float
    theirs_s: float | None

    @property
    def name(self) -> str:
        """`core.<program>`, or `core.vm.<program>` for the second run of a program that has two."""
        return _name(self.program.name, self.platform is SUPERVISOR and self.program not in PRIVILEGED)


def _name(what: str, in_vm: bool) -> str:
    return f"core.vm.{what}" if in_vm else f"core.{what}"


def measure(
    programs: Sequence[Program], size: str, repeat: int, cache: Path, engine: Engine, say: Say
) -> Iterator[Result]:
    """Yield the result of each program on each platform that it runs on.

    Raises BenchError when a check value is not the native run's (for a privileged program: QEMU's).
    """
    peer = qemu.version()
    for program in programs:
        expected = None if program in PRIVILEGED else native_check(program, size, cache)
        for platform in (SUPERVISOR,) if program in PRIVILEGED else (BARE, SUPERVISOR):
            say(f"core: {program.name} ({platform.name})")
            elf = build_guest(program, size, cache, platform)
            yield _measure_one(program, platform, elf, expected, repeat, engine, peer)


def _measure_one(
    program: Program,
    platform: Platform,
    elf: Path,
    expected: int | None,
    repeat: int,
    engine: Engine,
    peer: str | None,
) -> Result:
    ours: list[float] = []
    theirs: list[float] = []
    instructions = 0
    for _ in range(repeat):
        run = bare.run(elf, engine) if platform is BARE else vm.run(elf, engine)
        _require_check(program, "the emulator", run.stopwatch.check, expected)
        ours.append(run.stopwatch.elapsed())
        instructions = run.instructions
        if peer:
            stopwatch = qemu.run(elf, platform is BARE)
            _require_check(program, peer, stopwatch.check, run.stopwatch.check)
            theirs.append(stopwatch.elapsed())
    timed = bool(theirs) and min(theirs) >= SHORTEST_S
    return Result(program, platform, instructions, min(ours), min(theirs) if timed else None)


def _require_check(program: Program, where: str, check: int | None, expected: int | None) -> None:
    if expected is not None and check != expected:
        shown = "nothing" if check is None else f"{check:#018x}"
        raise BenchError(f"bench: {program.name} on {where} gave {shown}; expected {expected:#018x}")


def figures_of(results: Sequence[Result]) -> Iterator[Figure]:
    """Yield `.mips` of each, `.over_qemu` (our time over the peer's) where there is one, then the means."""
    peer = qemu.version()
    for result in results:
        millions = result.instructions / 1e6
        theirs = result.theirs_s and millions / result.theirs_s
        yield figure(f"{result.name}.mips", millions / result.ours_s, "MIPS", peer, theirs)
        if result.theirs_s is not None:
            yield figure(f"{result.name}.over_qemu", result.ours_s / result.theirs_s, "times")
    for group, programs in GROUPS.items():
        for platform in (BARE, SUPERVISOR):
            found = [
                result for result in results if result.platform is platform and result.program in programs
            ]
            times = [result.ours_s / result.theirs_s for result in found if result.theirs_s is not None]
            if len(times) == len(programs):
                name = _name(f"{group}.geomean_over_qemu", platform is SUPERVISOR)
                yield figure(name, geometric_mean(times), "times")


def as_table(results: Sequence[Result], compile_s: Figure) -> str:
    """Return the results as a table: speeds, and our time over QEMU's (below 1 we are faster)."""
    figures = {row.name: row for row in figures_of(results)}
    rows = [["program", "instructions", "MIPS", qemu.version() or "peer", "time over QEMU"]]
    for result in results:
        speed = figures[f"{result.name}.mips"]
        ratio = figures.get(f"{result.name}.over_qemu")
        counted = f"{result.instructions / 1e6:.0f} M"
        cells = [counted, shown(speed.value), shown(speed.peer_value), shown(ratio and ratio.value)]
        rows.append([result.name.removeprefix("core."), *cells])
    for name, row in figures.items():
        if name.endswith("geomean_over_qemu"):
            rows.append(
                [
                    name.removeprefix("core.").replace(".geomean_over_qemu", " mean"),
                    "",
                    "",
                    "",
                    shown(row.value),
                ]
            )
    return aligned(rows, "<>>>>") + f"\nfirst compile of the kernels: {shown(compile_s.value)} s"


def measure_compile(say: Say) -> Figure:
    """Return `core.compile_s`: the first start of a new process with an empty cache."""
    say("core: first compile")
    with tempfile.TemporaryDirectory() as empty:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", COMPILE], env={**os.environ, "VMLAB_CACHE": empty}, check=True)
        return figure("core.compile_s", time.perf_counter() - started, "s")
