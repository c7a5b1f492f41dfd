"""Build Primer, the teaching system in `lessons/guests/primer`: four programs, then the kernel with them."""

from pathlib import Path

from app import paths
from app.guests import compiler
from app.guests.compiler import FLAGS, runtime

PROGRAMS = ("shell", "spin", "crash", "count")
LIBRARY = ("string.c", "print.c")


def sources() -> Path:
    """Return the directory of Primer's sources."""
    return paths.lessons_dir() / "guests" / "primer"


def build() -> bytes:
    """Return the kernel as an ELF file, compiled once for the same sources. Raises GuestError."""
    return compiler.cached([*compiler.read_all(sources()), *compiler.read_all(runtime())], _build)


def _build() -> bytes:
    with compiler.workshop() as folder:
        for name in PROGRAMS:
            files = [sources() / "user" / f"{name}.c", sources() / "user/calls.c"]
            _compile(folder, files, runtime() / "user.ld", f"{name}.elf")
        kernel = sorted((sources() / "kernel").glob("*.[cS]"))
        _compile(folder, [*kernel, runtime() / "sbi.c"], sources() / "kernel/kernel.ld", "primer.elf")
        return (folder / "primer.elf").read_bytes()


def _compile(folder: Path, files: list[Path], script: Path, output: str) -> None:
    """Compile and link; `.incbin` finds the programs in the folder."""
    library = [runtime() / name for name in LIBRARY]
    options = ["-T", script, f"-I{runtime()}", f"-I{folder}", f"-Wa,-I{folder}"]
    arguments = [*FLAGS, *map(str, [*options, *files, *library]), "-o", output]
    compiler.run(arguments, folder, [paths.lessons_dir() / "guests"])
