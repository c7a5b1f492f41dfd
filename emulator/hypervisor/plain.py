"""State as plain data and back: a small typed codec over dataclasses.

Plain data are None, booleans, whole numbers, texts, bytes, lists, and dicts with text keys: what JSON can
hold, and bytes. A dataclass becomes a dict of its fields, an enum its value, every other container a list.
Types are not written down: the reader knows them, from the annotations of the dataclass it fills and from the
fresh object that it fills it into. So a field that somebody adds to a state is kept with the others, and
nothing that is read can make an object of a class that the reader did not ask for.

What is read may come from anybody. Types, lengths and ranges are checked, and an error says where: 'vcpus[0].
deadline is "x"; expected a whole number'.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from emulator.errors import VmLabError

Plain = Any
MAX_NUMBER = 1 << 256
MAX_ELEMENTS = 1 << 20
SIMPLE = (bool, int, float, str, bytes, NoneType)
SEQUENCES = (list, tuple, set, frozenset, deque, array, bytearray)


class PlainError(VmLabError):
    """Data is not what it should be: 'vcpus[0].deadline is "x"; expected a whole number'."""


def to_plain(value: Any) -> Plain:
    """Return a value as plain data, a copy. Raises TypeError for what has no plain form."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, SIMPLE):
        return value
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, set | frozenset):
        return sorted((to_plain(one) for one in cast("set[Any]", value)), key=repr)
    if isinstance(value, SEQUENCES):
        return [to_plain(one) for one in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        table = cast("Mapping[Any, Any]", value)
        return [[to_plain(key), to_plain(item)] for key, item in table.items()]
    raise TypeError(f"{type(value).__name__} has no plain form: {value!r}")


def fill(target: Any, plain: Plain, path: str) -> None:
    """Fill a fresh dataclass with what `to_plain` made of one. Raises PlainError.

    Dataclasses inside it, and lists that have elements already, are filled where they are.
    """
    table = _record(plain, path, [field.name for field in fields(target)])
    hints = _hints(_class_of(target))
    for name, value in table.items():
        now = getattr(target, name)
        changed = put(now, value, hints[name], f"{path}.{name}")
        if changed is not now:
            setattr(target, name, changed)


def put(now: Any, plain: Plain, hint: Any, path: str) -> Any:
    """Return what takes the place of `now`: itself, filled, or a new value of the type `hint`."""
    if is_dataclass(now) and not isinstance(now, type) and not _is_frozen(type(now)):
        if plain is not None:
            fill(now, plain, path)
            return now
    elif isinstance(now, list) and now:
        return _put_each(cast("list[Any]", now), plain, hint, path)
    value = decode(plain, hint, path)
    if isinstance(now, list | deque | bytearray):
        same = cast("list[Any]", now)
        same.clear()
        same.extend(value)
        return same
    if isinstance(now, dict | set):
        table = cast("set[Any]", now)
        table.clear()
        table.update(value)
        return table
    return value


def _put_each(now: list[Any], plain: Plain, hint: Any, path: str) -> list[Any]:
    items = _items(plain, path)
    if len(items) != len(now):
        raise PlainError(f"{path} has {len(items)} elements; expected {len(now)}")
    inner = get_args(hint)[0]
    for index, item in enumerate(items):
        now[index] = put(now[index], item, inner, f"{path}[{index}]")
    return now


def decode(plain: Plain, hint: Any, path: str) -> Any:
    """Return plain data as a value of a type, given as an annotation. Raises PlainError."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _decode_union(plain, get_args(hint), path)
    if origin is Literal:
        return _expect(plain, plain in get_args(hint), path, f"one of {', '.join(map(repr, get_args(hint)))}")
    if origin is None and isinstance(hint, type):
        return _decode_class(plain, cast("type[Any]", hint), path)
    if origin in (dict, Mapping):
        return _decode_table(plain, get_args(hint), path)
    if origin is tuple and get_args(hint)[-1] is not Ellipsis:
        items, kinds = _items(plain, path), get_args(hint)
        _expect(items, len(items) == len(kinds), path, f"{len(kinds)} elements")
        return tuple(
            decode(one, kind, f"{path}[{n}]") for n, (one, kind) in enumerate(zip(items, kinds, strict=True))
        )
    if origin in SEQUENCES:
        kind = get_args(hint)[0]
        make = cast("Any", origin)
        return make(decode(one, kind, f"{path}[{n}]") for n, one in enumerate(_items(plain, path)))
    raise TypeError(f"{path}: no way to read a {hint}")


def _decode_class(plain: Plain, kind: type[Any], path: str) -> Any:
    if kind is int:
        number = type(plain) is int and abs(plain) < MAX_NUMBER
        return _expect(plain, number, path, "a whole number")
    if kind is NoneType or kind in SIMPLE:
        return _expect(plain, type(plain) is kind, path, f"a {kind.__name__}")
    if issubclass(kind, Enum):
        known = [one.value for one in kind]
        return kind(_expect(plain, plain in known, path, f"one of {', '.join(map(str, known))}"))
    if is_dataclass(kind):
        hints = _hints(kind)
        table = _record(plain, path, list(hints))
        return kind(**{name: decode(value, hints[name], f"{path}.{name}") for name, value in table.items()})
    raise TypeError(f"{path}: no way to read a {kind.__name__}")


def _decode_union(plain: Plain, kinds: tuple[Any, ...], path: str) -> Any:
    if plain is None and NoneType in kinds:
        return None
    problem = PlainError(f"{path} is {plain!r:.40}; expected something else")
    for kind in kinds:
        try:
            return decode(plain, kind, path)
        except PlainError as error:
            problem = error
    raise problem


def _decode_table(plain: Plain, kinds: tuple[Any, ...], path: str) -> dict[Any, Any]:
    table: dict[Any, Any] = {}
    for index, pair in enumerate(_items(plain, path)):
        key, value = _items(pair, f"{path}[{index}]", 2)
        table[decode(key, kinds[0], f"{path}[{index}]")] = decode(value, kinds[1], f"{path}[{index}]")
    return table


def _expect(plain: Plain, holds: bool, path: str, expected: str) -> Plain:
    if not holds:
        raise PlainError(f"{path} is {plain!r:.60}; expected {expected}")
    return plain


def _items(plain: Plain, path: str, count: int | None = None) -> list[Any]:
    length = len(cast("list[Any]", plain)) if isinstance(plain, list) else MAX_ELEMENTS + 1
    sound = length <= MAX_ELEMENTS and count in (None, length)
    return _expect(
        plain, sound, path, f"a list of {count if count is not None else f'at most {MAX_ELEMENTS}'}"
    )


def _record(plain: Plain, path: str, names: list[str]) -> dict[str, Any]:
    known = isinstance(plain, dict) and set(cast("dict[str, Any]", plain)) == set(names)
    return _expect(plain, known, path, f"a record with {', '.join(names) or 'no fields'}")


def _class_of(one: object) -> type[Any]:
    return type(one)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is_frozen(kind: type) -> bool:
    return bool(cast("Any", kind).__dataclass_params__.frozen)
