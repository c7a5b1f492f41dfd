"""Compile guests written in C, with the Clang that the package ziglang brings.

What is compiled may be a stranger's, so the compiler runs confined (`confined.py`) to a fresh directory with
copies of the sources; it reads nothing else but itself. Where the kernel cannot confine it, nothing of a
lesson is compiled.
"""

import hashlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app import paths
from app.guests.confined import landlock_version
from app.guests.errors import GuestError
from emulator.build.cache import cache_directory, write_whole

TIMEOUT_S = 90
MAX_PROGRAM_BYTES = 4 << 20
SHOWN_LINES, READ_CHARACTERS = 30, 64 << 10
FLAGS = (
    *("-target", "riscv64-freestanding-none", "-mcpu=generic_rv64+m+a+c", "-mcmodel=medany", "-std=gnu11"),
    *(
        "-ffreestanding",
        "-fno-builtin",
        "-fno-pic",
        "-fno-stack-protector",
        "-fno-sanitize=all",
        "-O2",
        "-g0",
    ),
    *("-Wall", "-Wextra", "-Wno-unused-parameter", "-nostdlib", "-static", "-Wl,--build-id=none"),
)
COMMON = ("string.c", "print.c")


@dataclass(frozen=True)
class Kind:
    """What a program stands on: files of the runtime, how they are compiled, and where the program lies."""

    files: tuple[str, ...]
    script: str
    defines: tuple[str, ...] = ()


KINDS = {
    "vm": Kind(("start.S", "console.c", "sbi.c", *COMMON), "program.ld"),
    "bare": Kind(("start.S", "machine.c", *COMMON), "program.ld", ("-DMACHINE_MODE",)),
}


def runtime() -> Path:
    """Return the directory of the C runtime."""
    return paths.lessons_dir() / "guests" / "runtime"


def compile_program(name: str, sources: Mapping[str, bytes], kind: str = "vm") -> bytes:
    """Compile the program `name`, one of `sources`, against the runtime; return an ELF file.

    `sources` are file names without directories: the program and the headers beside it. Raises GuestError
    with the compiler's located messages.
    """
    chosen = KINDS[kind]
    with workshop() as folder:
        for file, content in sources.items():
            (folder / file).write_bytes(content)
        library = [str(runtime() / file) for file in chosen.files]
        link = ["-T", str(runtime() / chosen.script), f"-I{runtime()}"]
        run([*FLAGS, *chosen.defines, *link, name, *library, "-o", "program.elf"], folder, [runtime()])
        data = (folder / "program.elf").read_bytes()
    if len(data) > MAX_PROGRAM_BYTES:
        raise GuestError(
            f"{name}: the program has {len(data) >> 10} KiB; it may have {MAX_PROGRAM_BYTES >> 20} MiB"
        )
    return data


def compile_cached(name: str, sources: Mapping[str, bytes], kind: str = "vm") -> bytes:
    """Do `compile_program`, once for the same sources and the same runtime."""
    return cached(
        [repr((name, sorted(sources.items()), kind, KINDS[kind])).encode(), *read_all(runtime())],
        lambda: compile_program(name, sources, kind),
    )


def read_all(folder: Path) -> list[bytes]:
    """Return the content of every file below a directory, in the order of their names."""
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


def cached(made_from: Sequence[bytes], make: Callable[[], bytes]) -> bytes:
    """Return what `make` compiles from these contents, kept from the last time if that is so."""
    used = hashlib.sha256(repr(FLAGS).encode())
    for content in made_from:
        used.update(hashlib.sha256(content).digest())
    kept = cache_directory() / "programs" / f"{used.hexdigest()[:32]}.elf"
    if kept.is_file():
        return kept.read_bytes()
    data = make()
    write_whole(kept, data)
    return data


@contextmanager
def workshop() -> Generator[Path]:
    """Give a fresh directory to compile in."""
    with tempfile.TemporaryDirectory(prefix="vmlab-cc-") as name:
        yield Path(name).resolve()


def run(arguments: Sequence[str], folder: Path, readable: Sequence[Path]) -> None:
    """Run the compiler in `folder`, where alone it can write. Raises GuestError."""
    compiler = _compiler()
    if not landlock_version():
        raise GuestError(
            "C is compiled only where the compiler can be confined, which needs Linux 5.13 or newer with"
            " Landlock; compile the program elsewhere and give its .elf file"
        )
    confined = [sys.executable, "-m", "app.guests.confined", str(compiler.parent), *map(str, readable)]
    command = [*confined, "--", str(folder), os.devnull, "--", str(compiler), "cc", *arguments]
    # What it says goes to a file: there it is limited in size, in a pipe it would fill our own memory.
    said = folder / "messages"
    with said.open("wb") as messages:
        status = _wait(command, folder, messages)
    if status:
        with said.open(encoding="utf-8", errors="replace") as messages:
            text = messages.read(READ_CHARACTERS)
        raise GuestError(_messages(text, folder) or f"the compiler ended with {status}")


def _wait(command: Sequence[str], folder: Path, output: BinaryIO) -> int:
    """Run a command, with all processes that it starts ended at its end; return its exit status."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise GuestError(f"the compiler was stopped after {TIMEOUT_S} s") from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def library() -> Path:
    """Return the compiler's own library: headers and more. Raises GuestError without a compiler."""
    return _compiler().parent / "lib"


def _compiler() -> Path:
    found = importlib.util.find_spec("ziglang")
    if found is None or not found.submodule_search_locations:
        raise GuestError("no C compiler for guests is installed; run `pip install 'vmlab[c]'`")
    return Path(found.submodule_search_locations[0]).resolve() / "zig"


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours: the compiler's caches and temporary files are in its directory too."""
    code = str(Path(__file__).resolve().parents[2])
    caches = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(folder / "cache"))
    return {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": code, **caches}


def _messages(text: str, folder: Path) -> str:
    """Return what the compiler says, without directories of this machine."""
    text = text.replace(f"{folder}/", "").replace(f"{runtime()}/", "runtime/")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip().splitlines()
    return "\n".join(lines[:SHOWN_LINES])
