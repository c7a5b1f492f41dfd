"""The attributes of an object, read and set without asking for its `__dict__`.

CPython keeps the attributes of an ordinary object inside it, where the interpreter reaches them at a fixed
place, until somebody asks for the `__dict__`: from then on they live in a real dictionary, and every access
takes longer, for as long as the object lives. Asking once for those of a hypervisor makes each exit of a
guest a sixth slower. So the names are taken from the code of the class, and the garbage collector, which
knows everything that an object refers to, says whether these are all. Where they are not (somebody else has
set an attribute), the `__dict__` is asked after all: what is slow is never wrong.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from types import CodeType, FunctionType
from typing import Any, cast


def attributes(one: object) -> dict[str, Any]:
    """Return the attributes of an object by name, those in slots too; not those of its class."""
    kind = type(one)
    found = {name: getattr(one, name) for name in _names(kind) if hasattr(one, name)}
    if not _may_have_others(kind):
        return found
    referred = sorted(map(id, gc.get_referents(one)))
    if referred != sorted(map(id, [kind, *found.values()])):
        found = {name: getattr(one, name) for name in slots(kind) if hasattr(one, name)}
        found.update(one.__dict__)
    return found


def set_attributes(one: object, content: dict[str, Any]) -> None:
    """Let an object have these attributes and no others."""
    for name in attributes(one):
        if name not in content:
            object.__delattr__(one, name)
    for name, value in content.items():
        object.__setattr__(one, name, value)


@cache
def slots(kind: type) -> tuple[str, ...]:
    """Return the names of all slots of a class."""
    names: list[str] = []
    for base in kind.__mro__:
        own = base.__dict__.get("__slots__", ())
        names += [own] if isinstance(own, str) else own
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


@cache
def _may_have_others(kind: type) -> bool:
    """Return whether instances can have attributes beside those in slots."""
    return any("__dict__" in base.__dict__ for base in kind.__mro__)


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Return the names that attributes of instances may have, none of them one of the class itself."""
    named: set[str] = set()
    taken: set[str] = set()
    for base in kind.__mro__:
        taken.update(base.__dict__)
        for value in base.__dict__.values():
            named.update(_names_in(value))
    if hasattr(kind, "__getattr__"):
        named.clear()
    own = set(slots(kind))
    if is_dataclass(kind):  # whose defaults are names of the class as well
        own.update(field.name for field in fields(cast(Any, kind)) if field.init)
    return tuple(sorted((named - taken) | own))


def _names_in(member: object) -> Iterator[str]:
    """Yield every name that a member of a class uses as an attribute, and more."""
    function = getattr(member, "fget", None) or getattr(member, "__func__", member)
    pending: list[object] = [function.__code__] if isinstance(function, FunctionType) else []
    while pending:
        code = pending.pop()
        if isinstance(code, CodeType):
            yield from code.co_names
            pending += code.co_consts
