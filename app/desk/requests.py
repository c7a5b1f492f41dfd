"""The requests of a page as plain data, and what is the same about them wherever they are answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

# Each is a view of the worker and a template of the same name.
PAGES = (
    *("registers", "memory", "walk", "frame", "fault", "listing", "exits", "program", "resources"),
    *("snapshots", "series", "cpu", "packets", "packet"),
    *("where", "table", "exit", "why"),
    *("timeline", "trace"),
    "layer",
)
NUMBERS = ("vcpus", "pcpus", "vcpu", "ns", "priority")

Form = Literal["fragment", "json", "page"]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request below `/labs/<lab>`; `path` is the rest of it: "actions", "config"."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict[str, str])
    fields: Fields = field(default_factory=dict[str, Any])
    form: Form = "json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back: an HTTP status, a content type and a text."""

    status: int
    kind: str
    text: str


def with_numbers(fields: Fields) -> Fields:
    """Return the fields with a form's numbers as numbers."""
    return {
        key: int(value) if key in NUMBERS and isinstance(value, str) and value.isdecimal() else value
        for key, value in fields.items()
    }
