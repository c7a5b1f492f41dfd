"""`vmlab bench SUITE`: measure, beside peers where they are installed; a table, or JSON."""

import argparse
import sys
from collections.abc import Callable

from app.commands import Subparsers

SIZES = ("s", "m")


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab bench` and its suites."""
    parser = subparsers.add_parser("bench", help="measure the emulator, beside QEMU where it is installed")
    suites = parser.add_subparsers(metavar="SUITE", required=True)

    def suite(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        one = suites.add_parser(name, help=text)
        one.add_argument("--json", action="store_true", help="print a list of {name, value, unit, peer, ...}")
        one.set_defaults(suite=run)
        return one

    core = suite("core", run_core, "time of programs on the interpreter, over QEMU's")
    core.add_argument("--programs", nargs="+", metavar="NAME", help="instead of all programs")
    _add_size(core, "s: millions, m: half a billion instructions")
    _add_repeat(core, "runs of each; the best counts")
    hypervisor = suite("hypervisor", run_hypervisor, "exits and world switches in a second")
    _add_size(hypervisor, "s: 20 thousand exits, m: 200 thousand")
    _add_repeat(hypervisor, "runs; the best counts")
    boot = suite("boot", run_boot, "Linux to a shell's prompt, in a VM and on the bare machine")
    _add_repeat(boot, "boots; the best counts")
    engines = suite("engines", run_engines, "speed of the native kernels, wasmtime, Chromium and v86")
    engines.add_argument("--programs", nargs="+", metavar="NAME", help="instead of all computing programs")
    _add_size(engines, "s: millions, m: half a billion instructions")
    _add_repeat(engines, "runs of each; the best counts")
    engines.add_argument("--no-v86", action="store_true", help="leave the peer out, which npm fetches")
    page = suite("page", run_page, "what the page of a lesson costs, with the heaviest lab in it")
    page.add_argument("--seconds", type=float, default=10.0, metavar="S", help="for each view (10)")
    _add_repeat(page, "visits; the median counts")
    suite("nested", run_nested, "Linux under KVM in Linux on the bare machine")
    suite("policy", run_policy, "a call of a scheduler written in Python by a student")


def _add_size(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--size", choices=SIZES, default="m", help=text)


def _add_repeat(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help=f"{text} (3)")


def run_core(args: argparse.Namespace) -> int:
    """Measure the interpreter and the time of its first compile."""
    from emulator.bench import core
    from emulator.bench.figures import as_json
    from emulator.bench.programs import PROGRAMS, find
    from emulator.build.cache import cache_directory
    from emulator.build.engine import load_engine

    programs = [find(name) for name in args.programs or PROGRAMS]
    engine = load_engine()
    results = [*core.measure(programs, args.size, max(1, args.repeat), cache_directory(), engine, say)]
    compile_s = core.measure_compile(say)
    print(as_json([*core.figures_of(results), compile_s]) if args.json else core.as_table(results, compile_s))
    return 0


def run_hypervisor(args: argparse.Namespace) -> int:
    """Measure what exits and world switches cost."""
    from app.guests import images
    from emulator.bench.figures import as_json, as_table
    from emulator.bench.hypervisor import Measurement, measure
    from emulator.build.cache import cache_directory
    from emulator.build.engine import load_engine

    linux = images.image_path("linux")
    measurement = Measurement(load_engine(), args.size, max(1, args.repeat), cache_directory(), say, linux)
    figures = list(measure(measurement))
    print(as_json(figures) if args.json else as_table(figures))
    return 0


def run_boot(args: argparse.Namespace) -> int:
    """Measure how long Linux takes to its prompt."""
    from app.guests import images
    from emulator.bench import boot
    from emulator.bench.figures import as_json, as_table
    from emulator.build.engine import load_engine

    images.read_image("linux")
    firmware = boot.FIRMWARE if boot.FIRMWARE.is_file() else None
    figures = list(boot.measure(images.image_path("linux"), max(1, args.repeat), load_engine(), firmware))
    print(as_json(figures) if args.json else as_table(figures))
    return 0


def run_engines(args: argparse.Namespace) -> int:
    """Measure the kernels' homes beside each other."""
    from app.desk.archive import python_archive
    from app.paths import static_dir
    from emulator.bench import engines, start
    from emulator.bench.chromium import Places
    from emulator.bench.figures import as_json
    from emulator.bench.programs import COLD, FLOAT, INTEGER, find
    from emulator.build.cache import cache_directory
    from emulator.build.engine import load_engine
    from emulator.build.wasm_engine import load_core

    cache, directory = cache_directory(), static_dir() / "engine"
    programs = [find(name) for name in args.programs] if args.programs else [*INTEGER, *FLOAT, *COLD]
    npm = None if args.no_v86 else engines.npm_command()
    bytecode = directory / "bytecode.zip"
    archives = (python_archive().data, *([bytecode.read_bytes()] if bytecode.is_file() else []))
    peer = engines.fetch_v86(npm, cache) if npm else None
    places = Places(directory, cache / "bench", archives, peer)
    core = load_core(directory / "core.wasm")
    setting = engines.Setting(load_engine(), core, places, cache, args.size, max(1, args.repeat), say)
    results = engines.measure(programs, setting)
    say("engines: starting in the page of a lesson")
    serve = [sys.executable, "-m", "app.cli", "serve", "--workers", "1"]
    starts = [*start.measure(serve, max(1, args.repeat)), engines.module_size(places)]
    if args.json:
        print(as_json([*engines.figures_of(results, starts)]))
    else:
        print(engines.as_table(results, starts))
    return 0


def run_page(args: argparse.Namespace) -> int:
    """Measure the page of a lesson."""
    from app.guests import images
    from emulator.bench import lesson_page
    from emulator.bench.figures import as_json, as_table

    linux = images.image_path("linux").is_file()
    serve = [sys.executable, "-m", "app.cli", "serve", "--workers", "1"]
    figures = list(lesson_page.measure(serve, max(1.0, args.seconds), max(1, args.repeat), linux))
    print(as_json(figures) if args.json else as_table(figures))
    return 0


def run_nested(args: argparse.Namespace) -> int:
    """Measure how long a guest of a guest takes to its prompt."""
    from app.guests import images
    from app.guests.nested import COMMAND, HOST_MEMORY_BYTES, host_image
    from emulator.bench import boot
    from emulator.bench.figures import as_json, as_table
    from emulator.bench.nested import measure
    from emulator.bench.stopwatch import BenchError
    from emulator.build.engine import load_engine

    if not boot.FIRMWARE.is_file():
        raise BenchError(f"bench: {boot.FIRMWARE} is missing; install Debian's package opensbi")
    image = host_image(images.read_image("linux"))
    figures = list(measure(image, COMMAND, HOST_MEMORY_BYTES, load_engine(), boot.FIRMWARE))
    print(as_json(figures) if args.json else as_table(figures))
    return 0


def run_policy(args: argparse.Namespace) -> int:
    """Measure what asking a policy costs."""
    from emulator.bench.figures import as_json, as_table
    from emulator.bench.policy import figures_of

    figures = figures_of()
    print(as_json(figures) if args.json else as_table(figures))
    return 0


def say(text: str) -> None:
    """Report progress where it does not mix with the results."""
    print(text, file=sys.stderr, flush=True)


def main(args: argparse.Namespace) -> int:
    """Run the chosen suite."""
    status: int = args.suite(args)
    return status
