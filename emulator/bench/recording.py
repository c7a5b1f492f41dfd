"""What recording costs, of `vmlab bench hypervisor`: `hypervisor.recording_overhead.<guest>`, in percent.

Two labs run the same guest, one of them recorded, so that it could be rewound. They advance by turns in short
slices, first the one and then the other ahead, so that whatever else the machine does meets both alike; the
figure is the CPU time of the recorded one over the other's, the median of several pairs. `compute` writes its
memory and computes, `exits` does nothing but leave for the hypervisor, `linux` boots to its prompt.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from emulator.bench.figures import Figure, figure
from emulator.build.engine import Engine
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program

SLICES = 60
LEAST = 5  # pairs of each guest
COMPUTE = """
        li t0, 0x80010000
        li t1, 0x80f00000
        li t2, 4096
1:      sd t0, (t0)
        add t0, t0, t2
        bltu t0, t1, 1b
2:      addi t3, t3, 1
        mul t4, t3, t3
        xor t5, t5, t4
        j 2b
"""
EXITS = """
        li a7, 0x10
        li a6, 0
1:      ecall
        j 1b
"""
# Positions that a guest is followed for; Linux is at its prompt after 40 million.
LENGTHS = {
    "s": {"compute": 100_000_000, "exits": 20_000_000, "linux": 40_000_000},
    "m": {"compute": 600_000_000, "exits": 120_000_000, "linux": 60_000_000},
}


def figures_of(
    engine: Engine, size: str, repeat: int, linux: Path, say: Callable[[str], None]
) -> Iterator[Figure]:
    """Yield the overhead for each guest, that of Linux if its image is built, and the largest."""
    programs = {
        "compute": Program("compute.s", source=COMPUTE),
        "exits": Program("exits.s", source=EXITS),
    }
    if linux.is_file():
        programs["linux"] = Program("linux", elf=linux.read_bytes())
    worst = -100.0
    for name, program in programs.items():
        say(f"hypervisor: recording, {name}")
        pairs = max(repeat, LEAST)
        found = [_overhead(engine, program, LENGTHS[size][name], bool(number % 2)) for number in range(pairs)]
        worst = max(worst, median(found))
        yield figure(f"hypervisor.recording_overhead.{name}", median(found), "%")
    yield figure("hypervisor.recording_overhead", worst, "%")


def _overhead(engine: Engine, program: Program, length: int, swapped: bool) -> float:
    """Return by how many percent a recorded lab is slower than one that is not."""
    plain, recorded = _lab(engine, program), _lab(engine, program)
    recorded.record()
    spent = {id(plain): 0.0, id(recorded): 0.0}
    for number in range(1, SLICES + 1):
        order = (plain, recorded) if (number % 2) ^ swapped else (recorded, plain)
        for lab in order:
            started = time.process_time()
            lab.advance(length * number // SLICES)
            spent[id(lab)] += time.process_time() - started
    return (spent[id(recorded)] / spent[id(plain)] - 1) * 100


def _lab(engine: Engine, program: Program) -> Lab:
    vm = {"name": "vm", "program": program.name, "memory": "64 MiB" if program.is_kernel else "16 MiB"}
    host = {"pcpus": 1, "memory": "80 MiB"}
    lab = Lab(LabConfig.from_dict({"host": host, "vms": [vm]}), {program.name: program}, 1, engine)
    lab.apply({"verb": "start", "vm": "vm"})
    return lab
