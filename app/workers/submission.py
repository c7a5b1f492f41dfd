"""What a browser hands in: the actions of a lab that ran there, where it stood, and the hash of its state.

A submission is hostile input. Its shape is checked here, within limits: no entry is larger than an ordinary
request could have been. Whether it is *true* is found out by repeating it (verification.py). Standard library
only, since the browser's side makes submissions of the same parts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

from app.workers.pacing import SPEEDS
from app.workers.record import PAUSED, Mode
from app.workers.stops import read_stops
from emulator.errors import VmLabError
from emulator.lab import LogEntry

FORMAT, VERSION = "vmlab-submission", 1
MAX_BODY_BYTES = 8 << 20
MAX_LOG_BYTES = 8 << 20  # as ASCII JSON
MAX_ENTRIES = 20_000
MAX_ENTRY_BYTES = 256 << 10
MAX_DEPTH = 12
MAX_POSITION = 1 << 53  # beyond, JavaScript cannot count any more
MAX_GENERATION = 1 << 31
MAX_TEXT = 200
MAX_CONDITION_BYTES = 2000
_HASH = re.compile(r"[0-9a-f]{64}")
_ENTRY_KEYS = {"seq", "position", "action"}
_MODE_KEYS = {*PAUSED, "stops"}


class SubmissionError(VmLabError):
    """A submission is refused: what, at which place (`path`), and the number of the first entry at fault."""

    def __init__(self, path: str, problem: str, entry: int | None = None) -> None:
        """Name the entry, if it is one that is at fault."""
        where = f"action {entry} of the log" if entry is not None else path
        super().__init__(f"{where}: {problem}")
        self.path = path
        self.entry = entry


@dataclass(frozen=True, slots=True)
class Submission:
    """A well-formed submission. `log` is whole, or begins after entry `base_seq`.

    Then `base_hash` is the `log_digest` of what stands before. The lab stands at `position`, where its state
    has `hash`, after the first `actions` (None: all) of the log; its line of history reaches to `present`.
    """

    lesson_version: str
    seed: int
    generation: int
    log: tuple[LogEntry, ...]
    position: int
    hash: str
    mode: Mode
    lesson: str = ""
    base_seq: int = 0
    base_hash: str = ""
    actions: int | None = None
    present: int = 0


def read_submission(body: Mapping[str, Any]) -> Submission:
    """Return the submission in a JSON object; raise SubmissionError. Keys it does not know are left alone."""
    position = _number(body, "position", MAX_POSITION)
    base_seq = _number(body, "base_seq", MAX_ENTRIES) if "base_seq" in body else 0
    present = _number(body, "present", MAX_POSITION) if "present" in body else position
    if present < position:
        raise SubmissionError("present", f"is {present}; expected a position not before {position}")
    return Submission(
        lesson_version=_text(body, "lesson_version"),
        seed=_number(body, "seed", 1 << 64),
        generation=_number(body, "generation", MAX_GENERATION),
        log=_log(body.get("log"), base_seq, present),
        position=position,
        hash=_digest(body, "hash"),
        mode=_mode(body.get("mode")),
        lesson=_text(body, "lesson") if "lesson" in body else "",
        base_seq=base_seq,
        base_hash=_digest(body, "base_hash") if base_seq else "",
        actions=_number(body, "actions", MAX_ENTRIES + 1) if body.get("actions") is not None else None,
        present=present,
    )


def log_digest(log: Sequence[LogEntry]) -> str:
    """Return what names a log: SHA-256 over its entries as JSON with sorted keys, one in a line."""
    digest = sha256()
    for entry in log:
        digest.update(_json(_normal(entry)).encode() + b"\n")
    return digest.hexdigest()


def digest_of(submission: Submission, *more: object) -> str:
    """Return what names a submission, so that a repeated one is recognised."""
    parts = [getattr(submission, name) for name in Submission.__slots__ if name != "log"]
    return sha256(_json([*parts, log_digest(submission.log), *more]).encode()).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _normal(value: Any) -> Any:
    """Return a value with whole floats as integers: JavaScript writes 1.0 as 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _normal(one) for key, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_normal(one) for one in cast("list[Any]", value)]
    return value


def _number(body: Mapping[str, Any], key: str, limit: int) -> int:
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise SubmissionError(key, f"is {_shown(value)}; expected a whole number from 0 to {limit - 1}")
    return value


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or len(value) > MAX_TEXT or not _is_unicode(value):
        raise SubmissionError(key, f"is {_shown(value)}; expected a text of at most {MAX_TEXT} characters")
    return value


def _digest(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise SubmissionError(key, f"is {_shown(value)}; expected 64 hexadecimal digits")
    return value


def _mode(value: object) -> Mode:
    if value is None:
        return PAUSED
    if not isinstance(value, dict) or not set(cast("dict[str, Any]", value)) <= _MODE_KEYS:
        raise SubmissionError("mode", f"must be a table of {', '.join(sorted(_MODE_KEYS))}")
    given: dict[str, Any] = {**PAUSED, **cast("dict[str, Any]", value)}
    if given["mode"] not in ("paused", "running", "until"):
        raise SubmissionError("mode.mode", f"is {_shown(given['mode'])}; expected paused, running or until")
    if not isinstance(given["speed"], str) or given["speed"] not in SPEEDS:
        raise SubmissionError(
            "mode.speed", f"is {_shown(given['speed'])}; expected one of {', '.join(SPEEDS)}"
        )
    condition: object = given["condition"]
    _check_value(condition, "mode.condition", None)
    fits = isinstance(condition, dict) == (given["mode"] == "until")
    if not fits or len(_json(condition)) > MAX_CONDITION_BYTES:
        raise SubmissionError("mode.condition", "must be a condition if the mode is until, and else null")
    return {
        "mode": given["mode"],
        "speed": given["speed"],
        "condition": given["condition"],
        "reason": _text(given, "reason"),
        "stops": read_stops(given.get("stops")),
    }


def _log(value: object, base_seq: int, present: int) -> tuple[LogEntry, ...]:
    if not isinstance(value, list):
        raise SubmissionError("log", f"is {_shown(value)}; expected a list of entries")
    entries = cast("list[object]", value)
    if base_seq + len(entries) > MAX_ENTRIES:
        raise SubmissionError(
            "log", f"has {base_seq + len(entries)} entries; at most {MAX_ENTRIES} are taken"
        )
    found: list[LogEntry] = []
    size = least = 0
    for seq, one in enumerate(entries, base_seq + 1):
        entry = _entry(one, seq, least, present)
        size += len(_json(entry))
        if size > MAX_LOG_BYTES:
            raise SubmissionError("log", f"is longer than {MAX_LOG_BYTES} bytes with this entry", seq)
        least = entry["position"]
        found.append(entry)
    return tuple(found)


def _entry(value: object, seq: int, least: int, most: int) -> LogEntry:
    path = f"log[{seq - 1}]"
    if not isinstance(value, dict) or set(cast("dict[str, Any]", value)) != _ENTRY_KEYS:
        raise SubmissionError(path, "must have seq, position and action, and nothing else", seq)
    entry = cast("dict[str, Any]", value)
    if type(entry["seq"]) is not int or entry["seq"] != seq:
        raise SubmissionError(f"{path}.seq", f"seq is {_shown(entry['seq'])}; expected {seq}", seq)
    position = entry["position"]
    if type(position) is not int or not least <= position <= most:
        raise SubmissionError(
            f"{path}.position",
            f"position is {_shown(position)}; expected a whole number from {least} (the entry before) to"
            f" {most} (the furthest that the lab has run)",
            seq,
        )
    action = entry["action"]
    if not isinstance(action, dict) or not isinstance(cast("dict[str, Any]", action).get("verb"), str):
        raise SubmissionError(f"{path}.action", "must be an object with a verb", seq)
    table = cast("dict[str, Any]", action)
    _check_value(table, f"{path}.action", seq)
    if len(_json(table)) > MAX_ENTRY_BYTES:
        raise SubmissionError(f"{path}.action", f"is longer than {MAX_ENTRY_BYTES} bytes", seq)
    return {"seq": seq, "position": position, "action": table}


def _check_value(value: object, path: str, entry: int | None, depth: int = 0) -> None:
    """Refuse what is nested too deeply, numbers beyond 64 bits and text that is not Unicode."""
    if depth > MAX_DEPTH:
        raise SubmissionError(path, f"is nested more than {MAX_DEPTH} deep", entry)
    if isinstance(value, dict):
        for key, one in cast("dict[str, object]", value).items():
            _check_value(key, path, entry, depth + 1)
            _check_value(one, path, entry, depth + 1)
    elif isinstance(value, list):
        for one in cast("list[object]", value):
            _check_value(one, path, entry, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise SubmissionError(path, "has a number that is not finite", entry)
    elif isinstance(value, int) and abs(value) >= 1 << 64:
        raise SubmissionError(path, "has a number of more than 64 bits", entry)
    elif isinstance(value, str) and not _is_unicode(value):
        raise SubmissionError(path, "has a text that is not Unicode", entry)


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(value: object) -> str:
    """Return a value as an error shows it: short, whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 64:
        return "a number of more than 64 bits"
    if isinstance(value, dict | list):
        return f"a {'list' if isinstance(value, list) else 'table'}"
    return ascii(value[:60] if isinstance(value, str) else value)
