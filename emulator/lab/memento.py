"""A memento: the contents of every object that can be reached from a root, to be put back where they were.

Objects keep their identity, so the wiring between them (the line from a device to its interrupt controller, a
card's place at a switch) needs no description: it is the same before and after. Nothing has to be listed
either: an attribute that somebody adds to any class is kept with the others.

What is kept: lists, dicts, sets, deques, byte arrays and arrays; ctypes records; instances of classes by
their attributes; objects with `getstate` and `setstate` (decoders, random numbers). What stands for itself:
numbers, texts, bytes, enums, classes, functions (what they close over is followed), and frozen dataclasses,
which hold nothing that changes. Anything else raises MementoError: to keep it by halves would be worse.
"""

from __future__ import annotations

import ctypes
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import is_dataclass
from enum import Enum
from functools import cache, partial
from itertools import chain
from sys import getsizeof
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, cast

from emulator.errors import VmLabError
from emulator.lab.attributes import attributes, set_attributes

PLAIN = frozenset({int, float, bool, str, bytes, type(None), range, type, FunctionType})
LARGE = 512  # elements from which on an unchanged container is worth being found
Kind = str


class MementoError(VmLabError):
    """An object cannot be kept: 'cannot keep a generator, found in the attribute x of a Vm'."""


class Aside:
    """A base of what hangs on a lab and is no part of its state."""


class Memento:
    """The contents of all objects behind `roots` at one instant.

    Args:
        roots: Where to begin.
        leave: Classes whose instances are left alone and not followed.
        shallow: Containers whose elements do not change and are not followed.
        previous: An older memento; what has not changed since is shared with it.
    """

    def __init__(
        self,
        roots: Iterable[object],
        leave: tuple[type, ...] = (),
        shallow: Sequence[object] = (),
        previous: Memento | None = None,
    ) -> None:
        """Walk and keep. Raises MementoError."""
        self._leave = leave
        self._shallow = {id(one) for one in shallow}
        self._previous = previous._kept if previous else {}
        self.size = 0  # bytes, about
        self._kept: dict[int, tuple[Any, Kind, Any]] = {}  # by id: the object (so that the id stays its own)
        self._pending: list[Any] = list(roots)
        self._seen: dict[int, Any] = {}
        while self._pending:
            self._visit(self._pending.pop())
        del self._seen, self._previous

    def __len__(self) -> int:
        """Return the number of objects kept."""
        return len(self._kept)

    def restore(self) -> None:
        """Put everything back."""
        for one, kind, content in self._kept.values():
            _PUT_BACK[kind](one, content)

    def _visit(self, one: Any) -> None:
        kind = _kind_of(_class_of(one))
        number = id(one)
        if kind == "plain" or number in self._seen:
            return
        self._seen[number] = one
        if isinstance(one, self._leave):
            return
        if kind == "unknown":
            raise MementoError(f"cannot keep a {type(one).__name__}: {one!r}")
        content, children = _TAKE[kind](one)
        if kind != "followed":
            self._kept[number] = (one, kind, self._shared(number, one, content))
        if number not in self._shallow:
            self._pending.extend(children)

    def _shared(self, number: int, one: Any, content: Any) -> Any:
        """Return the previous memento's content where it is large and the same."""
        before = self._previous.get(number)
        large = hasattr(content, "__len__") and len(content) >= LARGE
        if before is not None and before[0] is one and large and before[2] == content:
            return before[2]
        self.size += getsizeof(content)
        return content


def _class_of(one: object) -> type[Any]:
    return type(one)


@cache
def _kind_of(kind: type[Any]) -> Kind:
    """Return how instances of a class are kept."""
    if kind in PLAIN or issubclass(kind, Enum | type | ModuleType | BuiltinFunctionType):
        return "followed" if kind is FunctionType else "plain"
    if is_dataclass(kind) and kind.__dataclass_params__.frozen:  # pyright: ignore[reportUnknownMemberType]
        return "plain"
    for base, name in _BUILTIN:
        if issubclass(kind, base):
            return name if kind is base or base in (tuple, *_RECORDS) else f"{name} instance"
    if callable(getattr(kind, "getstate", None)) and callable(getattr(kind, "setstate", None)):
        return "stateful"
    if kind.__flags__ & _HEAP_TYPE:
        return "instance"
    return "unknown"


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement
_RECORDS = (ctypes.Structure, ctypes.Array)
_BUILTIN: tuple[tuple[type, Kind], ...] = (
    (list, "list"),
    (dict, "table"),
    (set, "table"),
    (deque, "queue"),
    (bytearray, "buffer"),
    (array, "buffer"),
    (ctypes.Structure, "record"),
    (ctypes.Array, "record"),
    (tuple, "followed"),
    (frozenset, "followed"),
    (MethodType, "followed"),
    (partial, "followed"),
)


# Taking: the content to keep, and the objects to follow.

Taken = tuple[Any, Iterable[Any]]


def _interesting(elements: Iterable[Any]) -> Iterable[Any]:
    """Return the elements that may be kept; of most long lists, none."""
    elements = list(elements)
    kinds = set(map(type, elements))
    if kinds == {tuple}:
        kinds = set(map(type, chain.from_iterable(elements)))
    return () if all(_kind_of(kind) == "plain" for kind in kinds) else elements


def _take_list(one: Any) -> Taken:
    content = list(one)
    return content, _interesting(content)


def _take_table(one: Any) -> Taken:
    if isinstance(one, dict):
        content = dict(cast("dict[Any, Any]", one))
        return content, [*_interesting(content), *_interesting(content.values())]
    return set(one), _interesting(one)


def _take_queue(one: Any) -> Taken:
    return deque(one), _interesting(one)


def _take_buffer(one: Any) -> Taken:
    return one[:], ()


def _take_record(one: Any) -> Taken:
    return bytes(one), ()


def _take_stateful(one: Any) -> Taken:
    return one.getstate(), ()


def _take_instance(one: Any) -> Taken:
    content = attributes(one)
    return content, content.values()


def _take_followed(one: Any) -> Taken:
    if isinstance(one, FunctionType):
        cells = [cell.cell_contents for cell in one.__closure__ or ()]
        return None, [*cells, *(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).values()]
    if isinstance(one, MethodType):
        return None, (one.__self__,)
    if isinstance(one, partial):
        bound = cast("partial[Any]", one)
        return None, (bound.func, *bound.args, *bound.keywords.values())
    return None, _interesting(one)


def _with_attributes(take: Callable[[Any], Taken]) -> Callable[[Any], Taken]:
    def taken(one: Any) -> Taken:
        content, children = take(one)
        attributes, more = _take_instance(one)
        return (content, attributes), [*children, *more]

    return taken


# Putting back.


def _put_list(one: Any, content: Any) -> None:
    one[:] = content


def _put_table(one: Any, content: Any) -> None:
    one.clear()
    one.update(content)


def _put_queue(one: Any, content: Any) -> None:
    one.clear()
    one.extend(content)


def _put_record(one: Any, content: bytes) -> None:
    ctypes.memmove(ctypes.addressof(one), content, len(content))


def _put_stateful(one: Any, content: Any) -> None:
    one.setstate(content)


def _also_attributes(put: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def put_both(one: Any, content: tuple[Any, dict[str, Any]]) -> None:
        put(one, content[0])
        set_attributes(one, content[1])

    return put_both


_TAKE: dict[Kind, Callable[[Any], Taken]] = {
    "list": _take_list,
    "table": _take_table,
    "queue": _take_queue,
    "buffer": _take_buffer,
    "record": _take_record,
    "stateful": _take_stateful,
    "instance": _take_instance,
    "followed": _take_followed,
}
_PUT_BACK: dict[Kind, Callable[[Any, Any], None]] = {
    "list": _put_list,
    "table": _put_table,
    "queue": _put_queue,
    "buffer": _put_list,
    "record": _put_record,
    "stateful": _put_stateful,
    "instance": set_attributes,
}
for _name in ("list", "table", "queue", "buffer"):
    _TAKE[f"{_name} instance"] = _with_attributes(_TAKE[_name])
    _PUT_BACK[f"{_name} instance"] = _also_attributes(_PUT_BACK[_name])
