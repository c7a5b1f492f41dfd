"""Guest programs of a lesson: read and assembled with the lesson, so that their faults are lesson errors."""

from dataclasses import dataclass

from app.lessons.errors import LessonError
from emulator.isa.assembler import AssemblyError, assemble
from emulator.machine.elf import ElfError, load


@dataclass(frozen=True)
class Program:
    """A guest program: assembly `source`, or an ELF file's bytes."""

    name: str
    source: str | None = None
    elf: bytes | None = None


def program_errors(program: Program, name: str) -> list[LessonError]:
    """Return the faults of a program, located in the file `name`."""
    try:
        if program.source is not None:
            assemble(program.source, filename=program.name)
        if program.elf is not None:
            load(program.elf, program.name)
    except AssemblyError as error:
        return [LessonError(name, each.line, each.column, each.message) for each in error.problems]
    except ElfError as error:
        return [LessonError(name, 0, 0, str(error))]
    return []
