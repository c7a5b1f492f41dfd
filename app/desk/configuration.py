"""A lab's configuration as a student edits it: form fields in, lab actions out, and YAML to be shown.

It is validated as a whole before anything is changed; errors carry the path (`vms[1].memory`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.desk.config_fields import HOST_FIELDS, VM_FIELDS
from app.desk.config_form import edited
from app.desk.problem import Problem, said_by_lab
from app.texts import gettext as _
from app.texts import mark
from app.workers.protocol import JsonObject
from emulator.lab import LabError
from emulator.lab.config import LabConfig
from emulator.lab.provisioning import Step, plan
from emulator.lab.values import ConfigError

TITLE = mark("This configuration is not valid")
_FIELD = re.compile(rf"vms-([0-9]{{1,3}})-({'|'.join(VM_FIELDS)}|delete)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A valid configuration. `origins[i]` is the VM that `config.vms[i]` is today, None for a new one."""

    config: LabConfig
    origins: tuple[str | None, ...]


def parse_fields(fields: Mapping[str, Any], current: JsonObject) -> Wanted:
    """Return the current configuration changed by form fields; raise a 422 Problem."""
    unknown = [key for key in fields if key not in HOST_FIELDS and not _FIELD.fullmatch(key)]
    if unknown:
        raise Problem(
            422,
            _(
                "%(name)r is not a field of the configuration; expected %(host)s, vms-<i>-delete,"
                " and vms-<i>- with %(vm)s",
                name=unknown[0][:60],
                host=", ".join(HOST_FIELDS),
                vm=", ".join(VM_FIELDS),
            ),
            _(TITLE),
            where=unknown[0][:60],
        )
    host = edited(
        current["host"], {key: value for key, value in fields.items() if key in HOST_FIELDS}, HOST_FIELDS
    )
    vms, origins = _edited_vms(fields, current["vms"])
    try:
        return Wanted(LabConfig.from_dict({**current, "host": host, "vms": vms}), tuple(origins))
    except ConfigError as error:
        raise _refused(error) from error


def draft(fields: Mapping[str, Any]) -> tuple[JsonObject, str, bool]:
    """Return the fields of the form alone, the text that the form was made from ("": the lab's own), and
    whether VMs may be restarted.
    """
    own = {key: value for key, value in fields.items() if key not in ("base", "restart", "preview")}
    return own, str(fields.get("base", "")), _true(fields.get("restart"))


def _refused(error: ConfigError | LabError) -> Problem:
    said, language = said_by_lab(str(error))
    return Problem(422, said, _(TITLE), where=error.path, language=language)


def changes(current: JsonObject, wanted: Wanted) -> list[Step]:
    """Return the actions that turn the current configuration into the wanted one; raise a 422 Problem."""
    try:
        return plan(LabConfig.from_dict(current), wanted.config, wanted.origins)
    except LabError as error:
        raise _refused(error) from error


def config_text(config: Mapping[str, Any]) -> str:
    """Return a configuration as the YAML that `parse_text` reads: a line for each VM, pool, network, rule."""
    return "\n".join(line for _, _, line in sections(config)) + "\n"


def sections(config: Mapping[str, Any]) -> Iterator[tuple[str, int | None, str]]:
    """Yield the lines of a configuration's text with the key and the number in a list that they are about."""
    for key, value in config.items():
        if not isinstance(value, list) or not value:
            yield key, None, f"{key}: {flow(cast('object', value))}"
            continue
        yield key, None, f"{key}:"
        entries = cast("list[object]", value)
        yield from ((key, index, f"  - {flow(entry)}") for index, entry in enumerate(entries))


def flow(value: object) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, dict):
        table = cast("JsonObject", value)
        return "{" + ", ".join(f"{key}: {flow(entry)}" for key, entry in table.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, cast("list[object]", value))) + "]"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return json.dumps(text) if re.search(r"[,:#'\"{}\[\]<>%&*!|@`]|^[-? ]|^$", text) else text


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
        result.append(edited(old or fallback, edit, VM_FIELDS))
        origins.append(old["name"] if old else None)
    return result, origins


def _true(value: object) -> bool:
    return value in (True, 1, "1", "true", "on")
