"""What a field of the configuration form is, and how values go into fields and come back.

A field's key is its path in the configuration: `swap` of the host, `disk.iops` of a VM. In a form it is
called `swap` and `vms-0-disk-iops`. A field that is left empty means the default, its placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from app.workers.protocol import JsonObject

# The key whose plain value stands for the whole: `disk: 16 MiB`, `network: lan`.
MAIN = {"disk": "size", "network": "name"}
# Values that a form always sends, and that mean nothing by themselves.
IMPLIED = {"disk": {"read_only": False, "cache": "writethrough"}, "network": {"link": "up"}}

Kind = Literal["quantity", "number", "text", "numbers", "choice", "switch"]
NOTHING = ("", "none", "off", None)


@dataclass(frozen=True, slots=True)
class Field:
    """One key. `kind` says how its text is read; `choices` are value -> title; `known` is a list of names."""

    key: str
    label: str
    kind: Kind = "quantity"
    help: str = ""
    empty: str = ""  # what an empty field means
    choices: Mapping[str, str] | None = None
    low: int = 0
    high: int = 1_000_000
    known: str = ""
    required: bool = False

    @property
    def name(self) -> str:
        """The key as it stands in the name of a form's field."""
        return self.key.replace(".", "-")

    def read(self, value: Any) -> object:
        """Return a form's value as it stands in a configuration, None for the default."""
        value = value.strip() if isinstance(value, str) else value
        if value == "" and not self.required:
            return None
        if not isinstance(value, str) or self.kind in ("text", "choice"):
            return value
        if self.kind == "switch":
            return {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}.get(
                value, value
            )
        if self.kind == "numbers":
            parts = [part.strip() for part in value.split(",")]
            return [int(part) if re.fullmatch("[0-9]{1,18}", part) else part for part in parts]
        return _number(value)


def _number(text: str) -> object:
    """Return a text as the number that it reads as, else as it is."""
    if re.fullmatch(r"[0-9]{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,6}", text) else text


@dataclass(frozen=True, slots=True)
class Table:
    """Fields of VMs that stand beside each other, a row for each VM."""

    title: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A collapsed part of the form: fields of the host, seldom needed ones, and tables of VMs."""

    id: str
    question: str
    host: tuple[Field, ...] = ()
    more: tuple[Field, ...] = ()
    more_title: str = ""
    tables: tuple[Table, ...] = ()


def flat(config: Mapping[str, Any]) -> JsonObject:
    """Return the full mapping of a host or a VM by the names of fields; what is nothing there is ""."""
    values: JsonObject = {}
    for key, value in config.items():
        main = MAIN.get(key)
        plain = {main or "": value}
        nested = cast("JsonObject", value) if isinstance(value, dict) else plain
        for name, entry in nested.items():
            values[f"{key}-{name}" if name else key] = _shown(entry)
    return values


def _shown(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, cast("list[object]", value)))
    return "" if value in NOTHING else value


def edited(old: Mapping[str, Any], edits: Mapping[str, Any], fields: Mapping[str, Field]) -> JsonObject:
    """Return the mapping of a host or a VM with the fields of a form put in their places."""
    result = dict(old)
    for name, value in edits.items():
        key, _, inner = fields[name].key.partition(".")
        read = fields[name].read(value)
        if inner:
            _put(result, key, inner, read)
        elif read is None:
            result.pop(key, None)
        else:
            result[key] = read
    for key, implied in IMPLIED.items():
        if isinstance(result.get(key), dict) and implied.items() >= result[key].items():
            del result[key]
    return result


def _put(table: JsonObject, key: str, inner: str, value: object) -> None:
    """Set `key.inner`; what stands there may be a mapping, the plain value of its main key, or nothing."""
    now = table.get(key)
    plain: JsonObject = {MAIN.get(key, key): now} if now else {}
    nested = {**cast("JsonObject", now)} if isinstance(now, dict) else plain
    nested.pop(inner, None)
    if value is not None:
        nested[inner] = value
    if nested:
        table[key] = nested
    else:
        table.pop(key, None)
