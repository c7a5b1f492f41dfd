"""Read and write the quantities of a lab configuration: sizes, clock rates and durations.

Sizes are binary (`KiB MiB GiB`, vocabulary of libvirt); rates and durations are SI. All are held as ints:
bytes, hertz, nanoseconds. Decimal fractions are accepted when the result is whole ("1.5 MiB").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

SIZE_UNITS: Mapping[str, int] = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
RATE_UNITS: Mapping[str, int] = {"Hz": 1, "kHz": 1_000, "MHz": 1_000_000, "GHz": 1_000_000_000}
DURATION_UNITS: Mapping[str, int] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}

_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]+)?")


def quoted(value: object) -> str:
    """Return a value of a configuration as errors show it, which is never long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def parse_quantity(text: object, units: Mapping[str, int], example: str) -> int:
    """Return `text` ("8 MiB", or an int in the smallest unit) as an int; raise ValueError with a sentence."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = _QUANTITY.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{quoted(text)} is not a quantity; write it like {example!r}")
    number, unit = match.groups()
    if unit is not None and unit not in units:
        raise ValueError(
            f"{quoted(text)} has the unknown unit {quoted(unit)}; use {', '.join(units)}, like {example!r}"
        )
    value = Fraction(number) * (units[unit] if unit else 1)
    if value.denominator != 1:
        raise ValueError(f"{quoted(text)} is not a whole number of {next(iter(units))}")
    return int(value)


def format_quantity(value: int, units: Mapping[str, int]) -> str:
    """Return `value` with the largest unit that divides it: 8388608 -> "8 MiB"."""
    unit = next(
        (name for name in reversed(list(units)) if value and value % units[name] == 0), next(iter(units))
    )
    return f"{value // units[unit]} {unit}"


def format_size(value: int) -> str:
    """Return bytes as "8 MiB"."""
    return format_quantity(value, SIZE_UNITS)
