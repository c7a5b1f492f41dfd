"""Samples as time series for plots: the signals of `signals.py` for every VM, and how busy the pCPUs were.

A signal is made of two samples, so there is a value for each sample but the first that is kept. This goes
through each sample once, whatever is asked for; `signals.py` looks for one VM and one signal at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from emulator.lab.monitoring.metrics import Key

if TYPE_CHECKING:
    from emulator.lab.lab import Lab
    from emulator.lab.monitoring.monitor import Sample

Place = tuple[str, str]  # what is added up, and whose it is
Totals = dict[Place, float]
NS_PER_SECOND = 1_000_000_000
HOST = "host"


class SeriesView(TypedDict):
    """Values at instants; None where a VM was off. A VM's values are in percent, per second, or bytes."""

    every_ns: int
    at_ns: list[int]
    series: dict[str, dict[str, list[float | None]]]  # signal -> VM (or pCPU, or "host") -> values
    alarms: list[tuple[str, str]]  # those that are up: (rule, VM)
    rules: list[dict[str, object]]  # as they stand in a configuration


class Pair:
    """Two samples, the older one first, with their values added up."""

    def __init__(self, before: Totals, now: Totals, ns: int) -> None:
        """Take the totals of both and the virtual time between them."""
        self.before = before
        self.now = now
        self.seconds = max(1, ns) / NS_PER_SECOND

    def grown(self, what: str, who: str) -> float:
        """Return by how much counters have grown; one that was begun again counts from zero."""
        now, before = self.now.get((what, who), 0.0), self.before.get((what, who), 0.0)
        return now - before if now >= before else now

    def percent(self, who: str, *sections: str) -> float:
        """Return the time spent in sections, in percent of the time that passed."""
        return 100 * sum(self.grown(section, who) for section in sections) / self.seconds

    def each(self, who: str, section: str) -> float:
        """Return the same for each vCPU on average."""
        return self.percent(who, section) / max(1.0, self.now.get(("vcpus", who), 0.0))

    def rate(self, who: str, what: str) -> float:
        """Return a growth in a second."""
        return self.grown(what, who) / self.seconds


SIGNALS: Mapping[str, Callable[[Pair, str], float]] = {
    "pcpu": lambda pair, who: pair.percent(who, "pcpu"),
    "cpu": lambda pair, who: pair.percent(who, "run", "hypervisor"),
    "ready": lambda pair, who: pair.each(who, "ready"),
    "idle": lambda pair, who: pair.each(who, "idle"),
    "overhead": lambda pair, who: pair.percent(who, "hypervisor"),
    "exits": lambda pair, who: pair.rate(who, "exits"),
    "instructions": lambda pair, who: pair.rate(who, "instructions"),
    "resident": lambda pair, who: pair.now[("resident", who)],
    "balloon": lambda pair, who: pair.now[("balloon", who)],
    "working-set": lambda pair, who: pair.now[("working-set", who)],
    "read": lambda pair, who: pair.rate(who, "read"),
    "written": lambda pair, who: pair.rate(who, "write"),
    "frames": lambda pair, who: pair.rate(who, "frames"),
    "host-free": lambda pair, who: pair.now[("host-free", who)],
}
# What has to be in a sample for a signal to have a value there, if it is not the VM's memory.
NEEDS = {
    **{name: name for name in ("pcpu", "read", "frames", "host-free", "working-set")},
    "written": "write",
}


def series(lab: Lab, signals: Sequence[str], since_ns: int = -1) -> SeriesView:
    """Return the values of `signals` at the samples that were taken after `since_ns`."""
    samples = list(lab.monitor.samples)
    first = next((place for place, one in enumerate(samples) if one.at_ns > since_ns), len(samples))
    used = samples[max(0, first - 1) :]
    pairs = _pairs(used)
    return {
        "every_ns": lab.monitor.every_ns,
        "at_ns": [one.at_ns for one in used[1:]],
        "series": {signal: _values(signal, pairs) for signal in signals},
        "alarms": lab.monitor.raised(),
        "rules": [rule.to_dict() for rule in lab.monitor.rules],
    }


def _pairs(samples: Sequence[Sample]) -> list[Pair]:
    places: dict[Key, Place | None] = {}
    totals = [_totals(one.values, places) for one in samples]
    steps = itertools.pairwise(zip(samples, totals, strict=True))
    return [Pair(before, now, new.at_ns - old.at_ns) for (old, before), (new, now) in steps]


def _values(signal: str, pairs: Sequence[Pair]) -> dict[str, list[float | None]]:
    need, value = NEEDS.get(signal, "resident"), SIGNALS[signal]
    whose = dict.fromkeys(who for pair in pairs for what, who in pair.now if what == need)
    return {
        who: [_rounded(value(pair, who)) if (need, who) in pair.now else None for pair in pairs]
        for who in whose
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _totals(values: Mapping[Key, float], places: dict[Key, Place | None]) -> Totals:
    totals: Totals = {}
    for key, value in values.items():
        if key not in places:
            places[key] = _place(key)
        place = places[key]
        if place is not None:
            totals[place] = totals.get(place, 0.0) + value
            if place[0] == "run":
                totals[("vcpus", place[1])] = totals.get(("vcpus", place[1]), 0.0) + 1
    return totals


def _place(key: Key) -> Place | None:
    """Return where a metric's value is added, None for nowhere."""
    name, labels = key[0], dict(key[1])
    who = labels.get("vm", HOST)
    match name:
        case "vmlab_pcpu_seconds_total":
            return None if labels["section"] == "idle" else ("pcpu", labels["pcpu"])
        case "vmlab_vcpu_seconds_total":
            return labels["section"], who
        case "vmlab_disk_bytes_total":
            return labels["operation"], who
        case _:
            return (PLAIN[name], who) if name in PLAIN else None


PLAIN = {
    "vmlab_host_free_bytes": "host-free",
    "vmlab_vcpu_instructions_total": "instructions",
    "vmlab_vm_exits_total": "exits",
    "vmlab_vm_resident_bytes": "resident",
    "vmlab_vm_balloon_bytes": "balloon",
    "vmlab_vm_working_set_bytes": "working-set",
    "vmlab_network_frames_total": "frames",
}
