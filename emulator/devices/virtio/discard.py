"""Discard and write zeroes: requests that name ranges of a disk instead of carrying data (Virtio 1.2, 5.2.6).

Both leave zeros: a discarded range may read as anything, and zeros can be kept without space. Sizes are
limited so that a request costs bounded work.
"""

from __future__ import annotations

import struct

F_DISCARD, F_WRITE_ZEROES = 1 << 13, 1 << 14
T_DISCARD, T_WRITE_ZEROES = 11, 13
SEGMENT = struct.Struct("<QII")  # sector, sectors, flags
UNMAP = 1
MOST_SECTORS, MOST_SEGMENTS = 8192, 4
# From max_discard_sectors on: sectors, segments, alignment; sectors, segments, may_unmap and padding.
LIMITS = struct.pack("<IIIIIB3x", MOST_SECTORS, MOST_SEGMENTS, 8, MOST_SECTORS, MOST_SEGMENTS, 1)


class UnknownFlagError(Exception):
    """A segment has a flag that is reserved for its request."""


def segments(kind: int, data: bytes, sectors: int) -> list[tuple[int, int]] | None:
    """Return the `(sector, count)` ranges of a request, None if one is not on a disk of so many sectors.

    Raises UnknownFlagError.
    """
    if not data or len(data) % SEGMENT.size or len(data) > MOST_SEGMENTS * SEGMENT.size:
        return None
    found: list[tuple[int, int]] = []
    for sector, count, flags in SEGMENT.iter_unpack(data):
        # "The unmap bit MUST be zero for discard commands" and all others for both.
        if flags & ~(UNMAP if kind == T_WRITE_ZEROES else 0):
            raise UnknownFlagError
        if count > MOST_SECTORS or sector + count > sectors:
            return None
        found.append((sector, count))
    return found
