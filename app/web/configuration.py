"""A lab's configuration as a student edits it: YAML text or form fields in, ordinary lab actions out.

The text is what stands under `lab:` in a lesson. It is validated as a whole before anything is changed;
errors carry the path (`vms[1].memory`) and, for text, line and column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.lessons import LessonError
from app.lessons.source import TextFile
from app.lessons.yaml import Document, parse
from app.web.errors import Problem
from app.workers.protocol import JsonObject
from emulator.lab.config import HostConfig, LabConfig, VmConfig
from emulator.lab.values import ConfigError

MAX_TEXT = 64 << 10
TITLE = "This configuration is not valid"
_NAME = "configuration"
_CPU_KEYS = "weight|cap|reservation|period|affinity"
_FIELD = re.compile(rf"vms-([0-9]{{1,3}})-(name|memory|vcpus|program|autostart|on_fault|{_CPU_KEYS}|delete)")
_HOST_KEYS = ("pcpus", "memory", "clock", "timeslice", "scheduler", "period", "offline")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A valid configuration. `origins[i]` is the VM that `config.vms[i]` is today, None for a new one."""

    config: LabConfig
    origins: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One action of a new configuration, and the path of what it changes."""

    path: str
    action: JsonObject

    def path_of(self, key: str) -> str:
        """Return the path of the key that a refusal is about, if the action has it."""
        whole, _, last = self.path.rpartition(".")
        known = last in self.action and key in self.action and key not in ("vm", "verb")
        return f"{whole}.{key}" if known else self.path


def parse_text(text: object) -> Wanted:
    """Return the configuration in a YAML text; raise a 422 Problem with line and column."""
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise Problem(422, f"The configuration must be a text of at most {MAX_TEXT // 1024} KiB.", TITLE)
    document = _parse(text)
    value: object = document.value
    if isinstance(value, dict):
        table = cast("JsonObject", value)
        value = table["lab"] if list(table) == ["lab"] else table
    try:
        config = LabConfig.from_dict(value)
    except ConfigError as error:
        raise _located(document, error) from error
    return Wanted(config, tuple(vm.name for vm in config.vms))


def parse_fields(fields: Mapping[str, Any], current: JsonObject) -> Wanted:
    """Return the current configuration changed by form fields; raise a 422 Problem."""
    unknown = [key for key in fields if key not in _HOST_KEYS and not _FIELD.fullmatch(key)]
    if unknown:
        raise Problem(
            422,
            f"{unknown[0][:60]!r} is not a field of the configuration; expected {', '.join(_HOST_KEYS)},"
            " vms-<i>-name, vms-<i>-memory, vms-<i>-vcpus, vms-<i>-program, vms-<i>-weight, vms-<i>-cap,"
            " vms-<i>-reservation, vms-<i>-period, vms-<i>-affinity, vms-<i>-delete",
            TITLE,
            where=unknown[0][:60],
        )
    host = {**current["host"], **{key: _natural(fields[key]) for key in _HOST_KEYS if key in fields}}
    vms, origins = _edited_vms(fields, current["vms"])
    try:
        return Wanted(LabConfig.from_dict({"host": host, "vms": vms}), tuple(origins))
    except ConfigError as error:
        raise Problem(422, str(error), TITLE, where=error.path) from error


def changes(current: JsonObject, wanted: Wanted) -> list[Change]:
    """Return the actions that turn the current configuration into the wanted one.

    VMs go first, are changed last, and the host changes in between, because it may need them to be gone.
    """
    now = LabConfig.from_dict(current)
    before = {vm.name: vm for vm in now.vms}
    kept = set(wanted.origins)
    removed = [Change(f"vms.{name}", {"verb": "undefine", "vm": name}) for name in before if name not in kept]
    host = list(_host_changes(now.host, wanted.config.host))
    changed: list[Change] = []
    for index, (origin, vm) in enumerate(zip(wanted.origins, wanted.config.vms, strict=True)):
        old = before.get(origin) if origin is not None else None
        changed += _vm_changes(f"vms[{index}]", old, vm)
    return removed + host + changed


def config_text(config: Mapping[str, Any]) -> str:
    """Return a configuration as the YAML that `parse_text` reads."""
    lines = ["host: " + _flow(config["host"]), "vms:" if config["vms"] else "vms: []"]
    return "\n".join([*lines, *("  - " + _flow(vm) for vm in config["vms"])]) + "\n"


def _flow(table: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in table.items()) + "}"


def _scalar(value: object) -> str:
    if isinstance(value, dict):
        return _flow(cast("JsonObject", value))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return json.dumps(text) if re.search(r"[,:#'\"{}\[\]]", text) else text


def _parse(text: str) -> Document:
    try:
        return parse(TextFile(_NAME, text), text)
    except LessonError as error:
        raise _problem(error.message, error.line, error.column, "") from error


def _located(document: Document, error: ConfigError) -> Problem:
    """Return a ConfigError as a Problem at the line that it is about."""
    path = tuple(int(part) if part.isdigit() else part for part in re.findall(r"[a-z_]+|[0-9]+", error.path))
    places = [document.place(path), document.place(("lab", *path))]
    place = max(places, key=lambda found: (found.line, found.column))
    return _problem(str(error), place.line, place.column, error.path)


def _problem(message: str, line: int, column: int, where: str) -> Problem:
    diagnostic = {"line": line, "column": column, "length": 1, "message": message, "hint": ""}
    return Problem(422, f"{_NAME}:{line}: {message}", TITLE, where, diagnostics=[diagnostic])


def _edited_vms(
    fields: Mapping[str, Any], vms: Sequence[JsonObject]
) -> tuple[list[JsonObject], list[str | None]]:
    edits: dict[int, JsonObject] = {}
    for key, value in fields.items():
        match = _FIELD.fullmatch(key)
        if match:
            edits.setdefault(int(match[1]), {})[match[2]] = value
    result: list[JsonObject] = []
    origins: list[str | None] = []
    for index in sorted({*range(len(vms)), *edits}):
        edit = dict(edits.get(index, {}))
        if _true(edit.pop("delete", None)):
            continue
        old = vms[index] if index < len(vms) else None
        fallback = {"program": vms[0]["program"]} if vms else {}
        result.append({**(old or fallback), **{key: _natural(value) for key, value in edit.items()}})
        origins.append(old["name"] if old else None)
    return result, origins


def _natural(value: object) -> object:
    """Return a form's text as the number or truth value that it reads as."""
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"[0-9]{1,18}", text):
            return int(text)
        return {"true": True, "false": False, "on": True}.get(text, text)
    return value


def _true(value: object) -> bool:
    return value in (True, 1, "1", "true", "on")


def _host_changes(old: HostConfig, new: HostConfig) -> Iterator[Change]:
    before, after = old.full_dict(), new.full_dict()
    changed = {key: value for key, value in after.items() if value != before[key]}
    for key in changed.keys() & {"clock", "isa"}:
        problem = f"host.{key} belongs to the lesson and cannot be changed."
        raise Problem(422, problem, TITLE, where=f"host.{key}")
    if changed:
        yield Change("host." + next(iter(changed)), {"verb": "set_host", **changed})


def _vm_changes(path: str, old: VmConfig | None, new: VmConfig) -> Iterator[Change]:
    if old is None:
        yield Change(path, {"verb": "define", "vm": new.to_dict()})
        return
    before, after = old.full_dict(), new.full_dict()
    changed = {key: value for key, value in after.items() if value != before[key]}
    if changed:
        yield Change(f"{path}.{next(iter(changed))}", {"verb": "set_vm", "vm": old.name, **changed})
