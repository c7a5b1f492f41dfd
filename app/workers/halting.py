"""What a running lab is stopped by: a condition that was asked for, a stop, a policy's mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.workers.stops import Stop, describe
from emulator.lab import Lab, LabError


class Halt(NamedTuple):
    """Why a lab stopped: in words, by the stops `hit` (their ids), the parts `met` of a condition `any`."""

    reason: str
    hit: list[int]
    met: list[int]


def run_towards(
    lab: Lab, goal: int, condition: Mapping[str, Any] | None, stops: Sequence[Stop]
) -> Halt | None:
    """Run to `goal`, or until the condition holds or one of the stops is met; return what stopped the lab.

    A lab that has nothing left to run ends before `goal`. A condition that cannot hold any more (its VM is
    gone), and a mistake of a policy, stop it too.
    """
    # A step of one instruction ends at the next one anyway.
    stops = [] if condition and condition["kind"] == "instruction" else stops
    try:
        if stops or (condition and condition["kind"] == "any"):
            return _look_for_any(lab, goal, condition, stops)
        if condition is not None:
            return _met(condition) if lab.run_until(condition, goal) else None
        lab.disarm()
        lab.advance(goal)
    except LabError as error:
        return Halt(str(error), [], [])
    return None


def _met(condition: Mapping[str, Any], parts: Sequence[int] = ()) -> Halt:
    return Halt(f"condition met: {condition['kind']}", [], list(parts))


def _look_for_any(
    lab: Lab, goal: int, condition: Mapping[str, Any] | None, stops: Sequence[Stop]
) -> Halt | None:
    own = [] if condition is None else lab.parts(condition)
    if condition is not None and lab.holds(condition):
        return _met(condition)
    found = lab.run_until_any([*own, *(stop.condition for stop in stops)], goal)
    parts = [number for number in found if number < len(own)]
    met = [stops[number - len(own)] for number in found if number >= len(own)]
    for stop in met:
        stop.hits += 1
    if met:
        return Halt(f"stop {met[0].id}: {describe(met[0].condition)}", [stop.id for stop in met], parts)
    return _met(condition, parts) if condition is not None and found else None
