"""The machines that run a batch: ours, compiled or as plain Python in another process, and QEMU's `virt`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Protocol

from emulator.devices.virt import Board, BoardConfig
from emulator.errors import VmLabError
from emulator.fuzz.batch import Batch, Memory, Outcome, regions
from emulator.fuzz.layout import MONITOR, RAM_BYTES
from emulator.isa.extensions import DEFAULT_ISA, Isa, extension_bit
from emulator.machine.engine import Engine
from emulator.state import RAM_BASE

QEMU = "qemu-system-riscv64"
QEMU_ARGUMENTS = (
    "-nographic", "-bios", "none", "-m", f"{RAM_BYTES >> 20}M", "-net", "none", "-monitor", "none", "-serial",
    "none",
)  # fmt: skip
CYCLES = 1 << 28
WITHOUT_PAGE_TYPES = Isa(DEFAULT_ISA.bits & ~(extension_bit("svnapot") | extension_bit("svpbmt")))


class OracleError(VmLabError):
    """The other machine is missing, or of an unknown version."""


class NoOutcome(VmLabError):
    """A machine did not end a batch, or ended itself."""


class Run(Protocol):
    """A batch that is running on a machine."""

    def outcome(self) -> Outcome:
        """Wait for its end. Raises NoOutcome."""
        ...

    def stop(self) -> None:
        """End it; nobody wants its outcome."""
        ...


class Machine(Protocol):
    """Something that runs batches."""

    name: str

    def start(self, batch: Batch) -> Run:
        """Begin to run a batch."""
        ...


def run_here(engine: Engine, image: Memory, programs: int, *, page_types: bool) -> Outcome:
    """Run an image on our board. Raises NoOutcome if it does not end."""
    isa = DEFAULT_ISA if page_types else WITHOUT_PAGE_TYPES
    board = Board(BoardConfig(1, RAM_BYTES, isa=isa), engine, lambda sent: None)
    for address, data in image.items():
        board.load_bytes(data, address, "the batch")
    board.start(MONITOR)
    board.run(CYCLES)
    if board.machine.stop_code != 0:
        hart = board.machine.host.harts[0]
        raise NoOutcome(
            f"our machine did not end: pc {hart.pc:#x}, mepc {hart.mepc:#x}, mcause {hart.mcause:#x}"
        )
    host = board.machine.host
    return Outcome(**{name: host.read(*place) for name, place in regions(programs).items()})


class Ours:
    """Our machine in this process."""

    name = "ours"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, batch: Batch) -> Outcome:
        """Run a batch."""
        return run_here(self._engine, batch.image(), len(batch.programs), page_types=batch.world.page_types)


class _ImageRun:
    """A process that works on a file that is the machine's RAM."""

    def __init__(
        self,
        command: list[str],
        directory: tempfile.TemporaryDirectory[str],
        programs: int,
        name: str,
        environment: dict[str, str],
        seconds: float,
    ) -> None:
        self._directory, self._programs, self._name, self._seconds = directory, programs, name, seconds
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
        )

    def __enter__(self) -> _ImageRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()

    def stop(self) -> None:
        """End the process."""
        with self:
            pass

    def outcome(self) -> Outcome:
        """Wait for the end and read what is in the file."""
        with self:
            try:
                output, _ = self._process.communicate(timeout=self._seconds)
            except subprocess.TimeoutExpired as error:
                raise NoOutcome(f"{self._name} did not end within {self._seconds:.0f} s") from error
            if self._process.returncode != 0:
                raise NoOutcome(f"{self._name} failed: {output.decode(errors='replace').strip()[-500:]}")
            return read_ram(Path(self._directory.name, "ram"), self._programs)


def write_ram(path: Path, image: Memory) -> None:
    """Write an image into a file of the size of RAM."""
    with path.open("wb") as file:
        file.truncate(RAM_BYTES)
        for address, data in image.items():
            file.seek(address - RAM_BASE)
            file.write(data)


def read_ram(path: Path, programs: int) -> Outcome:
    """Read an outcome from such a file."""
    parts: dict[str, bytes] = {}
    with path.open("rb") as file:
        for name, (address, length) in regions(programs).items():
            file.seek(address - RAM_BASE)
            parts[name] = file.read(length)
    return Outcome(**parts)


class Qemu:
    """QEMU's full-system emulator (TCG)."""

    name = "QEMU"

    def __init__(self, seconds: float = 20) -> None:
        """Find QEMU. Raises OracleError where it is not installed or its faults are not known."""
        command = shutil.which(QEMU)
        if command is None:
            raise OracleError(
                f"{QEMU} is not installed; install it (Debian: qemu-system-misc) or use --oracle plain"
            )
        done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, check=True)
        if "version 7.2" not in done.stdout:
            raise OracleError(
                f"{QEMU} is {done.stdout.splitlines()[0]}; the table of known differences is for 7.2"
            )
        self._command, self._seconds = command, seconds

    def start(self, batch: Batch) -> Run:
        """Begin to run a batch in a process of its own."""
        directory = tempfile.TemporaryDirectory(prefix="vmlab-fuzz-")
        ram = Path(directory.name, "ram")
        write_ram(ram, batch.image())
        backing = f"memory-backend-file,id=ram,size={RAM_BYTES},mem-path={ram},share=on"
        cpu = "rv64,h=true,svinval=true" + (",svnapot=true,svpbmt=true" if batch.world.page_types else "")
        command = [self._command, *QEMU_ARGUMENTS, "-cpu", cpu, "-object", backing]
        command += ["-machine", "virt,memory-backend=ram"]
        return _ImageRun(command, directory, len(batch.programs), self.name, dict(os.environ), self._seconds)


class Plain:
    """Our kernels as plain Python (VMLAB_JIT=0), in another process."""

    name = "plain Python"

    def __init__(self, seconds: float = 600) -> None:
        self._seconds = seconds

    def start(self, batch: Batch) -> Run:
        """Begin to run a batch."""
        directory = tempfile.TemporaryDirectory(prefix="vmlab-fuzz-")
        ram = Path(directory.name, "ram")
        write_ram(ram, batch.image())
        command = [sys.executable, "-m", "emulator.fuzz.image", str(ram), str(len(batch.programs))]
        command += ["page-types"] if batch.world.page_types else []
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
        environment = os.environ | {"VMLAB_JIT": "0", "PYTHONPATH": path}
        return _ImageRun(command, directory, len(batch.programs), self.name, environment, self._seconds)
