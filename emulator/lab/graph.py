"""Everything that can be reached from an object, as JSON, and the same objects made anew from it.

A memento (`emulator.lab.memento`) puts contents back into objects that are there; this makes the objects, in
another process or under another engine. Classes and functions stand by their names and must be the
emulator's. The wiring between devices is closures: a function inside a function is found again by the code of
the function that it stands in, and gets cells with what it closed over.

What is read must come from whom one trusts: it says which methods of the emulator belong to which object.

Left out: generators, open files, and whatever else has neither attributes nor a name: GraphError.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import random
import types
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from encodings import utf_8
from enum import Enum
from fractions import Fraction
from functools import partial
from typing import Any, cast

from emulator.errors import VmLabError

Json = Any
External = Callable[[Any], Json | None]
SCALARS = (type(None), bool, int, float, str)
FOREIGN: tuple[type, ...] = (random.Random, Fraction, utf_8.IncrementalDecoder)
SEQUENCES = (list, set, deque, tuple, frozenset)


class GraphError(VmLabError):
    """An object cannot be written or made: 'a generator cannot be kept'."""


# Writing


class Writer:
    """Turns objects into nodes; `external` returns what stands for an object that is not written."""

    def __init__(self, external: External) -> None:
        """Nothing is written yet."""
        self.nodes: list[Json] = []
        self._external = external
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []  # so that the id of one is never that of another
        self._pending: list[tuple[int, Any]] = []

    def write(self, root: object) -> Json:
        """Write everything behind `root`; return what stands for it. Raises GraphError."""
        value = self._value(root)
        while self._pending:
            number, one = self._pending.pop()
            self.nodes[number] = self._node(one)
        self._numbers.clear()
        self._alive.clear()
        return value

    def _value(self, one: Any) -> Json:
        if type(one) in SCALARS:
            return one
        if type(one) is bytes:
            return {"b": base64.b64encode(one).decode()}
        number = self._numbers.get(id(one))
        if number is None:
            number = self._numbers[id(one)] = len(self.nodes)
            self.nodes.append(None)
            self._alive.append(one)
            self._pending.append((number, one))
        return {"r": number}

    def _values(self, items: Iterable[Any]) -> list[Json]:
        return [self._value(one) for one in items]

    def _table(self, table: Mapping[Any, Any]) -> list[Json]:
        return [[self._value(key), self._value(value)] for key, value in table.items()]

    def _node(self, one: Any) -> Json:
        external = self._external(one)
        if external is not None:
            return {"k": "external", "v": external}
        if isinstance(one, type):
            return {"k": "class", "c": _name_of(one)}
        if isinstance(one, Enum):
            return {"k": "enum", "c": _name_of(type(one)), "v": self._value(one.value)}
        if isinstance(one, types.FunctionType):
            return self._function(one)
        if isinstance(one, types.MethodType | types.BuiltinMethodType):
            return {"k": "method", "s": self._value(one.__self__), "n": one.__name__}
        return self._container(one) or self._object(one)

    def _container(self, one: Any) -> Json | None:
        kind = cast("Any", type(one))
        if kind is partial:
            bound = cast("partial[Any]", one)
            return {
                "k": "partial",
                "f": self._value(bound.func),
                "i": self._values(bound.args),
                "t": self._table(bound.keywords),
            }
        if kind is range:
            return {"k": "range", "i": [one.start, one.stop, one.step]}
        if kind in (bytearray, array):
            code = one.typecode if kind is array else ""
            return {"k": "buffer", "t": code, "b": base64.b64encode(bytes(one)).decode()}
        if kind is dict:
            return {"k": "dict", "t": self._table(one)}
        if kind in SEQUENCES:
            length = one.maxlen if kind is deque else None
            return {"k": kind.__name__, "i": self._values(one), "m": length}
        return None

    def _object(self, one: Any) -> Json:
        kind = cast("type[Any]", type(one))
        name = _name_of(kind)
        if hasattr(one, "getstate") and hasattr(one, "setstate"):
            return {"k": "stateful", "c": name, "v": self._value(one.getstate())}
        if kind.__base__ in (dict, list, set, deque, tuple, int, str, bytes):
            return self._subclass(one, name)
        attributes = {slot: getattr(one, slot) for slot in _slots(kind) if hasattr(one, slot)}
        attributes.update(getattr(one, "__dict__", {}))
        return {"k": "object", "c": name, "t": self._table(attributes)}

    def _subclass(self, one: Any, name: str) -> Json:
        if isinstance(one, tuple):
            return {"k": "named", "c": name, "i": self._values(cast("tuple[Any, ...]", one))}
        raise GraphError(f"a {name} cannot be kept")

    def _function(self, one: types.FunctionType) -> Json:
        outer, *inner = one.__qualname__.split(".<locals>.")
        name = f"{_module(one.__module__)}:{outer}"
        if not inner:
            return {"k": "class", "c": name}
        cells = dict(zip(one.__code__.co_freevars, one.__closure__ or (), strict=True))
        return {
            "k": "function",
            "c": name,
            "p": [*inner[:-1], _place(_inside(_found(name), inner[:-1]), one.__code__)],
            "t": self._table({key: cell.cell_contents for key, cell in cells.items()}),
            "d": self._value(one.__defaults__),
            "w": self._value(one.__kwdefaults__),
        }


# Making


class Maker:
    """Makes the objects that nodes describe; `external` makes those that were not written."""

    def __init__(self, nodes: list[Json], external: Callable[[Json], object]) -> None:
        """Nothing is made yet."""
        self._nodes = nodes
        self._external = external
        self._made: dict[int, Any] = {}
        self._pending: list[Callable[[], None]] = []

    def make(self, value: Json) -> Any:
        """Return the object that a value stands for, with all behind it. Raises GraphError."""
        try:
            one = self._value(value)
            while self._pending:
                self._pending.pop()()
        except (
            KeyError,
            IndexError,
            TypeError,
            ValueError,
            AttributeError,
            ImportError,
            RecursionError,
        ) as error:
            raise GraphError(f"this is no graph of this version: {error!r}") from error
        return one

    def _value(self, value: Json) -> Any:
        if not isinstance(value, dict):
            return value
        reference = cast("dict[str, Any]", value)
        if "b" in reference:
            return base64.b64decode(reference["b"])
        number = reference["r"]
        if number not in self._made:
            self._made[number] = self._one(self._nodes[number])
        return self._made[number]

    def _values(self, items: Iterable[Json]) -> list[Any]:
        return [self._value(one) for one in items]

    def _table(self, items: Iterable[Json]) -> dict[Any, Any]:
        return {self._value(key): self._value(value) for key, value in items}

    def _later(self, fill: Callable[[], None]) -> None:
        self._pending.append(fill)

    def _one(self, node: Json) -> Any:
        match node["k"]:
            case "external":
                return self._external(node["v"])
            case "class":
                return _found(node["c"])
            case "enum":
                return _found(node["c"])(self._value(node["v"]))
            case "method":
                return getattr(self._value(node["s"]), node["n"])
            case "function":
                return self._function(node)
            case "object":
                return self._object(node)
            case "stateful":
                one = _found(node["c"])()
                one.setstate(self._value(node["v"]))
                return one
            case _:
                return self._container(node)

    def _container(self, node: Json) -> Any:
        match node["k"]:
            case "partial":
                return partial(self._value(node["f"]), *self._values(node["i"]), **self._table(node["t"]))
            case "range":
                return range(*node["i"])
            case "buffer":
                data = base64.b64decode(node["b"])
                return _buffer(node["t"], data)
            case "tuple":
                return tuple(self._values(node["i"]))
            case "frozenset":
                return frozenset(self._values(node["i"]))
            case "named":
                return _found(node["c"])(*self._values(node["i"]))
            case _:
                return self._mutable(node)

    def _mutable(self, node: Json) -> Any:
        match node["k"]:
            case "dict":
                table: dict[Any, Any] = {}
                self._later(lambda: table.update(self._table(node["t"])))
                return table
            case "list" | "deque":
                items: Any = [] if node["k"] == "list" else cast("Any", deque)(maxlen=node["m"])
                self._later(lambda: items.extend(self._values(node["i"])))
                return items
            case "set":
                elements: set[Any] = set()
                self._later(lambda: elements.update(self._values(node["i"])))
                return elements
            case _:
                raise GraphError(f"there is no kind of node {node['k']!r}")

    def _object(self, node: Json) -> Any:
        kind = _found(node["c"])
        one = object.__new__(kind)

        def fill() -> None:
            for name, value in self._table(node["t"]).items():
                object.__setattr__(one, name, value)

        if is_dataclass(kind) and cast("Any", kind).__dataclass_params__.frozen:
            fill()  # it may be a key, and what it is decides its hash
        else:
            self._later(fill)
        return one

    def _function(self, node: Json) -> types.FunctionType:
        *path, last = node["p"]
        code = _nested(_inside(_found(node["c"]), path), last)
        cells = {name: types.CellType() for name in code.co_freevars}
        module = importlib.import_module(_module(node["c"].partition(":")[0]))
        closure = tuple(cells.values())
        made = types.FunctionType(code, vars(module), code.co_name, self._value(node["d"]), closure)
        made.__kwdefaults__ = self._value(node["w"])

        def fill() -> None:
            for name, value in self._table(node["t"]).items():
                cells[name].cell_contents = value

        self._later(fill)
        return made


def _buffer(code: str, data: bytes) -> Any:
    if not code:
        return bytearray(data)
    items = array("I" if code == "I" else "Q")
    if items.typecode != code:
        raise GraphError(f"there is no array of {code!r}")
    items.frombytes(data)
    return items


# Names


def _module(name: str) -> str:
    if name != "emulator" and not name.startswith("emulator."):
        raise GraphError(f"{name} is no module of the emulator")
    return name


def _name_of(kind: type) -> str:
    if kind in FOREIGN:
        return f"!{kind.__name__}"
    return f"{_module(kind.__module__)}:{kind.__qualname__}"


def _found(name: str) -> Any:
    """Return the class or function of a name. Raises GraphError."""
    for kind in FOREIGN:
        if name == f"!{kind.__name__}":
            return kind
    module, _, path = name.partition(":")
    found: object = importlib.import_module(_module(module))
    for part in path.split("."):
        found = inspect.getattr_static(found, part)
    if isinstance(found, staticmethod | classmethod):
        found = cast("Any", found).__func__
    if not isinstance(found, type | types.FunctionType | property):
        raise GraphError(f"{name} is neither a class nor a function")
    made: Any = found
    _module((made.fget if isinstance(found, property) else made).__module__)
    return made


def _inside(function: Any, path: Iterable[Json]) -> types.CodeType:
    """Return the code of a function, or of one inside it."""
    function = function.fget if isinstance(function, property) else inspect.unwrap(function)
    code: types.CodeType = function.__code__
    for name in path:
        code = _nested(code, [name, 0])
    return code


def _nested(code: types.CodeType, place: Json) -> types.CodeType:
    name, number = place
    inside: list[types.CodeType] = [
        one for one in code.co_consts if isinstance(one, types.CodeType) and one.co_name == name
    ]
    return inside[int(number)]


def _place(outer: types.CodeType, inner: types.CodeType) -> Json:
    """Return which function inside another one this is: its name, and its number among those of that name."""
    same = [
        one for one in outer.co_consts if isinstance(one, types.CodeType) and one.co_name == inner.co_name
    ]
    if inner not in same:
        raise GraphError(f"{inner.co_name} is not found in {outer.co_name}")
    return [inner.co_name, same.index(inner)]


def _slots(kind: type) -> list[str]:
    names: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return [name for name in names if name not in ("__dict__", "__weakref__")]
