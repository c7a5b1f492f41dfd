"""The benchmark programs, and how one becomes an ELF file for RV64 or an executable for this machine.

Sizes follow the number of guest instructions: `s` about 3 million, `m` about 500 million. The compiler is
Zig's C compiler (the Python package ziglang), for the guest and for the native run whose check value counts.
"""

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from emulator.bench.stopwatch import BenchError, Stopwatch

GUESTS = Path(__file__).resolve().parent / "guests"
RAM_BYTES = 64 << 20
COMPILE_SECONDS = 300

COMMON = ("-O2", "-g0", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fno-sanitize=all")
SAME_WORK = ("-ffp-contract=off", "-fno-math-errno", "-fno-optimize-sibling-calls")
FREESTANDING = ("-ffreestanding", "-fno-builtin", "-fno-pic", "-fno-stack-protector")
GUEST = ("-target", "riscv64-freestanding-none", "-mcmodel=medany", *FREESTANDING)
GUEST_LINK = ("-nostdlib", "-static", "-Wl,--build-id=none")


@dataclass(frozen=True)
class Platform:
    """What stands below a program: `files` of guests/platform, linked at `start`."""

    name: str
    files: tuple[str, ...]
    start: int


# As firmware of a machine: M-mode without paging. As a kernel under an SBI: S-mode under Sv39, 4 KiB pages.
BARE = Platform("bare", ("bare.S", "bare.c", "report.c"), 0x8000_0000)
SUPERVISOR = Platform("vm", ("start.S", "sbi.c", "report.c", "sv39.c"), 0x8020_0000)


@dataclass(frozen=True)
class Program:
    """A workload; `sizes` maps a size to the count given to bench_run()."""

    name: str
    sizes: dict[str, int]
    source: str = ""
    defines: tuple[str, ...] = ()
    features: str = "m+a"

    @property
    def path(self) -> Path:
        """The C file of the workload."""
        return GUESTS / "programs" / f"{self.source or self.name}.c"


def _sizes(small: int, medium: int) -> dict[str, int]:
    return {"s": small, "m": medium}


INTEGER = (
    Program("synth", _sizes(5000, 900_000)),
    Program("sieve", _sizes(1, 200)),
    Program("matmul", _sizes(1, 120)),
    Program("chase", _sizes(100, 4000)),
    Program("memcpy16", _sizes(1, 120)),
    Program("fib", _sizes(10, 1500)),
    Program("interp", _sizes(20, 4000)),
)
COLD = (Program("coldcode", _sizes(5, 400)),)
FLOAT = (
    Program("mandel", _sizes(128, 12_000), features="m+a+f+d"),
    Program("nbody", _sizes(4000, 600_000), features="m+a+f+d"),
)
PRIVILEGED = (
    Program("ecall", _sizes(20_000, 2_000_000)),
    Program("irq", _sizes(10_000, 1_000_000)),
    Program("timer", _sizes(10_000, 1_000_000), source="irq", defines=("-DIRQ_TIMER",)),
    Program("pagefault", _sizes(40, 4000)),
    Program("ctxsw", _sizes(5000, 500_000)),
)
PROGRAMS = {program.name: program for program in (*INTEGER, *FLOAT, *COLD, *PRIVILEGED)}


def find(name: str) -> Program:
    """Return the program called `name`; raise BenchError naming those there are."""
    if name not in PROGRAMS:
        raise BenchError(f"bench: no program {name!r}; expected one of {', '.join(PROGRAMS)}")
    return PROGRAMS[name]


def _compiler() -> list[str]:
    if importlib.util.find_spec("ziglang") is None:
        raise BenchError("bench: no C compiler for the guests; install it with `pip install 'vmlab[c]'`")
    return [sys.executable, "-m", "ziglang", "cc"]


def _native_target() -> tuple[str, ...]:
    if sys.platform != "linux":
        return ()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
    return ("-target", f"{machine}-linux-musl")


def _compile(arguments: tuple[str, ...], sources: list[Path], output: Path) -> Path:
    """Compile into `output` plus a hash of sources and arguments; do nothing if that is there."""
    command = [*_compiler(), *COMMON, *SAME_WORK, *arguments, f"-I{GUESTS / 'platform'}", *map(str, sources)]
    made_from = hashlib.sha256("\0".join([*arguments, *COMMON, *SAME_WORK]).encode())
    for path in [*sources, *sorted((GUESTS / "platform").iterdir())]:
        made_from.update(path.read_bytes())
    target = output.with_name(f"{output.stem}-{made_from.hexdigest()[:16]}{output.suffix}")
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"partial-{os.getpid()}-{target.name}")
    done = subprocess.run(
        [*command, "-o", str(partial)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMPILE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"bench: {sources[-1].name} does not compile:\n{done.stderr.rstrip()}")
    return partial.replace(target)


def build_guest(program: Program, size: str, cache: Path, platform: Platform = SUPERVISOR) -> Path:
    """Return `program` as an RV64 ELF file on `platform`, built into `cache`."""
    if platform is BARE and program in PRIVILEGED:
        raise BenchError(f"bench: {program.name} measures a supervisor; it has no bare run")
    flags = (*GUEST, f"-mcpu=generic_rv64+{program.features}")
    folder = cache / "bench"
    workload = _compile((*flags, *program.defines, "-c"), [program.path], folder / f"{program.name}-rv64.o")
    last = (*GUEST_LINK, "-T", str(_link_script(platform, folder)), _count(program, size))
    sources = [*(GUESTS / "platform" / name for name in platform.files), workload]
    return _compile((*flags, *last), sources, folder / f"{program.name}-{platform.name}-{size}.elf")


def _link_script(platform: Platform, folder: Path) -> Path:
    """Write the linker script for a platform: Zig's driver takes no --defsym."""
    text = (GUESTS / "platform/link.ld").read_text().replace("IMAGE_START", f"{platform.start:#x}")
    script = folder / f"{platform.name}.ld"
    if not script.is_file() or script.read_text() != text:
        script.write_text(text)
    return script


def _count(program: Program, size: str) -> str:
    return f"-DBENCH_N={program.sizes[size]}ull"


def build_native(program: Program, size: str, cache: Path) -> Path:
    """Return `program` as an executable for this machine, built into `cache` if need be."""
    if program in PRIVILEGED:
        raise BenchError(f"bench: {program.name} measures a supervisor; it has no native run")
    folder = cache / "bench"
    target = _native_target()
    workload = _compile((*target, "-c"), [program.path], folder / f"{program.name}-native.o")
    return _compile(
        (*target, _count(program, size)),
        [GUESTS / "platform/native.c", workload],
        folder / f"{program.name}-{size}.exe",
    )


def build_x86(program: Program, size: str, cache: Path) -> Path:
    """Return `program` for a 32-bit PC without firmware (Multiboot), built into `cache` if need be."""
    if program in PRIVILEGED:
        raise BenchError(f"bench: {program.name} measures a supervisor; it has no x86 run")
    flags = ("-target", "x86-freestanding-none", "-mcpu=pentium4", *FREESTANDING)
    folder, platform_files = cache / "bench", GUESTS / "platform"
    workload = _compile((*flags, "-c"), [program.path], folder / f"{program.name}-x86.o")
    last = (*GUEST_LINK, "-T", str(platform_files / "x86.ld"), _count(program, size))
    sources = [platform_files / "x86.c", platform_files / "report.c", workload]
    return _compile((*flags, *last), sources, folder / f"{program.name}-x86-{size}.elf")


def native_check(program: Program, size: str, cache: Path) -> int:
    """Run `program` on this machine; return its check value."""
    stopwatch = Stopwatch()
    command = [str(build_native(program, size, cache))]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    stopwatch.feed(done.stdout, 0.0)
    stopwatch.elapsed()
    assert stopwatch.check is not None
    return stopwatch.check
