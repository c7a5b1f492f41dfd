"""Runs a benchmark program as the only VM on a host with one pCPU, with a lab's clock rate and timeslice."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from emulator.bench.programs import RAM_BYTES
from emulator.bench.stopwatch import BenchError, Stopwatch, Timed
from emulator.build.engine import Engine
from emulator.hypervisor import lifecycle
from emulator.hypervisor.hypervisor import Hypervisor
from emulator.hypervisor.trace import Revision
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import OnFault, VmSettings
from emulator.machine import elf
from emulator.machine.host import Host

CLOCK_HZ = 100_000_000
TIMESLICE_CYCLES = CLOCK_HZ // 1000
HYPERVISOR_BYTES = 4 << 20
CYCLE_LIMIT = 1 << 40


@dataclass
class VmRun(Timed):
    """`shown` is how much of the console has been read; `exits` counts exits of every kind."""

    shown: int = 0
    exits: Stopwatch = field(default_factory=Stopwatch)

    def watch(self, vcpu: Vcpu, reason: str) -> bool:
        """Read the console after an exit; stop when the program has printed its result."""
        console = vcpu.vm.console
        if console.length > self.shown:
            _, text = console.since(self.shown)
            self.shown = console.length
            self.feed(text, time.process_time(), vcpu.retired)
            self.exits.feed(text, vcpu.exits)
        return self.stopwatch.finished


def run(path: Path, engine: Engine, on_fault: OnFault = "crash") -> VmRun:
    """Run an ELF file until it has printed its result. Raises BenchError if it stops or crashes before."""
    host = Host(1, RAM_BYTES + HYPERVISOR_BYTES, CLOCK_HZ, engine)
    hypervisor = Hypervisor(host, TIMESLICE_CYCLES, Revision())
    executable = elf.load(path.read_bytes(), path.name)
    vm = hypervisor.define(VmSettings(path.stem, 1, RAM_BYTES, executable, on_fault))
    lifecycle.start(hypervisor, vm)
    result = VmRun()
    hypervisor.exit_watch = result.watch
    hypervisor.run_to(CYCLE_LIMIT)
    if not result.stopwatch.finished:
        shown = vm.console.text()[-300:].strip() or "nothing"
        raise BenchError(
            f"bench: {path.name} is {vm.state.value} without a result; its console shows: {shown}"
        )
    return result
