"""What one call of a policy may use: steps of loops and calls, and memory. Counted, never timed.

The same text with the same questions reaches a limit at the same line on every machine. The functions made
here are put into a policy's text by `guard`: `step` into each loop, comprehension and function, the others
around whatever can make much of little (`[0] * n`, `range(n)`, `x ** y`).
"""

from __future__ import annotations

import gc
import operator
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Sized
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, cast

from emulator.policy.errors import LimitReached

STEPS = 100_000
BYTES = 64 << 20  # that one call may make, in all; and that a policy may keep from call to call
ELEMENTS = 1_000_000
BITS = 100_000  # of a whole number
STEP_BYTES = 64  # what a step may leave behind without being noticed, about
SMALL = 64  # elements that are not counted

UNITS: dict[type, int] = {
    **dict.fromkeys((list, tuple, deque), 8),
    **dict.fromkeys((dict, set, frozenset, defaultdict, OrderedDict), 64),
    **dict.fromkeys((str, bytes, bytearray), 1),
}
SCALARS = (int, float, bool, type(None))
NOT_HELD = (type, ModuleType, FunctionType, BuiltinFunctionType)


def _kind_of(value: object) -> type[Any]:
    return type(value)


class Meter:
    """The limits of one policy's calls."""

    def __init__(self) -> None:
        """Allow nothing until `reset`."""
        left, room, kept = 0, 0, 0

        def reset() -> None:
            nonlocal left, room
            left, room = STEPS, BYTES

        def step() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise LimitReached(f"more than {STEPS:,} steps in one call: does this end?")

        def take(size: int) -> None:
            nonlocal room
            room -= size
            if room < 0:
                raise LimitReached(f"more than {BYTES >> 20} MiB of memory in one call")

        def charge(value: Any) -> Any:
            unit = UNITS.get(type(value))  # pyright: ignore[reportUnknownArgumentType]
            if unit is not None and len(value) > SMALL:
                take(len(value) * unit)
            return value

        def settle() -> bool | None:
            """Count what the call may have left behind; return whether it is time to look.

            None if the call has reached a limit, and somebody has caught that.
            """
            nonlocal kept
            if left < 0 or room < 0:
                return None
            kept += (STEPS - left) * STEP_BYTES + BYTES - room
            if kept < BYTES // 4:
                return False
            kept = 0
            return True

        self.reset, self.step, self.take, self.charge, self.settle = reset, step, take, charge, settle
        self.printed: list[str] = []

    # Operators

    def grow(self, value: Any) -> Any:
        """Return what is about to be put into something else, counted; an iterator as a list."""
        kind = _kind_of(value)
        if kind in SCALARS:
            return value
        if kind in UNITS:
            self.take(len(value) * UNITS[kind])
            return value
        if not hasattr(kind, "__iter__"):
            return value
        items: list[Any] = list(islice(value, ELEMENTS + 1))
        if len(items) > ELEMENTS:
            raise LimitReached(f"more than {ELEMENTS:,} elements at once")
        self.take(len(items) * 8)
        return items

    def multiply(self, one: Any, two: Any, act: Callable[[Any, Any], Any] = operator.mul) -> Any:
        """Return `one * two`, if it is not too large."""
        if isinstance(one, int) and isinstance(two, int):
            if one.bit_length() + two.bit_length() > BITS:
                raise LimitReached(f"a number of more than {BITS:,} bits")
        else:
            for sequence, count in ((one, two), (two, one)):
                unit = UNITS.get(_kind_of(sequence))
                if unit is not None and isinstance(count, int) and count > 0:
                    self.take(len(cast("Sized", sequence)) * count * unit)
        return act(one, two)

    def power(self, one: Any, two: Any, modulus: int | None = None) -> Any:
        """Return `one ** two`, if it is not too large."""
        whole = isinstance(one, int) and isinstance(two, int)
        if whole and modulus is None and one.bit_length() * max(0, two) > BITS:
            raise LimitReached(f"a number of more than {BITS:,} bits")
        return pow(one, two, modulus) if modulus is not None else one**two

    def shift(self, one: Any, two: Any) -> Any:
        """Return `one << two`, if it is not too large."""
        if isinstance(one, int) and isinstance(two, int) and one.bit_length() + two > BITS:
            raise LimitReached(f"a number of more than {BITS:,} bits")
        return one << two

    def remainder(self, one: Any, two: Any) -> Any:
        """Return `one % two`; texts are not formatted so."""
        if isinstance(one, str | bytes | bytearray):
            raise TypeError("texts are formatted by f-strings here, not by %")
        return one % two

    # Built-in functions

    def range(self, *bounds: int) -> range:
        """Return a range of at most a million numbers."""
        numbers = range(*bounds)
        if numbers[ELEMENTS:]:
            raise LimitReached(f"range has more than {ELEMENTS:,} numbers")
        return numbers

    def made(self, kind: Callable[..., Any]) -> Callable[..., Any]:
        """Return a constructor of a container that takes no more than there may be."""

        def make(*arguments: Any, **keywords: Any) -> Any:
            return kind(*(map(self.grow, arguments[:1])), *arguments[1:], **keywords)

        return make

    def octets(self, kind: Callable[..., Any]) -> Callable[..., Any]:
        """Return `bytes` or `bytearray` that takes no more than there may be."""

        def make(*arguments: Any) -> Any:
            if arguments and isinstance(arguments[0], int):
                self.take(max(0, arguments[0]))
            return kind(*(map(self.grow, arguments[:1])), *arguments[1:])

        return make

    def round(self, number: Any, digits: int | None = None) -> Any:
        """Return a rounded number."""
        if digits is not None and abs(digits) > 1000:
            raise LimitReached("round to more than 1,000 digits")
        return round(number, digits)

    def iterate(self, iterable: Iterable[Any]) -> Any:
        """Return an iterator over something that ends."""
        return iter(iterable)

    def show(self, *values: Any) -> None:
        """Keep a line of output; only the first hundred."""
        if len(self.printed) < 100:
            self.printed.append(" ".join(str(value)[:200] for value in values)[:400])


def held_bytes(root: object, most: int) -> int:
    """Return about how much memory hangs on an object; no more is counted than a little beyond `most`."""
    seen: set[int] = set()
    pending, total = [root], 0
    while pending and total <= most:
        one = pending.pop()
        if id(one) in seen or isinstance(one, NOT_HELD):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        pending.extend(gc.get_referents(one))
    return total
