"""The kernel's symbols: `System.map`, which Linux's build leaves beside its Image, as the table that we keep.

Source: nm(1), the format of its output: address, type, name. Kept are functions and data from the kernel's
first byte on, without what the build made up for itself (initcalls, parameters, names of functions, keys).
"""

from __future__ import annotations

import re

from emulator.machine import symbol_table

FIRST = "_start"  # the Image's first byte
LINE = re.compile(r"([0-9a-f]{16}) ([A-Za-z]) ([!-~]+)")
ABSOLUTE = "Aa"
MADE_UP = re.compile(
    r"\$|\.L|__(ksymtab|kstrtab|initcall|setup_str|func__|crc|UNIQUE|already_done|key\.|param_|exitcall)"
)


def table(system_map: str) -> bytes:
    """Return the symbol table of a kernel; empty if the text is no `System.map` of one."""
    found: list[tuple[str, int]] = []
    for line in system_map.splitlines():
        parts = LINE.fullmatch(line)
        if parts and parts[2] not in ABSOLUTE and not MADE_UP.match(parts[3]):
            found.append((parts[3], int(parts[1], 16)))
    runs_at = dict(found).get(FIRST)
    return b"" if runs_at is None else symbol_table.pack(runs_at, found)
