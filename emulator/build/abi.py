"""What Python and a kernel module made elsewhere have to agree on, as one number.

The module (`wasm.py`) and the Python that calls it travel as two files; the number is in both.
"""

from __future__ import annotations

import hashlib
from functools import cache

from emulator import state

# Functions of `core/entry.py`, each with its number of parameters; all are unsigned 64-bit integers.
ENTRIES = {
    "run": 3, "translate": 8, "flush": 1, "flush_fast": 1, "read": 4, "write": 4, "pending": 2,
    "cycles_to_timer": 2, "hold": 3, "release": 3, "adopt": 3,
}  # fmt: skip


@cache
def abi_number() -> int:
    """Return 64 bits of a hash over every layout and constant of `emulator.state`, and the entries."""
    known: dict[str, object] = {name: value for name, value in sorted(vars(state).items()) if name.isupper()}
    described = repr((known, ENTRIES)).encode()
    return int.from_bytes(hashlib.blake2b(described, digest_size=8).digest(), "little")
