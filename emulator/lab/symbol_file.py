"""A VM's symbols as an ELF file for other debuggers: names and addresses, no code, no lines.

Source: System V ABI, "Object Files". Each segment of the program is a section without contents. A program
that moves itself when it turns paging on has everything twice: where it runs, and where it was loaded.
"""

from __future__ import annotations

from emulator.isa.elf_writer import symbols_to_elf
from emulator.machine.elf import Executable


def symbol_file(executable: Executable) -> bytes:
    """Return an ELF file with a program's symbols; empty if it has none."""
    if not executable.symbols:
        return b""
    moves = [0] if executable.runs_at is None else [executable.runs_at - executable.entry, 0]
    areas: list[tuple[int, int]] = []
    symbols: list[tuple[str, int]] = []
    for number, move in enumerate(moves):
        areas += [(segment.address + move, segment.size) for segment in executable.segments]
        shift = 0 if number == 0 else executable.entry - (executable.runs_at or 0)
        symbols += executable.symbols.moved(shift).pairs()
    return symbols_to_elf(executable.entry, areas, symbols)
