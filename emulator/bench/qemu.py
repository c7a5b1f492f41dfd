"""Runs a benchmark program under QEMU's full-system emulator (TCG): as firmware, or in S-mode under OpenSBI.

Left out: KVM, several harts.
"""

import os
import selectors
import shutil
import subprocess
import sys
import time
from pathlib import Path

from emulator.bench.programs import RAM_BYTES
from emulator.bench.stopwatch import BenchError, Stopwatch

NAME = "qemu-system-riscv64"


def version() -> str | None:
    """Return QEMU's name and version, or None where it is not installed."""
    if shutil.which(NAME) is None:
        return None
    done = subprocess.run([NAME, "--version"], capture_output=True, text=True, timeout=60, check=True)
    return "QEMU " + done.stdout.split("version ")[1].split()[0]


def run(elf: Path, bare: bool = False, timeout_s: float = 600) -> Stopwatch:
    """Run `elf` to its end, `bare` as firmware; return the stopwatch, in seconds of CPU time."""
    arguments = f"-machine virt -smp 1 -m {RAM_BYTES >> 20}M -no-reboot"
    arguments += " -display none -monitor none -serial stdio"
    program = ["-bios", str(elf)] if bare else ["-bios", "default", "-kernel", str(elf)]
    with subprocess.Popen(
        [NAME, *arguments.split(), *program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            return _watch(process, time.perf_counter() + timeout_s)
        finally:
            process.kill()


def _watch(process: subprocess.Popen[bytes], deadline: float) -> Stopwatch:
    assert process.stdout is not None
    stopwatch = Stopwatch()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not stopwatch.finished:
            if not selector.select(deadline - time.perf_counter()):
                raise BenchError("bench: QEMU did not finish in time")
            data = os.read(process.stdout.fileno(), 4096)
            stopwatch.feed(data.decode("ascii", "replace"), cpu_seconds(process.pid))
            if not data:
                break
    return stopwatch


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of another process; where the system has no such clock, the time of day."""
    if sys.platform != "linux":
        return time.perf_counter()
    # clock_getcpuclockid(3), which Python does not offer: the complement of the ID above three bits of kind.
    scheduled = 2
    return time.clock_gettime(~pid << 3 | scheduled)
