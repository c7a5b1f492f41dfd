"""A kernel's symbol table as it lies in a FIT image beside the kernel: sorted, in differences, compressed.

The format is ours: zlib over ASCII lines. The first is the address that the kernel's first byte runs at, each
other the distance from the symbol before (from that address for the first) and a name, numbers in
hexadecimal. A damaged table reads as an empty one: symbols are optional.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

MAX_TEXT_BYTES = 4 << 20
MAX_SYMBOLS = 1 << 17
LINE = re.compile(r"([0-9a-f]{1,16}) ([!-~]{1,255})")
HIGHEST = (1 << 64) - 1


def pack(runs_at: int, symbols: Iterable[tuple[str, int]]) -> bytes:
    """Return a table of the symbols at or above `runs_at`; the same bytes for the same symbols.

    Functions of different files may have one name.
    """
    lines = [f"{runs_at:x}"]
    last = runs_at
    for value, name in sorted((value, name) for name, value in symbols if value >= runs_at):
        lines.append(f"{value - last:x} {name}")
        last = value
    return zlib.compress("\n".join(lines).encode("ascii"), 9)


def unpack(data: bytes) -> tuple[int, list[tuple[str, int]]]:
    """Return where a kernel runs, and its symbols by address; none if the table is damaged."""
    try:
        reader = zlib.decompressobj()
        text = reader.decompress(data, MAX_TEXT_BYTES).decode("ascii")
        if not reader.eof:
            return 0, []
        first, *lines = text.split("\n")
        runs_at = int(first, 16)
    except (zlib.error, ValueError):
        return 0, []
    found: list[tuple[str, int]] = []
    last = runs_at
    for line in lines[:MAX_SYMBOLS]:
        parts = LINE.fullmatch(line)
        if parts is None:
            return 0, []
        last += int(parts[1], 16)
        found.append((parts[2], last))
    return (runs_at, found) if 0 <= runs_at <= last <= HIGHEST else (0, [])
