"""`vmlab run`: a lesson's lab without a page, with its consoles, exits by reason and check results.

With `--bare`, a program on the bare machine (app/bare.py).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.bare import add_arguments, run_bare
from app.commands import Subparsers
from app.lessons.seeds import LARGEST_SEED
from app.progress import ProgressLine
from emulator.errors import VmLabError

if TYPE_CHECKING:
    from app.grading.attempt import Attempt
    from app.lessons import Lesson
    from app.lessons.script import Script

DEFAULT_NS = 100_000_000
PARTS = 50
QUIET_SECONDS = 1.0
CPU_PARTS = ("run_cycles", "hypervisor_cycles", "ready_cycles", "idle_cycles", "off_cycles")


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab run`."""
    parser = subparsers.add_parser(
        "run",
        prefix_chars="-+",
        help="run a lesson's lab without a page",
        description="Start a lesson's VMs (those with autostart, or all if none has it), run them, and print"
        " consoles, exits by reason and check results. With --solution, do what solution/actions.yaml says,"
        " with --wrong NAME what wrong/NAME.yaml says, with --seed SEED as the student whom a fault names."
        " With --set, change the host or a VM first, and see in the table of CPU time what it brings."
        " With --bare, run an ELF file or firmware on a bare machine instead.",
    )
    parser.add_argument("lesson", type=Path, nargs="?", help="a lesson's directory; with --bare an ELF file")
    parser.add_argument("--until", metavar="TIME", help="virtual time to run, like 2s (default 100ms)")
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument("--solution", action="store_true", help="do the steps of solution/actions.yaml")
    steps.add_argument("--wrong", metavar="NAME", help="do the steps of wrong/NAME.yaml")
    parser.add_argument("--seed", type=_seed, default=0, help="draw the parameters for this seed (default 0)")
    parser.add_argument(
        "--set",
        metavar="WHERE=VALUE",
        action="append",
        default=[],
        help="change the configuration first, like host.scheduler=stride, a.weight=512 or b.cap=50",
    )
    parser.add_argument(
        "--pcap",
        metavar="NET=FILE",
        action="append",
        default=[],
        help="write the frames of a network to a pcap file, for Wireshark or tcpdump; may be repeated",
    )
    parser.add_argument(
        "--gdb",
        metavar="[VM:]PORT",
        help="let gdb attach to a VM (the first that was started) at this port of the loopback interface,"
        " and run the lab as it says; 0 takes a free port",
    )
    parser.add_argument("--metrics", type=Path, metavar="FILE", help="write all samples to FILE as CSV")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Run the lesson; return 1 if a solution does not earn every point. Or run a bare machine."""
    if args.bare:
        return _bare(args)
    if args.lesson is None:
        raise VmLabError("name a lesson's directory, or use --bare")
    return _lesson(args)


def _bare(args: argparse.Namespace) -> int:
    from emulator.build.engine import load_engine

    compiling = _Patience()
    engine = load_engine(compiling)
    compiling.finish()
    return run_bare(args, args.lesson, engine)


def _lesson(args: argparse.Namespace) -> int:
    from app.grading.attempt import Attempt
    from app.lessons import load_lesson
    from emulator.build.engine import load_engine

    until = _duration(args.until) if args.until else None
    lesson = load_lesson(args.lesson, args.seed)
    script = _script(lesson, args)
    compiling = _Patience()
    attempt = Attempt(lesson, load_engine(compiling))
    compiling.finish()
    for action in changes(args.set):
        attempt.lab.apply(action)
    captures = _captures(args.pcap)
    for network in captures:
        attempt.lab.apply({"verb": "net_capture", "network": network})
    _play(attempt, script, until, args.gdb)
    for network, path in captures.items():
        _write_capture(attempt.lab.pcap(network), path)
    if args.metrics:
        _write_metrics(args.metrics, attempt)
    found = report(attempt)
    print(json.dumps(found, indent=2, ensure_ascii=False) if args.json else "\n".join(_lines(found)))
    return int(bool(args.solution) and found["earned"] < found["points"])


def _play(attempt: "Attempt", script: "Script | None", until: int | None, gdb: str | None) -> None:
    """Follow a script, or start the VMs; let time pass, or a debugger have them."""
    progress = _Patience()
    if script is not None:
        _follow(attempt, script, until, progress)
    else:
        _start(attempt)
        if gdb is None:
            _run(attempt, until or DEFAULT_NS, progress)
    progress.finish()
    if gdb is not None:
        _debug(attempt, gdb)


def _debug(attempt: "Attempt", where: str) -> None:
    """Let a debugger have the lab until it leaves."""
    from app.gdb.attach import debug

    vm, _, port = where.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise VmLabError(f"--gdb: {where!r} is not [VM:]PORT, like 1234 or a:1234")
    on = [one["name"] for one in attempt.lab.observe(None)["vms"] if one["state"] != "shut off"]
    if not vm and not on:
        raise VmLabError("--gdb: no VM is on")
    debug(attempt.lab, vm or on[0], int(port), lambda text: print(text, file=sys.stderr, flush=True))


def _captures(asked: list[str]) -> dict[str, Path]:
    """Return where the frames of which network go."""
    found: dict[str, Path] = {}
    for one in asked:
        network, equals, name = one.partition("=")
        if not (network and equals and name):
            raise VmLabError(f"--pcap: {one!r} is not NET=FILE, like lan=lan.pcap")
        found[network] = Path(name)
    return found


def _write_capture(data: bytes, path: Path) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise VmLabError(f"--pcap: {path}: {error.strerror}") from error


def _write_metrics(path: Path, attempt: "Attempt") -> None:
    from emulator.lab.monitoring.export import to_csv

    try:
        path.write_text(to_csv(attempt.lab.monitor.samples), encoding="utf-8")
    except OSError as error:
        raise VmLabError(f"--metrics: cannot write {path}: {error}") from error


class _Patience:
    """Progress that keeps quiet for the first second."""

    def __init__(self) -> None:
        self._line = ProgressLine()
        self._begun = time.monotonic()

    def __call__(self, text: str, fraction: float) -> None:
        if time.monotonic() - self._begun > QUIET_SECONDS:
            self._line(text, fraction)

    def finish(self) -> None:
        self._line.finish()


def _duration(text: str) -> int:
    from emulator.lab.quantities import DURATION_UNITS, parse_quantity

    try:
        return parse_quantity(text, DURATION_UNITS, "2s")
    except ValueError as error:
        raise VmLabError(f"--until: {error}") from error


def changes(settings: list[str]) -> list[dict[str, Any]]:
    """Return the actions that `--set` asks for: the host's first, and one for each VM."""
    actions: dict[str, dict[str, Any]] = {"host": {"verb": "set_host"}}
    for setting in settings:
        where, equals, value = setting.partition("=")
        target, dot, key = where.partition(".")
        if not (equals and dot and target and key.isidentifier()):
            raise VmLabError(
                f"--set: {setting!r} is not WHERE=VALUE, like host.scheduler=stride or a.weight=512"
            )
        action = actions.setdefault(target, {"verb": "set_vm", "vm": target})
        action[key] = int(value) if value.isdecimal() else value
    return [action for target, action in actions.items() if target != "host" or len(action) > 1]


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text} is no seed; expected 0 to {LARGEST_SEED}")
    return number


def _script(lesson: "Lesson", args: argparse.Namespace) -> "Script | None":
    """Return the steps that are to be done, or None to start the VMs and run."""
    if args.solution and lesson.solution is None:
        raise VmLabError(f"{lesson.slug} has no solution/actions.yaml; write one, or run without --solution")
    if args.solution or args.wrong is None:
        return lesson.solution if args.solution else None
    name = args.wrong.removeprefix("wrong/").removesuffix(".yaml")
    if name not in lesson.wrong:
        known = ", ".join(sorted(lesson.wrong)) or "none"
        raise VmLabError(f"--wrong: {lesson.slug} has no wrong/{name}.yaml; there are: {known}")
    return lesson.wrong[name]


def _follow(
    attempt: "Attempt", script: "Script", until: int | None, progress: Callable[[str, float], None]
) -> None:
    attempt.follow(script, progress)
    if until is not None:
        _run(attempt, until, progress)


def _start(attempt: "Attempt") -> None:
    vms = attempt.lesson.lab_config.vms
    chosen = [vm.name for vm in vms if vm.autostart] or [vm.name for vm in vms]
    states = {vm["name"]: vm["state"] for vm in attempt.lab.observe(None)["vms"]}
    for name in chosen:
        if states[name] == "shut off":
            attempt.lab.apply({"verb": "start", "vm": name})


def _run(attempt: "Attempt", until: int, progress: Callable[[str, float], None]) -> None:
    for part in range(1, PARTS + 1):
        progress(f"running {attempt.lesson.slug}", part / PARTS)
        attempt.run_to(until * part // PARTS)


def report(attempt: "Attempt") -> dict[str, Any]:
    """Return what a run came to, JSON-ready."""
    from app.grading import grade, grade_predictions

    lab = attempt.lab
    observation = lab.observe(None)
    results = grade(attempt.lesson, lab, attempt.answers)
    return {
        "lesson": attempt.lesson.id,
        "version": attempt.lesson.version,
        "position": lab.position,
        "now_ns": lab.now_ns,
        "state_hash": lab.state_hash(),
        "scheduler": observation["host"]["scheduler"],
        "clock_hz": observation["host"]["clock_hz"],
        "vms": [
            {
                "name": vm["name"],
                "state": vm["state"],
                "console": "".join(
                    part["text"] for part in observation["consoles"] if part["vm"] == vm["name"]
                ),
                "exits": vm["exits"],
                "faults": vm["faults"],
                "cpu": [{part: vcpu[part] for part in CPU_PARTS} for vcpu in vm["vcpus"]],
            }
            for vm in observation["vms"]
        ],
        "checks": [result.as_dict() for result in results],
        "predictions": [result.as_dict() for result in grade_predictions(attempt.lesson, attempt.answers)],
        "earned": sum(result.earned for result in results),
        "points": attempt.lesson.points,
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['lesson']}: {found['now_ns'] / 1e6:.3f} ms of virtual time, position {found['position']}"
    for vm in found["vms"]:
        yield ""
        yield f"VM {vm['name']}: {vm['state']}"
        yield from (f"  | {line}" for line in vm["console"].splitlines())
    yield ""
    yield from _exit_table(found["vms"])
    yield ""
    yield from _cpu_table(found)
    yield ""
    for check in found["checks"]:
        yield f"[{'x' if check['passed'] else ' '}] {check['title']} ({check['earned']}/{check['points']})"
        if not check["passed"]:
            yield f"      expected: {check['expected']}"
            yield f"      found:    {check['actual']}"
    yield f"{found['earned']} of {found['points']} points"


def _exit_table(vms: list[dict[str, Any]]) -> Iterator[str]:
    reasons = sorted({reason for vm in vms for reason in vm["exits"]})
    width = max([len("exits by reason"), *map(len, reasons)])
    yield "  ".join([f"{'exits by reason':{width}}", *(f"{vm['name']:>10}" for vm in vms)])
    for reason in reasons:
        yield "  ".join([f"{reason:{width}}", *(f"{vm['exits'].get(reason, 0):>10}" for vm in vms)])


def _cpu_table(found: dict[str, Any]) -> Iterator[str]:
    """Yield how long each vCPU ran, was handled by the hypervisor, waited for a pCPU, slept, was off."""
    heads = [part.removesuffix("_cycles") for part in CPU_PARTS]
    title = f"CPU time in ms ({found['scheduler']})"
    yield "  ".join([title, *(f"{head:>10}" for head in heads)])
    for vm in found["vms"]:
        for index, vcpu in enumerate(vm["cpu"]):
            times = (vcpu[part] * 1000 / found["clock_hz"] for part in CPU_PARTS)
            yield "  ".join([f"{vm['name']}.{index}".ljust(len(title)), *(f"{ms:>10.3f}" for ms in times)])
