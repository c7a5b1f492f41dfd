"""`vmlab bench boot`: Linux from its first instruction to a shell's prompt, as a VM's guest.

The guest runs as the only VM on a host with one pCPU, with a lab's clock rate and timeslice. Where QEMU is
installed it boots the same kernel and initramfs under OpenSBI, in turns with ours; both keep their best
times. QEMU's count from the kernel's first line, as its firmware is none of ours. Wall time is what a student
waits, CPU time what a busy machine disturbs least.
"""

import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from emulator.bench import qemu
from emulator.bench.figures import Figure, figure
from emulator.bench.stopwatch import BenchError
from emulator.bench.vm import CLOCK_HZ, HYPERVISOR_BYTES, TIMESLICE_CYCLES
from emulator.build.engine import Engine
from emulator.hypervisor import lifecycle
from emulator.hypervisor.hypervisor import Hypervisor
from emulator.hypervisor.trace import Revision
from emulator.hypervisor.vm import Vm, VmSettings
from emulator.machine import linux
from emulator.machine.host import Host

RAM_BYTES = 64 << 20
COMMAND_LINE = "console=hvc0"
FIRST_LINE, PROMPT = "Linux version", "~ # "
LIMIT_CYCLES = 2_000_000_000
TIMEOUT_S = 300.0


class Seconds(NamedTuple):
    """Two clocks at one instant, or the time between two instants."""

    wall: float
    cpu: float


def _between(start: Seconds, end: Seconds) -> Seconds:
    return Seconds(end.wall - start.wall, end.cpu - start.cpu)


def measure(image: Path, repeat: int, engine: Engine) -> Iterator[Figure]:
    """Yield `boot.linux.instructions`, `exits`, `wall_s` and `cpu_s`. Raises BenchError without a prompt."""
    peer = qemu.version()
    ours: list[Seconds] = []
    theirs: list[Seconds] = []
    vm = None
    for _ in range(repeat):
        seconds, vm = _boot(image, engine)
        ours.append(seconds)
        if peer:
            theirs.append(_boot_qemu(image))
    assert vm is not None
    yield figure("boot.linux.instructions", sum(vcpu.retired for vcpu in vm.vcpus), "instructions")
    yield figure("boot.linux.exits", sum(vm.exits.values()), "exits")
    for index, name in enumerate(Seconds._fields):
        best = min(times[index] for times in theirs) if theirs else None
        yield figure(f"boot.linux.{name}_s", min(times[index] for times in ours), "s", peer, best)


def _boot(image: Path, engine: Engine) -> tuple[Seconds, Vm]:
    """Boot once; return how long it took and the VM at its prompt."""
    host = Host(1, RAM_BYTES + HYPERVISOR_BYTES, CLOCK_HZ, engine)
    hypervisor = Hypervisor(host, TIMESLICE_CYCLES, Revision())
    executable = linux.load_bundle(image.read_bytes(), image.name)
    vm = hypervisor.define(VmSettings("linux", 1, RAM_BYTES, executable, append=COMMAND_LINE))
    started = Seconds(time.perf_counter(), time.process_time())
    lifecycle.start(hypervisor, vm)
    hypervisor.exit_watch = lambda vcpu, reason: reason == "wfi" and PROMPT in vcpu.vm.console.text()
    hypervisor.run_to(LIMIT_CYCLES)
    ended = Seconds(time.perf_counter(), time.process_time())
    if PROMPT not in vm.console.text():
        raise BenchError(
            f"bench: {image.name} is {vm.state.value} without a prompt; its console shows:"
            f" {vm.console.text()[-300:].strip() or 'nothing'}"
        )
    return _between(started, ended), vm


def _boot_qemu(image: Path) -> Seconds:
    """Boot once under QEMU; return how long it took from the kernel's first line to the prompt."""
    kernel, initrd = linux.unbundle(image.read_bytes(), image.name)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "Image"), Path(folder, "initrd")
        paths[0].write_bytes(kernel)
        paths[1].write_bytes(initrd)
        command = f"{qemu.NAME} -machine virt -smp 1 -m {RAM_BYTES >> 20}M -bios default -no-reboot"
        command += " -display none -monitor none -serial stdio"
        with subprocess.Popen(
            [*command.split(), "-kernel", paths[0], "-initrd", paths[1], "-append", COMMAND_LINE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                return _watch_qemu(process)
            finally:
                process.kill()


def _watch_qemu(process: subprocess.Popen[bytes]) -> Seconds:
    assert process.stdout is not None
    text, started = "", None
    deadline = time.perf_counter() + TIMEOUT_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while PROMPT not in text:
            if not selector.select(deadline - time.perf_counter()):
                raise BenchError("bench: QEMU did not boot in time")
            data = os.read(process.stdout.fileno(), 4096)
            if not data:
                raise BenchError(f"bench: QEMU ended without a prompt: {text[-300:].strip() or 'nothing'}")
            text += data.decode("ascii", "replace")
            if started is None and FIRST_LINE in text:
                started = Seconds(time.perf_counter(), qemu.cpu_seconds(process.pid))
        assert started is not None
        return _between(started, Seconds(time.perf_counter(), qemu.cpu_seconds(process.pid)))
