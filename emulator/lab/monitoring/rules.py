"""Rules: what has to hold of a VM for how long, and what is then done.

    rules:
      - {name: hungry, when: "ready > 10 %", for: 100 ms, vms: [web], then: {weight: "+64"}}
      - {name: chatty, when: "exits > 5000", for: 20 ms}

Without `then` a rule is an alarm: it is raised and cleared, and both stand in the log. With `then` it changes
the VM each time the condition has held for that long again: a number, or "+64", "-64", "x2" from what it is
now. The signals are those of `signals.py`. Thresholds of bytes may have units: "resident > 4 MiB".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from emulator.lab.monitoring.signals import SIGNALS
from emulator.lab.quantities import DURATION_UNITS, SIZE_UNITS, format_quantity, parse_quantity, quoted
from emulator.lab.values import ConfigError, kind_of, nearest, optional, quantity, table_of, vm_name

RULE_KEYS = ("name", "when", "for", "vms", "then")
MAX_RULES = 32
MAX_FOR_NS = 60_000_000_000
MIN_INTERVAL_NS, DEFAULT_INTERVAL_NS = 100_000, 10_000_000
CHANGEABLE = ("weight", "cap", "reservation", "vcpus", "affinity")
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_WHEN = re.compile(
    r"\s*([a-z-]+)\s*(>=|<=|>|<)\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*(%|/s|[A-Za-z]{1,3}(?:/s)?)?\s*"
)
_STEP = re.compile(r"([+x-])([0-9]{1,9}(?:\.[0-9]{1,3})?)")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; `then` is empty for an alarm, `vms` for all VMs."""

    name: str
    signal: str
    comparison: str
    threshold: float
    hold_ns: int = 0
    vms: tuple[str, ...] = ()
    then: tuple[tuple[str, str | int], ...] = ()

    @classmethod
    def from_dict(cls, data: object, path: str) -> Rule:
        """Return the rule that a mapping describes; raise ConfigError."""
        table = table_of(data, path, RULE_KEYS)
        for key, example in (("name", "hungry"), ("when", '"ready > 10 %"')):
            if key not in table:
                raise ConfigError(path, f"has no {key}; expected one, e.g. `{key}: {example}`")
        signal, comparison, threshold = read_condition(table["when"], f"{path}.when")
        return cls(
            vm_name(table["name"], f"{path}.name"),
            signal,
            comparison,
            threshold,
            optional(table, path, "for", 0, _hold),
            optional(table, path, "vms", (), _vms),
            optional(table, path, "then", (), _then),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the mapping that `from_dict` reads back."""
        data: dict[str, object] = {"name": self.name, "when": self.condition}
        if self.hold_ns:
            data["for"] = format_quantity(self.hold_ns, DURATION_UNITS)
        if self.vms:
            data["vms"] = list(self.vms)
        if self.then:
            data["then"] = dict(self.then)
        return data

    @property
    def condition(self) -> str:
        """The condition as it is written: "ready > 10 %"."""
        unit = SIGNALS[self.signal].unit
        return f"{self.signal} {self.comparison} {self.threshold:g} {unit}"

    def holds(self, value: float) -> bool:
        """Return whether the condition holds for a value of the signal."""
        return COMPARISONS[self.comparison](value, self.threshold)

    def changes(self, now: Mapping[str, object]) -> dict[str, str | int]:
        """Return what a VM that is configured like `now` is changed to."""
        return {key: stepped(value, now.get(key)) for key, value in self.then}


def read_rules(value: object, path: str = "rules") -> tuple[Rule, ...]:
    """Return the rules of a list; raise ConfigError."""
    if not isinstance(value, list | tuple):
        raise ConfigError(path, f"is {kind_of(value)}; expected a list of rules")
    entries = cast("list[object]", value)
    if len(entries) > MAX_RULES:
        raise ConfigError(path, f"has {len(entries)} entries; at most {MAX_RULES} are possible")
    rules = tuple(Rule.from_dict(entry, f"{path}[{index}]") for index, entry in enumerate(entries))
    names = [rule.name for rule in rules]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigError(f"{path}[{index}].name", f"is {quoted(name)}, already the name of another rule")
    return rules


def sampling_interval(value: object, path: str = "sampling") -> int:
    """Return a valid interval between samples in nanoseconds; raise ConfigError."""
    return quantity(value, path, DURATION_UNITS, "10 ms", MIN_INTERVAL_NS, MAX_FOR_NS)


def stepped(value: str | int, now: object) -> str | int:
    """Return "+64", "-64" or "x2" from a number, and anything else as it is; never less than 1."""
    match = _STEP.fullmatch(value) if isinstance(value, str) else None
    if match is None or not isinstance(now, int):
        return value
    amount = float(match[2])
    return max(1, round({"+": now + amount, "-": now - amount, "x": now * amount}[match[1]]))


def read_condition(value: object, path: str) -> tuple[str, str, float]:
    """Return signal, comparison and threshold of "ready > 10 %"; raise ConfigError."""
    match = _WHEN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ConfigError(path, f"is {quoted(value)}; expected a comparison, e.g. `ready > 10 %`")
    name, comparison, number, unit = match.groups()
    if name not in SIGNALS:
        known = list(SIGNALS)
        hint = nearest(name, known) or f"; signals are {', '.join(known)}"
        raise ConfigError(path, f"names the unknown signal {name!r}{hint}")
    return name, comparison, _threshold(number, unit or "", SIGNALS[name].unit, path)


def _threshold(number: str, unit: str, expected: str, path: str) -> float:
    if unit in ("", expected):
        return float(number)
    if expected.startswith("B"):
        try:
            return float(parse_quantity(f"{number} {unit.removesuffix('/s')}", SIZE_UNITS, "4 MiB"))
        except ValueError as error:
            raise ConfigError(path, f"is wrong: {error}") from error
    raise ConfigError(path, f"has the unit {unit!r}; this signal is in {expected}")


def _hold(value: object, path: str) -> int:
    return quantity(value, path, DURATION_UNITS, "100 ms", 0, MAX_FOR_NS)


def _vms(value: object, path: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return () if value in ("", "all") else (vm_name(value, path),)
    if not isinstance(value, list | tuple):
        raise ConfigError(path, f"is {quoted(value)}; expected names of VMs, e.g. `[web, db]`")
    return tuple(vm_name(one, f"{path}[{index}]") for index, one in enumerate(cast("list[object]", value)))


def _then(value: object, path: str) -> tuple[tuple[str, str | int], ...]:
    table: Mapping[str, Any] = table_of(value, path, CHANGEABLE)
    for key, change in table.items():
        if isinstance(change, bool) or not isinstance(change, str | int):
            raise ConfigError(
                f"{path}.{key}", f'is {quoted(change)}; expected a number, or "+64", "-64", "x2"'
            )
    return tuple(table.items())
