"""The modules that a policy may import: those parts of a few that decide nothing by chance or clock."""

from __future__ import annotations

import bisect
import collections
import collections.abc
import dataclasses
import enum
import fractions
import functools
import heapq
import math
import random
import statistics
import typing
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

_FUTURE = ModuleType("__future__")
_FUTURE.annotations = None  # pyright: ignore[reportAttributeAccessIssue]


class Random(random.Random):
    """Random numbers from a seed, the same in every run: `Random(self.seed)`."""

    def __init__(self, seed: int) -> None:
        """Begin with a seed, which has to be given."""
        super().__init__(seed)


# Left out: what makes huge numbers (factorial, comb, perm, prod), and iterators without an end.
_MATH = (
    *(
        "ceil",
        "floor",
        "trunc",
        "sqrt",
        "isqrt",
        "log",
        "log2",
        "log10",
        "exp",
        "fabs",
        "gcd",
        "lcm",
        "hypot",
    ),
    *(
        "inf",
        "nan",
        "pi",
        "e",
        "isnan",
        "isinf",
        "isfinite",
        "copysign",
        "fmod",
        "fsum",
        "sin",
        "cos",
        "tanh",
    ),
)
_NAMES: Mapping[ModuleType, Sequence[str]] = {
    bisect: ("bisect", "bisect_left", "bisect_right", "insort", "insort_left", "insort_right"),
    collections: ("deque", "defaultdict", "Counter", "OrderedDict", "namedtuple", "ChainMap"),
    collections.abc: ("Callable", "Iterable", "Iterator", "Mapping", "Sequence", "Set", "MutableMapping"),
    dataclasses: ("dataclass", "field", "replace"),
    enum: ("Enum", "IntEnum", "auto"),
    fractions: ("Fraction",),
    functools: ("partial", "reduce", "cmp_to_key", "total_ordering", "cache"),
    heapq: ("heappush", "heappop", "heapify", "heappushpop", "heapreplace", "nsmallest", "nlargest"),
    math: _MATH,
    statistics: ("mean", "median", "fmean", "pstdev"),
    typing: ("Any", "Optional", "NamedTuple", "Callable", "Sequence", "Iterable", "Mapping", "TypeAlias"),
}


def _copied(module: ModuleType, names: Sequence[str]) -> ModuleType:
    copy = ModuleType(module.__name__)
    vars(copy).update({name: getattr(module, name) for name in names})
    return copy


def make_modules() -> dict[str, ModuleType]:
    """Return the modules, by name, in new objects that a policy may change."""
    modules = {module.__name__: _copied(module, names) for module, names in _NAMES.items()}
    modules["random"] = ModuleType("random")
    vars(modules["random"]).update(Random=Random)
    vars(modules["collections"]).update(abc=modules["collections.abc"])
    return modules


ALLOWED = frozenset([*(module.__name__ for module in _NAMES), "random"])


def importer() -> Any:
    """Return the function that `import` calls in a policy's text."""
    modules = make_modules()

    def load(name: str, _globals: Any = None, _locals: Any = None, names: Any = (), level: int = 0) -> Any:
        if name == "__future__":
            return _FUTURE
        if level or name not in modules:
            raise ImportError(f"a policy cannot import {name}")
        return modules[name] if names else modules[name.partition(".")[0]]

    return load
