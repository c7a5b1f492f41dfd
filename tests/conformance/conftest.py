"""Test programs in the form of riscv-tests, built with Debian's cross compiler."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import find_tool

HERE = Path(__file__).parent
OPTIONS = [
    "-nostdlib",
    "-nostartfiles",
    "-static",
    "-ffreestanding",
    "-O2",
    "-march=rv64gc_zba_zbb_zbs",
    "-mabi=lp64",
    "-mcmodel=medany",
    "-Wl,--no-relax,--build-id=none,--no-warn-rwx-segments",
]
ADUE = 1 << 61
ENVIRONMENTS = {
    "p": ("machine.S", [], []),
    "v": ("paged.S", ["-DMENVCFG=0"], ["supervisor.c"]),
    "v-adue": ("paged.S", [f"-DMENVCFG={ADUE}"], ["supervisor.c"]),
}
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("*.S"))

Build = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a program for an environment; return the ELF file."""
    compiler = find_tool("riscv64-linux-gnu-gcc", package="gcc-riscv64-linux-gnu")
    directory = tmp_path_factory.mktemp("conformance")

    def build(program: str, environment: str) -> Path:
        elf = directory / f"{program}-{environment}"
        if not elf.exists():
            first, defines, others = ENVIRONMENTS[environment]
            sources = [HERE / "environment" / name for name in (first, *others)]
            includes = [f"-I{HERE / name}" for name in ("environment", "programs")]
            script = f"-T{HERE / 'environment/link.ld'}"
            macro = f'-DPROGRAM="{program}.S"'
            command = [
                compiler,
                *OPTIONS,
                *includes,
                script,
                *defines,
                macro,
                *map(str, sources),
                "-o",
                str(elf),
            ]
            subprocess.run(command, check=True)
        return elf

    return build
