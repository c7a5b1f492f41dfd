"""The stops of one lab: what a student wants it to stop at, which of them are on, and how often each was met.

They belong to the student's view of the lab and not to its state: they are in no log and no hash, and stay
over going back, over a reset, a new worker and a restart of the server (as part of `Mode`, and with the lab's
row). A stop is `{"id", "enabled", "hits", "condition"}`; conditions are those of `emulator.lab.stops`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from emulator.lab import Lab, LabError

MOST = 32
MAX_CONDITION_CHARACTERS = 2000


class StopRecord(TypedDict):
    """A stop as it is kept."""

    id: int
    enabled: bool
    hits: int
    condition: dict[str, Any]


class StopView(StopRecord):
    """A stop as it is shown: `text` says in words what it is."""

    text: str


@dataclass
class Stop:
    """One stop."""

    id: int
    condition: dict[str, Any]
    enabled: bool = True
    hits: int = 0

    def record(self) -> StopRecord:
        """Return it as it is kept."""
        return {"id": self.id, "enabled": self.enabled, "hits": self.hits, "condition": self.condition}


class Stops:
    """The stops of one lab, in order of their numbers."""

    def __init__(self, kept: Sequence[StopRecord] = ()) -> None:
        """Take up what was kept."""
        self._stops = {
            one["id"]: Stop(one["id"], dict(one["condition"]), one["enabled"], one["hits"]) for one in kept
        }

    def add(self, lab: Lab, condition: dict[str, Any], number: int | None = None) -> Stop:
        """Add a stop, or put it in the place of stop `number`. Raises LabError."""
        if number is not None:
            self.find(number)
        elif len(self._stops) >= MOST:
            raise LabError(f"a lab has at most {MOST} stops; remove one first", "stops")
        if condition.get("kind") in ("any", "instruction"):
            raise LabError(f"{condition['kind']!r} cannot be a stop; step instead", "kind")
        lab.check_stop(condition)
        if number is None:
            number = max(self._stops, default=0) + 1
        self._stops[number] = Stop(number, condition)
        return self._stops[number]

    def remove(self, number: int) -> None:
        """Forget a stop. Raises LabError."""
        del self._stops[self.find(number).id]

    def find(self, number: int) -> Stop:
        """Return a stop. Raises LabError."""
        if number not in self._stops:
            known = ", ".join(map(str, self._stops)) or "none"
            raise LabError(f"there is no stop {number}; stops here: {known}", "stop")
        return self._stops[number]

    def on(self) -> list[Stop]:
        """Return the stops that are on."""
        return [stop for stop in self._stops.values() if stop.enabled]

    def records(self) -> list[StopRecord]:
        """Return them as they are kept."""
        return [stop.record() for stop in self._stops.values()]

    def views(self) -> list[StopView]:
        """Return them as they are shown."""
        return [{**stop.record(), "text": describe(stop.condition)} for stop in self._stops.values()]


def read_stops(value: object) -> list[StopRecord]:
    """Return the stops in data from outside, without those that are none."""
    if not isinstance(value, list):
        return []
    items = [
        cast("Mapping[str, Any]", one) for one in cast("list[object]", value) if isinstance(one, Mapping)
    ]
    found: dict[int, StopRecord] = {}
    for one in items[:MOST]:
        number, hits, condition = one.get("id"), one.get("hits"), one.get("condition")
        numbers = all(
            isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 53 for n in (number, hits)
        )
        if numbers and isinstance(condition, Mapping):
            parts = cast("Mapping[object, object]", condition).items()
            plain = {str(key): part for key, part in parts if isinstance(part, str | int)}
            if len(repr(plain)) > MAX_CONDITION_CHARACTERS:
                continue
            found[cast("int", number)] = {
                "id": cast("int", number),
                "enabled": one.get("enabled") is True,
                "hits": cast("int", hits),
                "condition": plain,
            }
    return list(found.values())


def describe(condition: Mapping[str, Any]) -> str:
    """Return a condition in words: "breakpoint at 0x80000010 in a"."""
    kind = condition.get("kind")
    where = _where(condition)
    at = _hex(condition.get("address"))
    named = f"{condition['symbol']} ({at})" if "symbol" in condition else at
    match kind:
        case "breakpoint":
            return f"breakpoint at {named}{where}"
        case "watch":
            access = {"load": "load from", "store": "store to"}.get(str(condition.get("access")), "access to")
            space = str(condition.get("space", "gva")).upper()
            return f"{access} {condition.get('length', 8)} bytes at {space} {named}{where}"
        case "csr":
            value = f" to {_hex(condition['value'])}" if "value" in condition else ""
            return f"{condition.get('csr')} changes{value}{where}"
        case "exit":
            return f"exit {condition['reason']}{where}" if "reason" in condition else f"any exit{where}"
        case "state":
            return f"VM {condition.get('vm')} becomes {condition.get('state')}"
        case "console":
            return (
                f"console text {condition['text']!r}{where}"
                if "text" in condition
                else f"console output{where}"
            )
        case "fault":
            return f"guest page fault{where}"
        case "timeslice":
            return f"end of a timeslice{where}"
        case "time":
            return f"{condition.get('ns')} ns of virtual time"
        case _:
            return f"{kind}{where}"


def _where(condition: Mapping[str, Any]) -> str:
    if "vm" not in condition:
        return ""
    vcpu = f", vCPU {condition['vcpu']}" if "vcpu" in condition else ""
    return f" in {condition['vm']}{vcpu}"


def _hex(value: object) -> str:
    try:
        return hex(int(str(value), 0))
    except ValueError:
        return str(value)
