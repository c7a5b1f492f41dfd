"""What a reader of a lab is sent, given what it was sent before: as little as it takes to show the same.

`state` comes whole at first and then as a difference (`changes.py`). While a lab runs so fast that nobody can
follow, the counters of VMs and vCPUs come twice a second, of the exits only the newest are told, and lanes
come as pieces (`emulator/lab/coarse_lanes.py`); once it stands still or slows down, all is exact again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from app.workers.changes import changes
from app.workers.session import Session
from emulator.hypervisor.trace import END, SLICES_KEPT
from emulator.lab.coarse_lanes import coarse_lanes
from emulator.lab.observing import lane_slices

PARTS = (("frames", "frames"), ("lanes", "lanes"), ("console", "consoles"), ("events", "events"))
DIFFERENCES = ("host", "vms", "answers", "together")
# Of each pCPU in one message: above the first, slices are shown as so many pieces.
MOST_SLICES, PIECES = 24, 16
MOST_EXITS = 8
SLOW_SECONDS = 0.5
FAST_CYCLES = 1000  # of each pCPU since the last message: faster than anybody can follow
# What changes all the time while a VM runs, and need not be told ten times a second.
SLOW_VM = (
    *("exits", "exit_cycles", "exits_total", "switches", "switch_cycles", "translations", "memory"),
    *("frames_ram", "frames_table", "console_length", "console_waiting"),
)
SLOW_VCPU = (
    *(
        "mode",
        "pc",
        "line",
        "where",
        "retired",
        "run_cycles",
        "hypervisor_cycles",
        "ready_cycles",
        "idle_cycles",
    ),
    *("blocked_cycles", "off_cycles", "exits", "exit_cycles", "switches", "switch_cycles", "translations"),
)
SLOW_HOST = ("memory", "store_used_bytes")
JsonDict = dict[str, Any]
Events = list[tuple[str, JsonDict]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reader has: the newest state, how far its lanes go, and whether they are in pieces."""

    cursor: int | None = None
    state: JsonDict = field(default_factory=dict[str, Any])
    ends: tuple[int, ...] = ()
    coarse: bool = False
    legend: list[JsonDict] = field(default_factory=list[JsonDict])
    slow_at: float = float("-inf")


def show(session: Session, shown: Shown, wall: float) -> tuple[Events, Shown]:
    """Return the events that bring a reader up to date, `state` last, and what it has then."""
    observation = cast("JsonDict", session.lab.observe(shown.cursor, lanes=False))
    full = bool(observation["full"])
    parts = {key: observation.pop(key) for _, key in PARTS}
    state: JsonDict = {**observation, "run": session.run_view()}
    fast = not full and _is_fast(session, shown, state)
    lanes, ends, coarse = _lanes(session, shown, full, fast, parts["lanes"])
    said = {
        "frames": {"full": full, "frames": _frames(parts["frames"], shown, full)},
        "lanes": lanes,
        "console": {"full": full, "consoles": parts["consoles"]},
        "events": {"full": full, "events": _events(parts["events"], fast)},
    }
    due = not fast or wall - shown.slow_at >= SLOW_SECONDS
    if not due:
        state = _held(shown.state, state)
    events = [(name, body) for name, body in said.items() if full or _says_something(name, body)]
    events.append(("state", state if full else _difference(shown.state, state)))
    legend = parts["frames"]["legend"]
    after = Shown(state["cursor"], state, ends, coarse, legend, wall if due else shown.slow_at)
    return events, after


def _is_fast(session: Session, shown: Shown, state: JsonDict) -> bool:
    if session.waiting or session.mode not in ("running", "until", "rebuilding"):
        return False
    moved = state["position"] - shown.state["position"]
    return abs(moved) >= FAST_CYCLES * len(state["host"]["pcpus"])


def _lanes(
    session: Session, shown: Shown, full: bool, fast: bool, whole: list[Any]
) -> tuple[JsonDict, tuple[int, ...], bool]:
    """Return the event `lanes`, the clocks at which it ends, and whether it is in pieces."""
    lab = session.lab
    since = -1 if full or shown.cursor is None else shown.cursor
    new = lab.hypervisor.trace.lanes_since(since)
    before = shown.ends if len(shown.ends) == len(new) and not full else (0,) * len(new)
    ends = tuple(lane[-1][END] if lane else end for lane, end in zip(new, before, strict=True))
    if full:
        return {"full": True, "lanes": whole}, ends, False
    if fast and (shown.coarse or max(map(len, new), default=0) > MOST_SLICES):
        return {"full": False, "lanes": [], "coarse": coarse_lanes(new, before, PIECES)}, ends, True
    if shown.coarse or max(map(len, new), default=0) == SLICES_KEPT:
        return {"full": True, "lanes": lane_slices(lab, -1)}, ends, False
    return {"full": False, "lanes": lane_slices(lab, since)}, ends, False


def _frames(frames: JsonDict, shown: Shown, full: bool) -> JsonDict:
    """Return frames with their runs as columns, which are small once they are compressed."""
    if full or frames["owners"] is not None:
        return frames
    newest: dict[tuple[int, int], int] = {(first, count): code for first, count, code in frames["delta"]}
    singles = all(count == 1 for _, count in newest)
    # Runs that overlap in part have to stay in their order; the same ones again need only their last code.
    runs = (
        sorted((first, count, code) for (first, count), code in newest.items())
        if singles
        else frames["delta"]
    )
    firsts = [0, *(first + count for first, count, _ in runs)]
    return {
        "count": frames["count"],
        "legend": None if _meanings(frames["legend"]) == _meanings(shown.legend) else frames["legend"],
        "owners": None,
        "delta": {
            "gaps": [first - after for (first, _, _), after in zip(runs, firsts, strict=False)],
            "counts": None if singles else [count for _, count, _ in runs],
            "codes": [code for _, _, code in runs],
        },
    }


def _meanings(legend: Iterable[Mapping[str, Any]]) -> list[JsonDict]:
    return [{key: value for key, value in entry.items() if key != "count"} for entry in legend]


def _events(events: list[JsonDict], fast: bool) -> list[JsonDict]:
    """Return the log, of whose exits only the newest are told while the lab is fast."""
    if not fast:
        return events
    exits = [event["id"] for event in events if event["kind"] == "exit"]
    first = exits[-MOST_EXITS] if len(exits) > MOST_EXITS else 0
    return [event for event in events if event["kind"] != "exit" or event["id"] >= first]


def _held(old: JsonDict, new: JsonDict) -> JsonDict:
    """Return a state with the slow values of the one before."""
    host = {**new["host"], **{key: old["host"][key] for key in SLOW_HOST}}
    before = {vm["name"]: vm for vm in old["vms"]}
    return {**new, "host": host, "vms": [_held_vm(before.get(vm["name"]), vm) for vm in new["vms"]]}


def _held_vm(old: JsonDict | None, new: JsonDict) -> JsonDict:
    if old is None or len(old["vcpus"]) != len(new["vcpus"]) or old["starts"] != new["starts"]:
        return new
    vcpus = [
        {**now, **{key: was[key] for key in SLOW_VCPU}}
        for was, now in zip(old["vcpus"], new["vcpus"], strict=True)
    ]
    return {**new, **{key: old[key] for key in SLOW_VM}, "vcpus": vcpus}


def _difference(old: JsonDict, new: JsonDict) -> JsonDict:
    """Return a state without what can be large, and how that has changed."""
    was, now = ({key: state[key] for key in DIFFERENCES} for state in (old, new))
    small = {key: value for key, value in new.items() if key not in DIFFERENCES}
    return {**small, "changes": changes(was, now)}


def _says_something(name: str, body: JsonDict) -> bool:
    if name == "frames":
        frames = body["frames"]
        return bool(frames["owners"] or frames["legend"] or frames["delta"]["codes"])
    if name == "lanes":
        return bool(body["full"] or body["lanes"] or any(body.get("coarse", {}).get("pieces", ())))
    return bool(body["consoles" if name == "console" else "events"])
