"""Runs a benchmark program as the firmware of a bare machine with one hart: M-mode, no paging."""

import time
from pathlib import Path

from emulator.bench.programs import RAM_BYTES
from emulator.bench.stopwatch import BenchError, Timed
from emulator.build.engine import Engine
from emulator.devices.virt import Board, BoardConfig
from emulator.machine import elf

SLICE_CYCLES = 50_000_000


def step(path: Path, engine: Engine) -> None:
    """Run the first instruction of an ELF file, in as much memory as a lab has."""
    board = Board(BoardConfig(memory_bytes=32 << 20), engine, lambda _: None)
    executable = elf.load(path.read_bytes(), path.name)
    board.load(executable)
    board.start(executable.entry)
    board.run(1)


def run(path: Path, engine: Engine) -> Timed:
    """Run an ELF file until it has printed its result. Raises BenchError if it stops before."""
    result = Timed()

    def show(data: bytes) -> None:
        result.feed(data.decode("ascii", "replace"), time.process_time(), board.machine.instructions)

    board = Board(BoardConfig(memory_bytes=RAM_BYTES), engine, show)
    executable = elf.load(path.read_bytes(), path.name)
    board.load(executable)
    board.start(executable.entry)
    while not result.stopwatch.finished:
        if not board.run(SLICE_CYCLES) or board.machine.stop_code is not None:
            break
    if not result.stopwatch.finished:
        shown = result.stopwatch.text[-300:].strip() or "nothing"
        raise BenchError(f"bench: {path.name} stopped without a result; its console shows: {shown}")
    return result
