"""`vmlab bench hypervisor`: how many exits and world switches of guests the hypervisor handles in a second.

Each kind of exit has a small guest that does little else (guests/programs/exits.c), the only VM on its host.
What is counted is every exit between the program's two lines of output, so `timer` has the SBI calls that set
the timer too; the time is the CPU time in between, the guest's own instructions included. World switches are
those of two VMs that compute on one pCPU with a short timeslice; each is an exit, too.

Where QEMU is installed it runs the guests that mean something there, in turns with ours, under OpenSBI: there
is no hypervisor, but a call to the SBI enters firmware, a device is emulated, and a timer is the firmware's.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.bench import keeping, qemu, recording, vm
from emulator.bench.core import SHORTEST_S
from emulator.bench.figures import Figure, figure
from emulator.bench.programs import RAM_BYTES, Program, build_guest
from emulator.build.engine import Engine
from emulator.hypervisor import lifecycle
from emulator.hypervisor.hypervisor import Hypervisor
from emulator.hypervisor.trace import Revision
from emulator.hypervisor.vm import Vm, VmSettings
from emulator.machine import elf
from emulator.machine.host import Host

Say = Callable[[str], None]

COMPARABLE = ("sbi", "mmio", "timer")
KINDS = (*COMPARABLE, "wfi", "guest_page_fault", "virtual_instruction")
SWITCH_TIMESLICE_CYCLES = 1000
SWITCH_CYCLES = {"s": 30_000_000, "m": 300_000_000}
WARM_UP_CYCLES = 2_000_000


@dataclass(frozen=True)
class Measurement:
    """What every part of the suite is given: `repeat` runs of guests of a `size`, built into `cache`."""

    engine: Engine
    size: str
    repeat: int
    cache: Path
    say: Say
    linux: Path  # where its image is, if it is built


def exit_program(kind: str) -> Program:
    """Return the guest that leaves for the hypervisor in one way again and again."""
    sizes = {"s": 20_000, "m": 200_000}
    return Program(kind, sizes, source="exits", defines=(f"-DEXIT_{kind.upper()}",))


def measure_exits(measurement: Measurement) -> Iterator[Figure]:
    """Yield `hypervisor.exits_per_s.<kind>`."""
    for kind in KINDS:
        measurement.say(f"hypervisor: {kind}")
        yield _measure_kind(measurement, kind)


def _measure_kind(measurement: Measurement, kind: str) -> Figure:
    path = build_guest(exit_program(kind), measurement.size, measurement.cache)
    peer = qemu.version() if kind in COMPARABLE else None
    ours: list[float] = []
    theirs: list[float] = []
    exits = 0.0
    for _ in range(measurement.repeat):
        run = vm.run(path, measurement.engine, "skip")
        exits = run.exits.elapsed()
        ours.append(run.stopwatch.elapsed())
        if peer:
            theirs.append(qemu.run(path, bare=False).elapsed())
    rate = exits / min(theirs) if theirs and min(theirs) >= SHORTEST_S else None
    return figure(f"hypervisor.exits_per_s.{kind}", exits / min(ours), "exits/s", peer, rate)


def measure_switches(measurement: Measurement) -> Iterator[Figure]:
    """Yield `hypervisor.world_switches_per_s`."""
    measurement.say("hypervisor: world switches")
    path = build_guest(exit_program("budget"), measurement.size, measurement.cache)
    rates = [_switch_rate(path, measurement) for _ in range(measurement.repeat)]
    yield figure("hypervisor.world_switches_per_s", max(rates), "switches/s")


def _switch_rate(path: Path, measurement: Measurement) -> float:
    host = Host(1, 2 * RAM_BYTES + 2 * vm.HYPERVISOR_BYTES, vm.CLOCK_HZ, measurement.engine)
    hypervisor = Hypervisor(host, SWITCH_TIMESLICE_CYCLES, Revision())
    executable = elf.load(path.read_bytes(), path.name)
    both = [hypervisor.define(VmSettings(name, 1, RAM_BYTES, executable)) for name in ("a", "b")]
    for one in both:
        lifecycle.start(hypervisor, one)
    hypervisor.run_to(WARM_UP_CYCLES)
    before, started = _switches(both), time.process_time()
    hypervisor.run_to(WARM_UP_CYCLES + SWITCH_CYCLES[measurement.size])
    return (_switches(both) - before) / (time.process_time() - started)


def _switches(vms: list[Vm]) -> int:
    """Return how often a timeslice has ended; with two VMs that never wait, the other one goes on."""
    return sum(one.exits.get("budget", 0) for one in vms)


def measure_keeping(measurement: Measurement) -> Iterator[Figure]:
    """Yield what snapshots, clones and going back cost (`emulator.bench.keeping`)."""
    yield from keeping.figures_of(measurement.engine, measurement.size, measurement.repeat, measurement.say)


def measure_recording(measurement: Measurement) -> Iterator[Figure]:
    """Yield what recording costs (`emulator.bench.recording`)."""
    yield from recording.figures_of(
        measurement.engine, measurement.size, measurement.repeat, measurement.linux, measurement.say
    )


# Each yields figures named `hypervisor.<what>`.
PARTS: tuple[Callable[[Measurement], Iterator[Figure]], ...] = (
    measure_exits,
    measure_switches,
    measure_keeping,
    measure_recording,
)


def measure(measurement: Measurement) -> Iterator[Figure]:
    """Yield the figures of every part. Raises BenchError when a guest does not get to its end."""
    for part in PARTS:
        yield from part(measurement)
