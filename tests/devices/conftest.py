"""Fixtures: the compiled engine, and boards that run assembled programs."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.build.engine import load_engine
from emulator.devices.virt import Board, BoardConfig
from emulator.isa.assembler import assemble
from emulator.machine.elf import Executable, Segment
from emulator.state import RAM_BASE

MakeBoard = Callable[..., "Running"]


class Running:
    """A board with a program, started; `console` collects what it sends."""

    def __init__(self, source: str, config: BoardConfig, **parts: Any) -> None:
        """Assemble `source` to the start of RAM; a symbol `tohost` turns HTIF on."""
        self.console = bytearray()
        self.board = Board(config, load_engine(), self.console.extend, **parts)
        program = assemble(source)
        self.symbols = program.symbols
        segments = tuple(Segment(each.address, each.data, len(each.data), 7) for each in program.segments)
        self.board.load(Executable(RAM_BASE, segments))
        if "tohost" in self.symbols:
            self.board.enable_htif(self.symbols["tohost"], self.symbols.get("fromhost"))
        self.board.start(RAM_BASE)

    @property
    def machine(self) -> Any:
        """The machine under the board."""
        return self.board.machine

    @property
    def harts(self) -> Any:
        """Hart records."""
        return self.board.machine.host.harts

    def load(self, symbol: str, size: int = 8) -> int:
        """Read a variable of the program."""
        return int.from_bytes(self.machine.host.read(self.symbols[symbol], size), "little")


@pytest.fixture
def start(engine: Any) -> MakeBoard:
    """Start a program on a board of `harts` harts and 2 MiB."""

    def start(source: str, harts: int = 1, memory: int = 2 << 20, **parts: Any) -> Running:
        return Running(source, BoardConfig(harts, memory), **parts)

    return start
