"""Guest programs are assembled or loaded while a lesson is read, so that their faults are lesson errors."""

from app.lessons.errors import LessonError
from emulator.lab.errors import LabError
from emulator.lab.programs import Program


def program_errors(program: Program, name: str) -> list[LessonError]:
    """Return the faults of a program, located in the file `name`."""
    try:
        _ = program.executable
    except LabError as error:
        found = [LessonError(name, each.line, each.column, each.message) for each in error.diagnostics]
        return found or [LessonError(name, 0, 0, str(error))]
    return []
