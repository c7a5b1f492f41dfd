"""One student's world: a host with VMs, driven by a log of actions.

A lab is a pure function of (configuration, programs, seed, action log). An entry of the log says at which
position its action was applied; between actions only virtual time passes. DESIGN.md, sections 2 and 5.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from emulator.hypervisor import lifecycle
from emulator.hypervisor.admission import AdmissionError
from emulator.hypervisor.decisions import DecisionError
from emulator.hypervisor.trace import Revision
from emulator.hypervisor.vm import HOLDS_MEMORY, Vm, VmState
from emulator.lab import (
    actions,
    archive,
    causes,
    conditions,
    defining,
    hosting,
    naming,
    observing,
    registers,
    saving,
    snapshots,
    stepping,
    stops,
)
from emulator.lab.checkpoint import Checkpoint, CheckpointError
from emulator.lab.config import HostConfig, LabConfig, VmConfig
from emulator.lab.errors import LabError
from emulator.lab.monitoring.monitor import Monitor
from emulator.lab.monitoring.timeline import Ahead, Timeline
from emulator.lab.network_config import make_networks, networks_of
from emulator.lab.policies import ImpossibleDecision, Policies
from emulator.lab.programs import Program
from emulator.lab.snapshots import Snapshots, SnapshotView
from emulator.lab.storage_config import make_storage, pools_of
from emulator.lab.timetravel import DEFAULT_BYTES, SPACING, Recorder
from emulator.lab.values import nearest
from emulator.lab.views import LabViews
from emulator.machine.engine import Engine

NS_PER_SECOND = 1_000_000_000
Action = Mapping[str, Any]
T = TypeVar("T")
Answer = str | int | float | bool | list[str]


class LogEntry(TypedDict):
    """Run to `position`, then apply `action`."""

    seq: int
    position: int
    action: dict[str, Any]


class Lab(LabViews):
    """A running lab.

    Args:
        config: What stands under `lab:` in a lesson.
        programs: Every program that the configuration names, by name.
        seed: Number that any randomness of the lab is drawn from; part of its identity.
        engine: The compiled kernels.

    Raises LabError if a program is missing or an `autostart` VM cannot be started.
    """

    def __init__(self, config: LabConfig, programs: Mapping[str, Program], seed: int, engine: Engine) -> None:
        self.seed = seed
        self.log: list[LogEntry] = []
        self.answers: dict[str, Answer] = {}
        self.revision = Revision()
        self.engine = engine
        self.config_at_start = config
        self.shown_since = 0  # an older cursor than this gets everything
        self.views = observing.Views()
        self.registers_seen = registers.SeenRegisters()
        self.recorder: Recorder | None = None
        self.ahead = Ahead()
        self.programs: dict[str, Program] = dict(programs)
        for index, vm in enumerate(config.vms):
            defining.require_program(self, vm.program, f"vms[{index}].program")
        self._build(position=0, next_event=1)

    @classmethod
    def replay(
        cls,
        config: LabConfig,
        programs: Mapping[str, Program],
        seed: int,
        log: Sequence[LogEntry],
        position: int,
        engine: Engine,
    ) -> Lab:
        """Return the lab as it stood at `position` after the actions of `log`. Raises LabError."""
        lab = cls(config, programs, seed, engine)
        for entry in log:
            lab.advance(entry["position"])
            if lab.position != entry["position"]:
                raise LabError(
                    f"action {entry['seq']} was applied at position {entry['position']}, and the lab stops at"
                    f" {lab.position}: this log belongs to another lab"
                )
            lab.apply(entry["action"])
        lab.advance(position)
        return lab

    def _build(self, position: int, next_event: int) -> None:
        """Make the host and the VMs of the initial configuration, with clocks at 0."""
        self.host_config: HostConfig = self.config_at_start.host
        self.vm_configs: dict[str, VmConfig] = {}
        self.edited: dict[str, Program] = {}  # VM name -> its own version of a program
        self.snapshot_trees: dict[int, Snapshots] = {}  # VM's serial number -> its snapshots
        self.templates: set[int] = set()  # serial numbers of VMs that cannot start
        self.monitor = Monitor(self.config_at_start.sampling, self.config_at_start.rules)
        texts_run = hasattr(self, "policies") and self.policies.runner.enabled
        self.policies = Policies(self)
        self.policies.runner.enabled = texts_run
        self.hypervisor = hosting.make(self, 0, position, next_event)
        self.timeline = Timeline(self)
        make_storage(self.config_at_start.pools, self.hypervisor.storage)
        make_networks(self.config_at_start.networks, self.hypervisor.networks)
        for vm in self.config_at_start.vms:
            defining.define(self, vm)
        for vm in self.config_at_start.vms:
            if vm.autostart:
                self._autostart(vm.name)

    def _autostart(self, name: str) -> None:
        try:
            defining.start(self, self.vm(name))
        except (lifecycle.LifecycleError, AdmissionError) as error:
            raise LabError(str(error), "vms") from error

    # Time

    @property
    def config(self) -> LabConfig:
        """The configuration as it is now."""
        pools = pools_of(self.hypervisor.storage)
        networks = networks_of(self.hypervisor.networks)
        vms = tuple(self.vm_configs.values())
        monitor = self.monitor
        return LabConfig(self.host_config, vms, pools, networks, monitor.rules, monitor.every_ns)

    @property
    def timeslice_cycles(self) -> int:
        """The timeslice in cycles of a pCPU."""
        return max(1, self.host_config.timeslice * self.host_config.clock // NS_PER_SECOND)

    @property
    def position(self) -> int:
        """The instant the lab stands at: it grows with everything that happens."""
        return self.hypervisor.position

    @property
    def now_ns(self) -> int:
        """Virtual time since the lab was built or reset, in nanoseconds: the mean of all pCPU clocks."""
        return self.to_ns(self.hypervisor.mean_clock)

    def to_ns(self, cycles: int) -> int:
        """Return cycles of a pCPU clock as nanoseconds."""
        return cycles * NS_PER_SECOND // self.host_config.clock

    def position_at(self, ns: int) -> int:
        """Return the first position at which the virtual time is `ns`."""
        return self.hypervisor.position_of(-(-ns * self.host_config.clock // NS_PER_SECOND))

    def advance(self, position: int) -> None:
        """Run to a position. Returns early when nothing can happen any more without an action.

        Behind the present of a recorded lab what was done there is done again.
        """
        if self.recorder is not None and self.recorder.behind and not self.recorder.paused:
            self.recorder.follow(position)
        else:
            self.go_on(position)

    def go_on(self, position: int) -> None:
        """Run to a position, whatever was done on the way before."""
        while True:
            due = self.monitor.due(self)
            self._run_to(min(position, due))
            if self.hypervisor.stopped or self.position < due:
                return
            self.monitor.look(self)

    def _run_to(self, position: int) -> None:
        if self.policies.runs:
            self.policies.run_to(position)
            return
        try:
            self.run_plain(position)
        except DecisionError as error:
            raise ImpossibleDecision(self, str(error)) from error

    def run_plain(self, position: int) -> None:
        """Run to a position, recorded if the lab is, whatever its policies do. Raises their errors."""
        if self.recorder is None:
            self.hypervisor.run_to(position)
        else:
            self.recorder.run_to(position)

    def run_until(self, condition: Mapping[str, Any], limit: int) -> bool:
        """Run until a condition holds, at most to position `limit`; return whether it holds.

        The conditions are those of `emulator.lab.conditions`. Raises LabError for one that is none.
        """
        return self._in_pieces(lambda goal: conditions.run_until(self, condition, goal), limit)

    def run_until_any(self, wanted: Sequence[Mapping[str, Any]], limit: int) -> list[int]:
        """Run until any of the conditions `wanted` holds; return the numbers of those that do.

        Debug stops stay set for the next call, until `disarm`. See `emulator.lab.stops`. Raises LabError.
        """
        return self._in_pieces(lambda goal: stops.run_until_any(self, wanted, goal), limit)

    def _in_pieces(self, run: Callable[[int], T], limit: int) -> T:
        return run(limit) if self.recorder is None else self.recorder.in_pieces(run, limit)

    def check_stop(self, condition: Mapping[str, Any]) -> None:
        """Raise LabError if `condition` is none; its VM may be off."""
        conditions.check(self, condition, asleep=True)

    def settled_stop(self, condition: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a stop as it is kept: a watched GVA becomes a GPA if it is mapped now. Raises LabError."""
        condition = naming.named(self, condition)
        conditions.check(self, condition, asleep=True)
        try:
            return conditions.settled(self, condition)
        except LabError:
            return condition

    def parts(self, condition: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the conditions of an `any`, or the one that another is. Raises LabError."""
        return conditions.parts(condition) if condition["kind"] == "any" else [condition]

    def holds(self, condition: Mapping[str, Any]) -> bool:
        """Return whether a condition is one that holds already where the lab stands."""
        return conditions.holds(self, condition)

    def over(self, whose: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the condition that ends a step over what a vCPU executes next. Raises LabError."""
        return stepping.over(self, whose)

    def disarm(self) -> None:
        """Take the debug stops off that `run_until_any` has set."""
        stops.disarm(self)

    def settled(self, condition: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a condition that means the same at every later position. Raises LabError."""
        condition = naming.named(self, condition)
        conditions.check(self, condition)
        return conditions.settled(self, condition)

    def check_condition(self, condition: Mapping[str, Any]) -> None:
        """Raise LabError if `condition` is none."""
        conditions.check(self, condition)

    def state_hash(self) -> str:
        """Return a digest over the architectural state.

        Frames, harts, VMs, clocks, consoles; never caches.
        """
        digest = hashlib.blake2b(digest_size=32)
        for part in self.hypervisor.state_parts():
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        kept = [snapshots.state(self), sorted(self.templates)]
        plain = [self.seed, self.config.to_dict(), kept, *self.monitor.state(), *self.policies.state()]
        digest.update(json.dumps(plain, sort_keys=True).encode())
        return digest.hexdigest()

    # Checkpoints

    def checkpoint(self, previous: Checkpoint | None = None) -> Checkpoint:
        """Return this instant, to come back to. What has not changed since `previous` is shared with it.

        Raises CheckpointError.
        """
        return Checkpoint(self, previous)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back (or forward) to a checkpoint of this lab. Raises CheckpointError."""
        if checkpoint.lab is not self:
            raise CheckpointError("this checkpoint is one of another lab")
        checkpoint.restore()
        self.policies.suspend()
        self.show_anew()

    def save(self) -> bytes:
        """Return this instant as bytes, to go on with elsewhere by `load`. Raises SaveError."""
        return saving.save(self)

    @classmethod
    def load(
        cls,
        state: bytes,
        config: LabConfig,
        programs: Mapping[str, Program],
        seed: int,
        log: Sequence[LogEntry],
        engine: Engine,
    ) -> Lab:
        """Return the lab of this beginning as `save` kept it, at some place of `log`. Raises SaveError."""
        return saving.load(state, config, programs, seed, log, engine)

    def show_anew(self) -> None:
        """Let every reader get everything, whatever it was shown before."""
        self.shown_since = self.revision.advance()

    def record(self, limit: int = DEFAULT_BYTES, spacing: int = SPACING) -> Recorder:
        """Record from here on, in about `limit` bytes, so that the lab can go back."""
        self.recorder = Recorder(self, limit, spacing)
        self.recorder.record()
        return self.recorder

    def rewind(self, position: int, actions: int | None = None) -> None:
        """Go to a position of this line of history, after the actions up to it, or the first `actions`.

        What comes after lies ahead and is done again when the lab goes on. Raises LabError.
        """
        self.past.go_to(position, actions)

    def undo(self, position: int, actions: int) -> None:
        """Go back to an instant and go on from there without what came after, which is kept as a branch.

        Raises LabError.
        """
        self.past.undo(position, actions)

    def back_to(self, condition: Mapping[str, Any]) -> bool:
        """Go back to the last instant before now at which a condition held; False if there is none near.

        Raises LabError.
        """
        return self.past.back_to(naming.named(self, condition))

    def return_to(self, branch: str) -> None:
        """Go on where a branch of history was left. Raises LabError."""
        self.past.return_to(branch)

    def make_room(self) -> None:
        """Let go of the recorded past if its pages are in the way of something that has to be kept."""
        if self.recorder is not None and not self.hypervisor.host.can_hold:
            self.recorder.forget()
        if not self.hypervisor.host.can_hold:
            self.policies.forget_safe()

    def snapshots(self, vm: str) -> list[SnapshotView]:
        """Return a VM's snapshots, oldest first. Raises LabError."""
        return snapshots.views(self, self.vm(vm))

    def export_vm(self, vm: str) -> bytes:
        """Return a VM as an archive, which the action `import_vm` reads. Raises LabError."""
        return archive.export_vm(self, self.vm(vm))

    @property
    def line(self) -> list[LogEntry]:
        """The log of this line of history; `log` is the part up to where the lab stands."""
        return self.log if self.recorder is None else self.recorder.line

    @property
    def past(self) -> Recorder:
        """What is recorded. Raises LabError if nothing is."""
        if self.recorder is None:
            raise LabError("this lab is not recorded; call record() before it runs")
        return self.recorder

    # Actions

    def apply(self, action: Action) -> dict[str, Any]:
        """Apply an action at this position, log it and return its result.

        Raises LabError, and then does nothing.
        """
        position = self.position
        plain = self.policies.completed(copy.deepcopy(dict(action)))
        with self.policies.during_action(plain), causes.of_action(self, plain):
            result = actions.apply(self, plain)
        if self.recorder is None:
            self.log.append({"seq": len(self.log) + 1, "position": position, "action": plain})
        else:
            self.recorder.note(plain, position)
        return result

    def carry_out(self, action: Action) -> None:
        """Do what a rule of the lab asks for. It follows from the configuration, so it is not logged.

        Raises LabError, and then does nothing.
        """
        self.hypervisor.desk.muted = True
        try:
            actions.apply(self, action)
        finally:
            self.hypervisor.desk.muted = False

    def vm(self, name: object) -> Vm:
        """Return a VM by name. Raises LabError."""
        found = self.hypervisor.vms.get(name) if isinstance(name, str) else None
        if found is None:
            known = list(self.hypervisor.vms)
            names = f"; VMs here: {', '.join(known)}" if known else "; no VM is defined"
            raise LabError(f"there is no VM {name!r}{nearest(str(name), known) or names}", "vm")
        return found

    def uuid(self, vm: str) -> str:
        """Return the UUID of a VM. Raises LabError."""
        return defining.uuid(self, vm)

    def program(self, vm: str) -> Program:
        """Return the program of a VM as it is now. Raises LabError."""
        return self.edited.get(self.vm(vm).name) or self.programs[self.vm_configs[vm].program]

    # Replacing the machine under the VMs

    def reset(self) -> None:
        """Build everything anew from the initial configuration; time goes on counting positions."""
        self._build(self.position, self.hypervisor.trace.next_event)
        self.show_anew()

    def replace_host(self, config: HostConfig) -> None:
        """Put other hardware under the VMs, none of which holds memory. Virtual time goes on."""
        hosting.replace(self, config)

    def is_on(self, vm: Vm) -> bool:
        """Return whether a VM is running, shutting down or paused."""
        return vm.lifecycle in HOLDS_MEMORY and vm.lifecycle is not VmState.CRASHED
