"""`vmlab test-lesson`: does a lesson work, for many students?"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from app.commands import Subparsers

if TYPE_CHECKING:
    from app.grading.trial import Trial

SECRET = b"the seeds that lessons are tested with"
SHOWN_FAULTS = 12


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab test-lesson`."""
    parser = subparsers.add_parser(
        "test-lesson",
        help="do a lesson's solution and wrong solutions for many students",
        description="For each of N students' seeds: an empty attempt must earn nothing, solution/"
        " everything, and each of wrong/ must be caught by the check it names. Exits 1 if one does not.",
    )
    parser.add_argument(
        "lessons", nargs="+", type=Path, metavar="DIR", help="a lesson, or a directory of lessons"
    )
    parser.add_argument("--seeds", type=_count, default=3, metavar="N", help="how many students (default 3)")
    parser.add_argument("--seed", type=int, help="only this seed, as a fault names it")
    parser.add_argument(
        "--mutate", action="store_true", help="weaken checks one at a time: an attempt must notice each"
    )
    parser.add_argument(
        "--jobs", type=_count, default=os.cpu_count() or 1, help="processes (default: one per CPU)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per lesson, as a list")


def main(args: argparse.Namespace) -> int:
    """Try the lessons; return 1 if one has a fault."""
    from app.lessons.errors import LessonErrors
    from app.lessons.load import load_lesson

    reports: list[dict[str, Any]] = []
    tasks: list[tuple[str, int, bool]] = []
    for path in _directories(args.lessons):
        try:
            lesson = load_lesson(path)
        except LessonErrors as errors:
            reports.append(_unread(path, errors))
            continue
        seeds = [args.seed] if args.seed is not None else _seeds(lesson.id, args.seeds)
        tasks += [(str(path), seed, bool(args.mutate)) for seed in seeds]
        reports.append(_report(path, {check.id for check in lesson.checks}, lesson.wrong.values()))
    by_name = {report["lesson"]: report for report in reports}
    for trial in _trials(tasks, min(args.jobs, len(tasks) or 1)):
        _add(by_name[trial.lesson], trial)
    for report in reports:
        _conclude(report)
    print(json.dumps(reports, indent=2, ensure_ascii=False) if args.json else "\n".join(_lines(reports)))
    return int(any(report["faults"] or report["errors"] for report in reports))


def _directories(paths: list[Path]) -> Iterator[Path]:
    from app.lessons.course import lesson_directories

    for path in paths:
        alone = (path / "lesson.md").exists() or not path.is_dir()
        yield from [path] if alone else lesson_directories(path)


def _seeds(lesson: str, count: int) -> list[int]:
    from app.lessons.seeds import student_seed

    return [student_seed(SECRET, f"student {number}", lesson) for number in range(count)]


def _unread(path: Path, errors: Any) -> dict[str, Any]:
    waits = errors.waits_for_guests
    return {
        "lesson": path.name,
        "errors": [] if waits else [error.as_dict() for error in errors.errors],
        "waits": [str(error) for error in errors.errors] if waits else [],
        "faults": [],
        "trials": [],
    }


def _report(path: Path, checks: set[str], wrong: Any) -> dict[str, Any]:
    named = {script.caught_by for script in wrong}
    missing = sorted(checks - named)
    faults = [f"no wrong solution names check '{check}'; write one into wrong/" for check in missing]
    return {"lesson": path.absolute().name, "errors": [], "waits": [], "faults": faults, "trials": []}


def _add(report: dict[str, Any], trial: "Trial") -> None:
    report["trials"].append(trial.as_dict())
    report["faults"] += [f"seed {trial.seed}: {fault}" for fault in trial.faults]


def _conclude(report: dict[str, Any]) -> None:
    """Add the figures over all seeds. A weakened check may be noticed with any seed."""
    trials: list[dict[str, Any]] = report["trials"]
    trials.sort(key=lambda trial: int(trial["seed"]))
    survivors: set[str] = set(trials[0]["survivors"]) if trials else set()
    for trial in trials:
        survivors &= set(trial["survivors"])
    report["wrong"] = sum(trial["wrong"] for trial in trials)
    report["caught"] = sum(trial["caught"] for trial in trials)
    report["mutants"] = len(trials[0]["mutants"]) if trials else 0
    report["noticed"] = report["mutants"] - len(survivors)
    report["seconds"] = round(sum(trial["seconds"] for trial in trials), 2)
    report["faults"] += [
        f"nobody notices {name}; drop the condition, or write a wrong solution that it alone catches"
        for name in sorted(survivors)
    ]


def _trials(tasks: list[tuple[str, int, bool]], jobs: int) -> Iterator["Trial"]:
    """Yield the trials as they are done, in `jobs` processes."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from app.progress import ProgressLine

    if not tasks:
        return
    progress = ProgressLine()
    _prepare_engine(progress)
    if jobs == 1:
        for number, task in enumerate(tasks, 1):
            yield _one(*task)
            progress(f"{number} of {len(tasks)} tries", number / len(tasks))
        progress.finish()
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_one, *task) for task in tasks]
        for number, future in enumerate(as_completed(futures), 1):
            yield future.result()
            progress(f"{number} of {len(tasks)} tries", number / len(tasks))
    progress.finish()


def _prepare_engine(progress: Any) -> None:
    """Compile the kernels once, before several processes want them."""
    from emulator.build.engine import kernels_cached, load_engine

    if not kernels_cached():
        load_engine(progress=progress)


def _one(directory: str, seed: int, mutate: bool) -> "Trial":
    """Try one lesson for one seed; runs in a process of its own."""
    from app.grading.trial import Trial, try_lesson
    from app.lessons.errors import LessonErrors

    engine, read = _tools()
    try:
        return try_lesson(read(directory).drawn(seed), engine, mutate)
    except LessonErrors as errors:
        return Trial(Path(directory).absolute().name, seed, faults=[str(error) for error in errors.errors])


_kept: list[Any] = []


def _tools() -> tuple[Any, Any]:
    """Return this process's engine, and a reader that reads each lesson once."""
    if not _kept:
        from functools import cache

        from app.lessons.load import load_lesson
        from emulator.build.engine import load_engine

        _kept.extend((load_engine(), cache(load_lesson)))
    return cast("tuple[Any, Any]", tuple(_kept))


def _lines(reports: list[dict[str, Any]]) -> Iterator[str]:
    for report in reports:
        yield _headline(report)
        yield from (f"  {error['file']}:{error['line']}: {error['message']}" for error in report["errors"])
        yield from (f"  {fault}" for fault in report["faults"][:SHOWN_FAULTS])
        if len(report["faults"]) > SHOWN_FAULTS:
            yield f"  and {len(report['faults']) - SHOWN_FAULTS} more; --json shows all"
    bad = sum(bool(report["faults"] or report["errors"]) for report in reports)
    yield f"{len(reports) - bad} of {len(reports)} lessons work"


def _headline(report: dict[str, Any]) -> str:
    if report["waits"]:
        return f"{report['lesson']}: waits for a guest: {report['waits'][0]}"
    if report["errors"]:
        return f"{report['lesson']}: cannot be read"
    rate = 100 * report["caught"] / report["wrong"] if report["wrong"] else 0
    weakened = (
        f", {report['noticed']} of {report['mutants']} weakened checks noticed" if report["mutants"] else ""
    )
    return (
        f"{report['lesson']}: {len(report['trials'])} seeds, {report['caught']} of {report['wrong']}"
        f" wrong solutions caught ({rate:.0f} %){weakened}, {report['seconds']:.1f} s of CPU"
    )


def _count(text: str) -> int:
    number = int(text)
    if not 0 < number <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not a number of these; expected 1 to 100000")
    return number
