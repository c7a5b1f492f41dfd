"""Takes samples at fixed instants of virtual time and carries out rules there.

A sample is taken the moment a lab reaches a multiple of `every_ns`, so that what rules do is a function of
the configuration and the action log, like everything else in a lab. The newest SAMPLES_KEPT are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emulator.errors import VmLabError
from emulator.lab.monitoring.metrics import Key, sample
from emulator.lab.monitoring.rules import Rule
from emulator.lab.monitoring.signals import SIGNALS

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

SAMPLES_KEPT = 1000
NS_PER_SECOND = 1_000_000_000
NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Sample:
    """Every metric at one instant of virtual time."""

    at_ns: int
    values: Mapping[Key, float]


@dataclass
class Watch:
    """How a rule stands with a VM: since when its condition holds, and whether it is an alarm now."""

    since_ns: int | None = None
    raised: bool = False


@dataclass
class Monitor:
    """The samples and rules of one lab."""

    every_ns: int
    rules: tuple[Rule, ...] = ()
    samples: deque[Sample] = field(default_factory=lambda: deque[Sample](maxlen=SAMPLES_KEPT))
    watches: dict[str, Watch] = field(default_factory=dict[str, Watch])
    next_ns: int = 0

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Watch other rules from here on; those that stay go on as they stand."""
        kept = {rule.name for rule in rules if rule in self.rules}
        self.rules = tuple(rules)
        self.watches = {key: watch for key, watch in self.watches.items() if key.partition("/")[0] in kept}

    def due(self, lab: Lab) -> int:
        """Return the position of the next sample."""
        return lab.position_at(self.next_ns)

    def look(self, lab: Lab) -> None:
        """Take a sample and carry out the rules."""
        taken = Sample(lab.now_ns, sample(lab))
        previous = self.samples[-1] if self.samples else None
        self.samples.append(taken)
        self.next_ns = (lab.now_ns // self.every_ns + 1) * self.every_ns
        for rule in self.rules:
            for vm in rule.vms or tuple(lab.hypervisor.vms):
                if previous is not None and vm in lab.hypervisor.vms:
                    self._judge(lab, rule, vm, previous, taken)

    def raised(self) -> list[tuple[str, str]]:
        """Return the alarms that are up: (rule, VM)."""
        split = (key.partition("/") for key, watch in self.watches.items() if watch.raised)
        return [(rule, vm) for rule, _, vm in split]

    def state(self) -> list[Any]:
        """Return the plain state that decides what rules will do, for the state hash."""
        watches = [[key, watch.since_ns, watch.raised] for key, watch in sorted(self.watches.items())]
        return [self.next_ns, watches] if self.rules else []

    def _judge(self, lab: Lab, rule: Rule, vm: str, old: Sample, new: Sample) -> None:
        """Carry out one rule for one VM."""
        watch = self.watches.setdefault(f"{rule.name}/{vm}", Watch())
        up = new.values.get(("vmlab_vm_up", (("vm", vm),)), 0)
        value = SIGNALS[rule.signal].value(old, new, vm)
        if not up or not rule.holds(value):
            self._clear(lab, rule, vm, watch)
            return
        if watch.since_ns is None:
            watch.since_ns = old.at_ns
        if new.at_ns - watch.since_ns < rule.hold_ns or watch.raised:
            return
        said = f"{rule.name}: {rule.signal} of {vm} is {value:.1f} {SIGNALS[rule.signal].unit}"
        if rule.then:
            watch.since_ns = None
            self._act(lab, rule, vm, said)
        else:
            watch.raised = True
            tell(lab, "raised", said, vm)

    def _clear(self, lab: Lab, rule: Rule, vm: str, watch: Watch) -> None:
        if watch.raised:
            tell(lab, "cleared", f"{rule.name}: {rule.condition} does not hold for {vm} any more", vm)
        watch.since_ns, watch.raised = None, False

    def _act(self, lab: Lab, rule: Rule, vm: str, said: str) -> None:
        trace = lab.hypervisor.trace
        number = trace.reserve()
        try:
            changes = rule.changes(lab.vm_configs[vm].full_dict())
            with trace.causes.of(number):
                lab.carry_out({"verb": "set_vm", "vm": vm, **changes})
        except VmLabError as error:
            tell(lab, "failed", f"{said}, but: {error}", vm, number)
            return
        shown = ", ".join(f"{key} {value}" for key, value in changes.items())
        tell(lab, "acted", f"{said}; it now has {shown}", vm, number)


def tell(lab: Lab, reason: str, text: str, vm: str, number: int = 0) -> None:
    """Write what a rule did into the lab's log, with a number that is reserved for it."""
    hypervisor = lab.hypervisor
    hypervisor.trace.log("alarm", reason, text, lab.position, hypervisor.now, vm, number=number)
