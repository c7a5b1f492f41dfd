"""A tournament's results: a table of text, and small multiples (one plot for each metric) as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from emulator.tournament.contest import Trial
from emulator.tournament.measure import Metric, metrics_of
from emulator.tournament.scenarios import Scenario

WIDTH, ROW, TOP = 320, 24, 40
LABEL, BAR = 110, 140


def ranked(trials: Sequence[Trial], metric: Metric) -> list[Trial]:
    """Return those that have finished, the best first."""
    done = [trial for trial in trials if not trial.error]
    return sorted(done, key=lambda one: one.values[metric.name], reverse=metric.better == "more")


def shown(value: float) -> str:
    """Return a number to three significant digits; large ones whole."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_table(scenario: Scenario, trials: Sequence[Trial]) -> str:
    """Return an aligned table; the best of each column has a star, mistakes stand below."""
    metrics = metrics_of(scenario.interface)
    head = ["policy", *(f"{one.title} [{one.unit}]" if one.unit else one.title for one in metrics)]
    best = {one.name: _best(trials, one) for one in metrics}
    rows = [head]
    for trial in trials:
        cells = ["-" for _ in metrics]
        if not trial.error:
            cells = [
                shown(trial.values[one.name]) + ("*" if trial.values[one.name] == best[one.name] else " ")
                for one in metrics
            ]
        rows.append([trial.name + (" (verified)" if trial.verified else ""), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *(f"{one.name}: {one.error}" for one in trials if one.error)])


def _best(trials: Sequence[Trial], metric: Metric) -> float | None:
    order = ranked(trials, metric)
    return order[0].values[metric.name] if order else None


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = [
        cell.ljust(width) if number == 0 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join([first, *others]).rstrip()


def as_svg(scenario: Scenario, trials: Sequence[Trial]) -> str:
    """Return one plot of bars for each metric, side by side; the table is its equal in text."""
    metrics = metrics_of(scenario.interface)
    done = [trial for trial in trials if not trial.error]
    height = TOP + ROW * len(done) + 10
    plots = "".join(_plot(one, done, number * WIDTH) for number, one in enumerate(metrics))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(metrics)} {height}" role="img"'
        f' aria-label="{escape(scenario.title)}" font-family="sans-serif" font-size="13"'
        f' fill="currentColor">{plots}</svg>'
    )


def _plot(metric: Metric, trials: Sequence[Trial], left: int) -> str:
    most = max((trial.values[metric.name] for trial in trials), default=0) or 1
    unit = f", {metric.unit}" if metric.unit else ""
    title = f'<text x="{left}" y="16" font-weight="bold">{escape(metric.title + unit)}</text>'
    note = f'<text x="{left}" y="31" font-size="11">{metric.better} is better</text>'
    bars = "".join(
        _bar(trial.name, trial.values[metric.name], most, left, TOP + number * ROW)
        for number, trial in enumerate(trials)
    )
    return title + note + bars


def _bar(name: str, value: float, most: float, left: int, top: int) -> str:
    width = max(1.0, BAR * value / most)
    label = name if len(name) <= 16 else name[:15] + "…"
    return (
        f'<text x="{left}" y="{top + 14}">{escape(label)}</text>'
        f'<rect x="{left + LABEL}" y="{top + 3}" width="{width:.1f}" height="14" fill-opacity="0.55"/>'
        f'<text x="{left + LABEL + width + 6:.1f}" y="{top + 14}">{escape(shown(value))}</text>'
    )
