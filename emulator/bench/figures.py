"""What a benchmark reports: named figures, beside a peer's where there is one, as a table or as JSON."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One result. `ratio` is value / peer_value; None where there is no peer."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None


def figure(
    name: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None
) -> Figure:
    """Return a Figure with its ratio worked out."""
    if peer_value is None:
        return Figure(name, value, unit)
    return Figure(name, value, unit, peer, peer_value, value / peer_value)


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive `values`, of which there must be at least one."""
    logarithms = [math.log(value) for value in values]
    return math.exp(math.fsum(logarithms) / len(logarithms))


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def as_table(figures: Sequence[Figure]) -> str:
    """Return `figures` as an aligned table of text, numbers to three significant digits."""
    peer = next((row.peer for row in figures if row.peer), "peer")
    rows = [["name", "value", "unit", peer, "ratio"]]
    for row in figures:
        rows.append([row.name, _shown(row.value), row.unit, _shown(row.peer_value), _shown(row.ratio)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(_aligned(row, widths) for row in rows)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """Return one line: names and units to the left, numbers to the right."""
    name, value, unit, peer_value, ratio = row
    cells = [name.ljust(widths[0]), value.rjust(widths[1]), unit.ljust(widths[2])]
    return "  ".join([*cells, peer_value.rjust(widths[3]), ratio.rjust(widths[4])]).rstrip()


def as_json(figures: Sequence[Figure]) -> str:
    """Return `figures` as a JSON list of {name, value, unit, peer, peer_value, ratio}."""
    return json.dumps([asdict(row) for row in figures], indent=2)
