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


def as_table(figures: Sequence[Figure]) -> str:
    """Return `figures` as an aligned table of text, numbers to three significant digits."""
    peer = next((row.peer for row in figures if row.peer), "peer")
    rows = [["name", "value", "unit", peer, "ratio"]]
    for row in figures:
        rows.append([row.name, shown(row.value), row.unit, shown(row.peer_value), shown(row.ratio)])
    return aligned(rows, "<><>>")


def aligned(rows: Sequence[Sequence[str]], sides: str) -> str:
    """Return rows of text as columns, a rule below the first; `sides` has `<` or `>` for each column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join("  ".join(map(_justified, line, sides, widths)).rstrip() for line in lines)


def _justified(text: str, side: str, width: int) -> str:
    return text.ljust(width) if side == "<" else text.rjust(width)


def shown(value: float | None) -> str:
    """Return a number to three significant digits; nothing for None."""
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def as_json(figures: Sequence[Figure]) -> str:
    """Return `figures` as a JSON list of {name, value, unit, peer, peer_value, ratio}."""
    return json.dumps([asdict(row) for row in figures], indent=2)
