"""What a student may ask of a lab's time: run, pause, speed, step, run until something, go back; its stops.

None of it is an action: it only chooses the position at which the lab stands. Going back (`back`, `rewind`,
`seek`) leaves the lab's log as it is; `undo` and `return` take up another line of history: see `TRAVELS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.workers.pacing import SPEEDS
from app.workers.session import Session
from emulator.errors import VmLabError
from emulator.lab.quantities import DURATION_UNITS, parse_quantity

TRAVELS = ("undo", "return")
STOPS = ("stop_add", "stop_set", "stop_remove")
GOES = ("back", "rewind", "seek")
VERBS = ("run", "pause", "speed", "step", "run_for", "run_until", *GOES, *TRAVELS, *STOPS)
UNITS = ("instruction", "exit", "timeslice", "over")
BACK_UNITS = (*UNITS[:3], "fault", "console", "breakpoint", "watch", "csr", "any", "stop")
MAX_NUMBER = 1 << 64
LONGEST_NS = 3_600_000_000_000
CONDITION_FIELDS = (
    "kind", "vm", "vcpu", "reason", "address", "space", "length", "access", "text", "state", "ns",
    "csr", "value", "of",
)  # fmt: skip


class ControlError(VmLabError):
    """A control request that makes no sense; `path` names the field."""

    def __init__(self, path: str, problem: str) -> None:
        """Keep the field apart from the sentence."""
        super().__init__(f"{path} {problem}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Control:
    """A valid request; `speed` None leaves the speed as it is."""

    verb: str
    speed: str | None
    condition: dict[str, Any] | None = None
    position: int = 0
    actions: int | None = None
    branch: str = ""
    duration_ns: int = 0
    stop: int | None = None
    enabled: bool = True
    ns: int | None = None


def parse_control(body: dict[str, Any]) -> Control:
    """Return the request in `body`; raise ControlError."""
    verb = _choice(body, "verb", VERBS)
    named = body.get("speed") not in (None, "") or verb == "speed"
    speed = _choice(body, "speed", tuple(SPEEDS)) if named else None
    if verb == "step":
        return Control(verb, None, _step(body))
    if verb == "back":
        return Control(verb, None, {**_condition(body), "kind": _choice(body, "unit", BACK_UNITS)})
    if verb in STOPS:
        number = None if verb == "stop_add" and body.get("stop") in (None, "") else _number(body, "stop")
        condition = _condition(body) if verb == "stop_add" else None
        return Control(
            verb, None, condition, stop=number, enabled=body.get("enabled") in (True, "true", "on")
        )
    if verb == "rewind":
        actions = None if body.get("actions") in (None, "") else _number(body, "actions")
        return Control(verb, None, position=_number(body, "position"), actions=actions)
    if verb == "undo":
        return Control(verb, None, position=_number(body, "position"), actions=_number(body, "actions"))
    if verb == "seek" and body.get("ns") not in (None, ""):
        return Control(verb, None, ns=_number(body, "ns"))
    if verb == "seek":
        return Control(verb, None, position=_number(body, "position"))
    if verb == "return":
        return Control(verb, None, branch=str(body.get("branch")))
    if verb == "run_for":
        return Control(verb, speed, duration_ns=_duration(body, "duration"))
    if verb == "run_until":
        return Control(verb, speed, _condition(body))
    return Control(verb, speed)


def steer(session: Session, control: Control) -> None:
    """Do what `control` says; raise LabError for a condition that is not one."""
    if control.speed is not None:
        session.set_speed(control.speed)
    match control.verb, control.condition:
        case "run", _:
            session.run()
        case "pause", _:
            session.pause()
        case "step", dict() as condition:
            session.step(condition)
        case "run_for", _:
            session.run_until({"kind": "time", "ns": session.lab.now_ns + control.duration_ns})
        case "run_until", dict() as condition:
            session.run_until(condition)
        case "back", dict() as condition:
            session.back(condition)
        case "stop_add", dict() as condition:
            session.add_stop(condition, control.stop)
        case "stop_set", _:
            session.set_stop(control.stop or 0, control.enabled)
        case "stop_remove", _:
            session.remove_stop(control.stop or 0)
        case "rewind", _:
            session.rewind(control.position, control.actions)
        case "undo", _:
            session.undo(control.position, control.actions or 0)
        case "seek", _ if control.ns is not None:
            session.seek_ns(control.ns)
        case "seek", _:
            session.seek(control.position)
        case "return", _:
            session.return_to(control.branch)
        case _:
            pass


def _condition(body: dict[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in CONDITION_FIELDS if body.get(key) not in (None, "")}


def _step(body: dict[str, Any]) -> dict[str, Any]:
    unit = _choice(body, "unit", UNITS)
    return {"kind": unit, **{key: body[key] for key in ("vm", "vcpu") if body.get(key) not in (None, "")}}


def _choice(body: dict[str, Any], key: str, choices: tuple[str, ...]) -> str:
    value = body.get(key)
    if not isinstance(value, str) or value not in choices:
        raise ControlError(key, f"is {value!r}; expected one of {', '.join(choices)}")
    return value


def _duration(body: dict[str, Any], key: str) -> int:
    try:
        duration = parse_quantity(body.get(key), DURATION_UNITS, "10 ms")
    except ValueError as error:
        raise ControlError(key, f"is wrong: {error}") from error
    if not 0 < duration <= LONGEST_NS:
        raise ControlError(key, f"is {body.get(key)!r}; expected more than nothing, and at most an hour")
    return duration


def _number(body: dict[str, Any], key: str) -> int:
    value = body.get(key)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_NUMBER:
        raise ControlError(key, f"is {value!r}; expected a whole number that is not negative")
    return value
