"""Guest programs: what a lesson or a student wrote, and what it becomes when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from emulator.isa.assembler import assemble
from emulator.isa.assembly.problems import AssemblyError, Problem
from emulator.isa.symbols import Symbols
from emulator.lab.errors import Diagnostic, LabError
from emulator.machine import elf, elf_symbols, linux
from emulator.machine.elf import ElfError, Executable, Segment

PERMISSION_BITS = {"r": 4, "w": 2, "x": 1}
MAX_SOURCE_CHARACTERS = 256 << 10


@dataclass(frozen=True)
class Program:
    """A guest program: assembly text, or in `elf` the bytes of an ELF file, a Linux Image or a FIT image."""

    name: str
    source: str | None = None
    elf: bytes | None = None

    @property
    def is_kernel(self) -> bool:
        """Whether it is an operating system's kernel, which takes a command line."""
        data = self.elf or b""
        return linux.is_image(data) or data.startswith(linux.FIT_MAGIC)

    @cached_property
    def executable(self) -> Executable:
        """The program, assembled or read. Raises LabError with line and column."""
        if self.source is not None:
            return _assembled(self.name, self.source)
        data = self.elf or b""
        try:
            if linux.is_image(data):
                return linux.load(data, name=self.name)
            if data.startswith(linux.FIT_MAGIC):
                return linux.load_bundle(data, self.name)
            return replace(elf.load(data, self.name), symbols=Symbols.of(_code_symbols(data)))
        except ElfError as error:
            raise LabError(str(error), "program") from error


def _assembled(name: str, source: str) -> Executable:
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise LabError(
            f"{name} has {len(source)} characters; a program may have {MAX_SOURCE_CHARACTERS}", "source"
        )
    try:
        program = assemble(source, filename=name)
    except AssemblyError as error:
        raise LabError(str(error), "source", [_diagnostic(problem) for problem in error.problems]) from error
    segments = tuple(
        Segment(segment.address, segment.data, len(segment.data), _flags(segment.permissions))
        for segment in program.segments
    )
    return Executable(program.entry, segments, name, source, Symbols.of(program.symbols), program.lines)


def _code_symbols(data: bytes) -> dict[str, int]:
    """Return the symbols of an ELF file, without a compiler's local labels and mapping symbols."""
    found = elf_symbols.symbols(data)
    return {name: value for name, value in found.items() if not name.startswith((".", "$"))}


def _flags(permissions: str) -> int:
    return sum(PERMISSION_BITS.get(letter, 0) for letter in permissions)


def _diagnostic(problem: Problem) -> Diagnostic:
    return Diagnostic(problem.line, problem.column, problem.width, problem.message)
