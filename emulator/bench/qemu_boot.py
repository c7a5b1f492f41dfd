"""Boots a guest under QEMU (full system, TCG) and OpenSBI, and times it by what its console shows."""

import os
import selectors
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from emulator.bench import qemu
from emulator.bench.stopwatch import BenchError
from emulator.machine import linux

FIRST_LINE = "Linux version"
TIMEOUT_S = 300.0


class Seconds(NamedTuple):
    """Two clocks at one instant, or the time between two instants."""

    wall: float
    cpu: float

    def since(self, start: "Seconds") -> "Seconds":
        """Return the time that has passed since an earlier instant."""
        return Seconds(self.wall - start.wall, self.cpu - start.cpu)


class Boot(NamedTuple):
    """How long it took to the prompt: from the process's start, and from the kernel's first line."""

    from_start: Seconds
    from_first_line: Seconds


def run(image: Path, memory_bytes: int, command_line: str, prompt: str) -> Boot:
    """Boot a FIT image once, to the prompt. Raises BenchError if none is shown."""
    kernel, initrd = linux.unbundle(image.read_bytes(), image.name)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "Image"), Path(folder, "initrd")
        paths[0].write_bytes(kernel)
        paths[1].write_bytes(initrd)
        command = f"{qemu.NAME} -machine virt -smp 1 -m {memory_bytes >> 20}M -bios default -no-reboot"
        command += " -display none -monitor none -serial stdio"
        started = Seconds(time.perf_counter(), 0.0)
        with subprocess.Popen(
            [*command.split(), "-kernel", paths[0], "-initrd", paths[1], "-append", command_line],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                return _watch(process, started, prompt)
            finally:
                process.kill()


def _watch(process: subprocess.Popen[bytes], started: Seconds, prompt: str) -> Boot:
    assert process.stdout is not None
    text, first_line = "", None
    deadline = time.perf_counter() + TIMEOUT_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while prompt not in text:
            if not selector.select(deadline - time.perf_counter()):
                raise BenchError("bench: QEMU did not boot in time")
            data = os.read(process.stdout.fileno(), 4096)
            if not data:
                raise BenchError(f"bench: QEMU ended without a prompt: {text[-300:].strip() or 'nothing'}")
            text += data.decode("ascii", "replace")
            if first_line is None and FIRST_LINE in text:
                first_line = _now(process)
        assert first_line is not None
        end = _now(process)
    return Boot(end.since(started), end.since(first_line))


def _now(process: subprocess.Popen[bytes]) -> Seconds:
    return Seconds(time.perf_counter(), qemu.cpu_seconds(process.pid))
