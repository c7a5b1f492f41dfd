"""Running until any of several things happens: the stops of a debugger.

Stops are conditions (`emulator.lab.conditions`), but for `instruction`. They are no part of a lab: they only
choose the position at which it stands, and setting, keeping or hitting them changes no state. What is told
apart from a single condition: a `state` counts when it *becomes* so, and what cannot happen now (its VM is
off, its page has no frame) is passed over instead of refused.

What they cost: breakpoints and watched memory are the machine's own (16 of each at once), and everything that
is looked at after an exit costs nothing between exits. A `csr` stop has no help of the machine: the vCPUs it
is about run one instruction at a time, which is exact, and slow (some ten thousand a second); others go on
at full speed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.shadow import as_guest
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import ACTIVE, Vm
from emulator.lab import conditions, naming
from emulator.lab.conditions import Condition, number_of
from emulator.lab.errors import LabError
from emulator.lab.registers import csr_value
from emulator.machine.debug import Breakpoint, Stop, Watchpoint
from emulator.machine.host import Host
from emulator.state import DEBUG_PLACES, PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab


def arm(host: Host, breakpoints: Sequence[Breakpoint], watchpoints: Sequence[Watchpoint]) -> None:
    """Let a host have exactly these debug stops, touching only what differs. Raises TooManyStopsError."""
    stops = host.stops
    for one in [one for one in stops.breakpoints if one not in breakpoints]:
        host.clear_breakpoint(one)
    for other in [other for other in stops.watchpoints if other not in watchpoints]:
        host.unwatch(other)
    for one in breakpoints:
        host.set_breakpoint(one)
    for other in watchpoints:
        host.watch(other)


def disarm(lab: Lab) -> None:
    """Take every debug stop off the lab's host."""
    arm(lab.hypervisor.host, (), ())


def run_until_any(lab: Lab, wanted: Sequence[Condition], limit: int) -> list[int]:
    """Run until any of `wanted` holds, at most to position `limit`; return the numbers of those that do.

    Debug stops stay set, so that going on costs nothing; `disarm` removes them. Raises LabError.
    """
    search = _Search(lab)
    for number, condition in enumerate(wanted):
        if "vm" not in condition or condition["vm"] in lab.hypervisor.vms:
            conditions.check(lab, condition, asleep=True)
            search.add(number, condition)
    return search.run(limit)


class _Search:
    """What is waited for, and what has happened (`hits`)."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.hits: list[int] = []
        self._debug: list[_Place] = []
        self._exits: list[tuple[int, Callable[[Vcpu, str], bool]]] = []
        self._alarms: list[tuple[int, str | None]] = []
        self._csrs: list[_CsrWatch] = []
        self._times: list[tuple[int, int]] = []

    def add(self, number: int, condition: Condition) -> None:
        """Wait for one more condition, unless it cannot happen now."""
        kind, lab = condition["kind"], self._lab
        match kind:
            case "any":
                for one in conditions.parts(condition):
                    self.add(number, one)
            case "time":
                self._times.append((number, lab.position_at(number_of(condition, "ns"))))
            case "alarm":
                self._alarms.append((number, condition.get("vm")))
            case "state":
                self._exits.append((number, _becomes(lab, condition)))
            case "breakpoint" | "watch" | "csr":
                self._add_of_vcpu(number, condition)
            case "instruction":
                raise LabError("to stop at every instruction is to step; it cannot be one of several", "kind")
            case _:
                self._exits.append((number, conditions.watch_for(lab, condition)))

    def _add_of_vcpu(self, number: int, condition: Condition) -> None:
        vm = self._lab.vm(condition["vm"])
        index = number_of(condition, "vcpu") if "vcpu" in condition else None
        if vm.lifecycle not in ACTIVE or (index is not None and index >= len(vm.vcpus)):
            return
        if condition["kind"] == "csr":
            vcpus = [one for one in vm.vcpus if index in (None, one.index)]
            self._csrs += [_CsrWatch(self._lab, number, condition, one) for one in vcpus]
            return
        if condition["kind"] == "breakpoint":
            at = naming.places(vm.settings.executable, condition)
            self._debug += [_Place(number, Breakpoint(one, vmid=vm.tag), vm, index) for one in at]
        elif (watched := self._watchpoint(vm, condition)) is not None:
            self._debug.append(_Place(number, watched, vm, index))

    def _watchpoint(self, vm: Vm, condition: Condition) -> Watchpoint | None:
        """Return what to watch; None while no frame stands behind the address, or nothing maps it."""
        try:
            place = conditions.settled(self._lab, condition)
        except LabError:
            return None
        page = (number_of(place, "address") - RAM_BASE) // PAGE_BYTES
        if not 0 <= page < len(vm.frames) or vm.frames[page] == ABSENT:
            return None
        return conditions.watchpoint_of(self._lab, place)

    def run(self, limit: int) -> list[int]:
        """Run until something that is waited for happens; return its numbers, none at the limit."""
        causes = list(dict.fromkeys(place.cause for place in self._debug))
        breakpoints = [cause for cause in causes if isinstance(cause, Breakpoint)]
        watched = [cause for cause in causes if isinstance(cause, Watchpoint)]
        if max(len(breakpoints), len(watched)) > DEBUG_PLACES:
            raise LabError(
                f"{len(causes)} stops at addresses are on; a host has room for {DEBUG_PLACES} breakpoints and"
                f" {DEBUG_PLACES} watched ranges: switch some off",
                "stops",
            )
        arm(self._lab.hypervisor.host, breakpoints, watched)
        with self._watching():
            while not self.hits and self._lab.position < limit and self._advance(limit):
                pass
        return sorted(set(self.hits))

    @contextmanager
    def _watching(self) -> Generator[None]:
        hypervisor = self._lab.hypervisor
        hypervisor.exit_watch = self._has_exited
        hypervisor.debug_watch = self._has_stopped
        vcpus = {id(one.vcpu) for one in self._csrs}
        if vcpus:
            hypervisor.dispatch_watch = lambda loaded: id(loaded) in vcpus
        try:
            yield
        finally:
            hypervisor.exit_watch = hypervisor.debug_watch = hypervisor.dispatch_watch = None

    def _has_exited(self, vcpu: Vcpu, reason: str) -> bool:
        found = [number for number, holds in self._exits if holds(vcpu, reason)]
        self.hits += found
        return bool(found)

    def _has_stopped(self, vcpu: Vcpu, stop: Stop) -> bool:
        found = [place.number for place in self._debug if place.is_met(vcpu, stop)]
        self.hits += found
        return bool(found)

    def _advance(self, limit: int) -> bool:
        """Run a stretch, and look at what no exit tells; False if nothing will happen any more."""
        lab = self._lab
        goal = min([limit, *(max(lab.position + 1, at) for _, at in self._times)])
        if self._alarms:
            goal = min(goal, max(lab.position + 1, lab.monitor.due(lab)))
        if self._csrs:
            goal = min(goal, lab.position + self._stride())
        raised = set(lab.monitor.raised()) if self._alarms else set[tuple[str, str]]()
        lab.advance(goal)
        self.hits += [number for number, at in self._times if lab.position >= at]
        self.hits += [watch.number for watch in self._csrs if watch.has_changed()]
        new = set(lab.monitor.raised()) - raised if self._alarms else raised
        self.hits += [number for number, vm in self._alarms if any(vm in (None, one) for _, one in new)]
        return not lab.hypervisor.finished

    def _stride(self) -> int:
        """Return how far to run where a CSR is watched: one instruction of a vCPU that has it, or a turn."""
        hypervisor = self._lab.hypervisor
        pcpu = hypervisor.pcpus[hypervisor.turn]
        if any(watch.vcpu is pcpu.current for watch in self._csrs):
            return 1
        return max(1, hypervisor.quantum_end - pcpu.hart.clock)


@dataclass(frozen=True, slots=True)
class _Place:
    """A debug stop of the machine, of one VM, and of one of its vCPUs if `index` is a number."""

    number: int
    cause: Breakpoint | Watchpoint
    vm: Vm
    index: int | None

    def is_met(self, vcpu: Vcpu, stop: Stop) -> bool:
        return stop.cause == self.cause and vcpu.vm is self.vm and self.index in (None, vcpu.index)


class _CsrWatch:
    """One CSR of one vCPU, and what it was."""

    def __init__(self, lab: Lab, number: int, condition: Condition, vcpu: Vcpu) -> None:
        self.number = number
        self.vcpu = vcpu
        self._lab = lab
        self._name = condition["csr"]
        self._wanted = number_of(condition, "value") if "value" in condition else None
        self._last = self._value()

    def _value(self) -> int:
        vcpu = self.vcpu
        return csr_value(as_guest(vcpu, self._lab.hypervisor.registers(vcpu)), self._name)

    def has_changed(self) -> bool:
        """Return whether it has changed since it was last looked at, to the wanted value if there is one."""
        before, self._last = self._last, self._value()
        return self._last != before and self._wanted in (None, self._last)


def _becomes(lab: Lab, condition: Condition) -> Callable[[Vcpu, str], bool]:
    """Return what tells after an exit whether a VM's state has just become the wanted one."""
    name, wanted = condition["vm"], condition["state"]
    last = [lab.vm(name).state.value]

    def holds(_vcpu: Vcpu, _reason: str) -> bool:
        vm = lab.hypervisor.vms.get(name)
        before, last[0] = last[0], vm.state.value if vm else ""
        return last[0] == wanted != before

    return holds
