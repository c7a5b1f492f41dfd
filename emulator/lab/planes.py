"""Bytes for all frames at once: a value per frame, worked on as one long number."""

from __future__ import annotations

_NOT_ZERO = bytes([0, *([255] * 255)])
_ZERO = bytes([255, *([0] * 255)])
_HALF = bytes(value >> 1 for value in range(256))


def number(values: bytes) -> int:
    """Return bytes as one number, for bitwise operations."""
    return int.from_bytes(values, "little")


def either(*planes: bytes) -> bytes:
    """Return the bits that are set in any of some planes of one length."""
    sum_of = 0
    for plane in planes:
        sum_of |= number(plane)
    return sum_of.to_bytes(len(planes[0]), "little")


def masked(values: bytes, mask: bytes) -> bytes:
    """Return values where the mask is 255, and 0 where it is 0."""
    return (number(values) & number(mask)).to_bytes(len(values), "little")


def chosen(mask: bytes, values: bytes, others: bytes) -> bytes:
    """Return `values` where the mask is 255 and `others` where it is 0."""
    choice, other = number(mask), number(others)
    return (other ^ (other ^ number(values)) & choice).to_bytes(len(values), "little")


def is_used(words: bytes) -> bytes:
    """Return 255 for each 32-bit word that is not zero, else 0."""
    return either(words[::4], words[1::4], words[2::4], words[3::4]).translate(_NOT_ZERO)


def is_same(values: bytes, others: bytes) -> bytes:
    """Return 255 for each byte that is the same in both, else 0."""
    return (number(values) ^ number(others)).to_bytes(len(values), "little").translate(_ZERO)


def words_differ(words: bytes, others: bytes) -> bytes:
    """Return 255 for each 32-bit word that is not the same in both, else 0."""
    return is_used((number(words) ^ number(others)).to_bytes(len(words), "little"))


def inverted(mask: bytes) -> bytes:
    """Return a mask of the others."""
    return mask.translate(_ZERO)


def halved(values: bytes) -> bytes:
    """Return each byte shifted right by one bit."""
    return values.translate(_HALF)
