"""The docs of an interface, made from the docstrings of the classes that it consists of."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import Any, TypedDict

from emulator.policy.interfaces import Interface


class MethodDoc(TypedDict):
    """A method: how it is called, and what for."""

    name: str
    signature: str
    text: str
    role: str  # "answer": it decides; "notice": it is told; "has": of something that it is given


class ClassDoc(TypedDict):
    """A class that policies meet: its fields (with types) and methods."""

    name: str
    text: str
    fields: list[str]
    methods: list[MethodDoc]


class InterfaceDoc(TypedDict):
    """The reference of an interface."""

    name: str
    title: str
    question: str
    base: ClassDoc
    classes: list[ClassDoc]
    starter: str


def reference(interface: Interface) -> InterfaceDoc:
    """Return the reference of an interface, JSON-ready."""
    roles = dict.fromkeys(interface.answers, "answer") | dict.fromkeys(interface.notices, "notice")
    base = _class(interface.base, roles)
    return {
        "name": interface.name,
        "title": interface.title,
        "question": interface.question,
        "base": base,
        "classes": [_class(one, None) for one in interface.documents],
        "starter": interface.starter,
    }


def _class(kind: type[Any], roles: dict[str, str] | None) -> ClassDoc:
    names = roles or {name: "has" for name in vars(kind) if _is_shown(kind, name)}
    return {
        "name": kind.__name__,
        "text": inspect.getdoc(kind) or "",
        "fields": [f"{one.name}: {one.type}" for one in fields(kind)] if is_dataclass(kind) else [],
        "methods": [_method(kind, name, role) for name, role in names.items()],
    }


def _is_shown(kind: type[Any], name: str) -> bool:
    value = vars(kind)[name]
    return not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))


def _method(kind: type[Any], name: str, role: str) -> MethodDoc:
    value = inspect.getattr_static(kind, name)
    text = inspect.getdoc(value) or ""
    if isinstance(value, property):
        return {"name": name, "signature": name, "text": text, "role": role}
    parameters = [one for one in inspect.signature(value).parameters if one != "self"]
    return {"name": name, "signature": f"{name}({', '.join(parameters)})", "text": text, "role": role}


def as_text(interface: Interface) -> str:
    """Return the reference as plain text, the starter at its end."""
    doc = reference(interface)
    lines = [
        f"{doc['title']}: {doc['question']}",
        "",
        f"class {doc['base']['name']}",
        *_indented(doc["base"]["text"]),
    ]
    lines += _methods(doc["base"])
    for one in doc["classes"]:
        lines += ["", f"class {one['name']}", *_indented(one["text"])]
        lines += [f"    {field}" for field in one["fields"]] + _methods(one)
    return "\n".join([*lines, "", "To begin with:", "", doc["starter"]])


def _methods(doc: ClassDoc) -> list[str]:
    lines: list[str] = []
    for method in doc["methods"]:
        lines += ["", f"    {method['signature']}", *("    " + line for line in _indented(method["text"]))]
    return lines


def _indented(text: str) -> list[str]:
    return [f"    {line}" if line else "" for line in text.splitlines()]
