"""Proves that lessons work, for many students: one report per lesson, over all seeds."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

from app.grading.trial import Trial, try_lesson
from app.lessons.course import lesson_directories
from app.lessons.errors import LessonErrors
from app.lessons.load import load_lesson
from app.lessons.seeds import student_seed
from emulator.build.engine import kernels_cached, load_engine

SECRET = b"the seeds that lessons are tested with"
SHOWN_FAULTS = 12
SHOWN_SEEDS = 3
WIDE = "warning: no attempt would notice if these bounds were twice as wide; is a wrong solution missing?"

Progress = Callable[[str, float], None]
Report = dict[str, Any]
Task = tuple[str, int, bool]


def prove(
    paths: Iterable[Path], seeds: int | list[int], mutate: bool, jobs: int, progress: Progress
) -> list[Report]:
    """Try each lesson for a number of students, or for the seeds that are given, in `jobs` processes.

    `paths` are lessons or directories of lessons. With `mutate`, checks are weakened one at a time.
    """
    reports: list[Report] = []
    tasks: list[Task] = []
    for path in _directories(paths):
        try:
            lesson = load_lesson(path)
        except LessonErrors as errors:
            reports.append(_unread(path, errors))
            continue
        chosen = _seeds(lesson.id, seeds) if isinstance(seeds, int) else seeds
        tasks += [(str(path), seed, mutate) for seed in chosen]
        reports.append(_report(path, {check.id for check in lesson.checks}, lesson.wrong.values()))
    by_name = {report["lesson"]: report for report in reports}
    for trial in _trials(tasks, min(jobs, len(tasks) or 1), progress):
        _add(by_name[trial.lesson], trial)
    for report in reports:
        _conclude(report)
    return reports


def is_faulty(report: Report) -> bool:
    """Return whether a lesson does not work."""
    return bool(report["faults"] or report["errors"])


def _directories(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        alone = (path / "lesson.md").exists() or not path.is_dir()
        yield from [path] if alone else lesson_directories(path)


def _seeds(lesson: str, count: int) -> list[int]:
    return [student_seed(SECRET, f"student {number}", lesson) for number in range(count)]


def _unread(path: Path, errors: Any) -> Report:
    waits = errors.waits_for_guests
    return {
        "lesson": path.absolute().name,
        "errors": [] if waits else [error.as_dict() for error in errors.errors],
        "waits": [str(error) for error in errors.errors] if waits else [],
        "faults": [],
        "trials": [],
    }


def _report(path: Path, checks: set[str], wrong: Any) -> Report:
    named = {script.caught_by for script in wrong}
    missing = sorted(checks - named)
    faults = [f"no wrong solution names check '{check}'; write one into wrong/" for check in missing]
    return {"lesson": path.absolute().name, "errors": [], "waits": [], "faults": faults, "trials": []}


def _add(report: Report, trial: Trial) -> None:
    report["trials"].append(trial.as_dict())
    report["faults"] += [f"seed {trial.seed}: {fault}" for fault in trial.faults]


def _conclude(report: Report) -> None:
    """Add the figures over all seeds.

    A weakened check must be noticed with each seed: every student's lab needs every condition. A wide bound
    is worth a warning only if no seed at all notices it.
    """
    trials: list[Report] = report["trials"]
    trials.sort(key=lambda trial: int(trial["seed"]))
    loose: set[int] = set(trials[0]["loose"]) if trials else set()
    for trial in trials:
        loose &= set(trial["loose"])
    report["wrong"] = sum(trial["wrong"] for trial in trials)
    report["caught"] = sum(trial["caught"] for trial in trials)
    report["mutants"] = len(trials[0]["mutants"]) if trials else 0
    report["noticed"] = report["mutants"] - max((len(trial["survivors"]) for trial in trials), default=0)
    report["wide"] = [trials[0]["bounds"][at] for at in sorted(loose)]
    report["seconds"] = round(sum(trial["seconds"] for trial in trials), 2)


def _trials(tasks: list[Task], jobs: int, progress: Progress) -> Iterator[Trial]:
    """Yield the trials as they are done, in `jobs` processes."""
    if not tasks:
        return
    if not kernels_cached():  # once, before several processes want them
        load_engine(progress=progress)
    for number, trial in enumerate(_done(tasks, jobs), 1):
        yield trial
        progress(f"{number} of {len(tasks)} tries", number / len(tasks))


def _done(tasks: list[Task], jobs: int) -> Iterator[Trial]:
    if jobs == 1:
        yield from (_one(*task) for task in tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_one, *task) for task in tasks]):
            yield future.result()


def _one(directory: str, seed: int, mutate: bool) -> Trial:
    """Try one lesson for one seed; runs in a process of its own."""
    engine, read = _tools()
    try:
        return try_lesson(read(directory).drawn(seed), engine, mutate)
    except LessonErrors as errors:
        return Trial(Path(directory).absolute().name, seed, faults=[str(error) for error in errors.errors])


_kept: list[Any] = []


def _tools() -> tuple[Any, Any]:
    """Return this process's engine, and a reader that reads each version of a lesson once."""
    if not _kept:
        _kept.extend((load_engine(), cache(load_lesson)))
    return cast("tuple[Any, Any]", tuple(_kept))


def lines(reports: list[Report]) -> Iterator[str]:
    """Yield what a report says in words, a line per lesson and per fault."""
    for report in reports:
        yield _headline(report)
        yield from (f"  {place(error)}: {error['message']}" for error in report["errors"])
        faults = list(_grouped(report))
        yield from (f"  {fault}" for fault in faults[:SHOWN_FAULTS])
        if len(faults) > SHOWN_FAULTS:
            yield f"  and {len(faults) - SHOWN_FAULTS} more; --json shows all"
        yield from _wide(report)
    bad = sum(is_faulty(report) for report in reports)
    yield f"{len(reports) - bad} of {len(reports)} lessons work"


def place(error: dict[str, Any]) -> str:
    """Return where an error is, `file:line`, or the file alone."""
    return f"{error['file']}:{error['line']}" if error["line"] else str(error["file"])


def _wide(report: Report) -> Iterator[str]:
    wide: list[str] = report.get("wide", [])
    if wide:
        yield f"  {WIDE}"
    yield from (f"    {bound}" for bound in wide)


def _grouped(report: Report) -> Iterator[str]:
    """Yield each fault once: those of the lesson, then those of some seeds, with the seeds."""
    trials: list[Report] = report["trials"]
    seeds: dict[str, list[int]] = {}
    for trial in trials:
        for fault in trial["faults"]:
            seeds.setdefault(fault, []).append(trial["seed"])
    of_seeds = {f"seed {seed}: {fault}" for fault, found in seeds.items() for seed in found}
    yield from (fault for fault in report["faults"] if fault not in of_seeds)
    for fault, found in seeds.items():
        which = ", ".join(map(str, found[:SHOWN_SEEDS])) + (", ..." if len(found) > SHOWN_SEEDS else "")
        yield f"{len(found)} of {len(trials)} seeds: {fault} ({which})"
    if seeds:
        seed = next(iter(seeds.values()))[0]
        yield f"look: vmlab run {report['lesson']} --seed {seed} --solution (or --wrong NAME)"


def _headline(report: Report) -> str:
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
