"""What the steps of scripts name, followed in their order without running a lab.

A step that names a verb, VM, program, volume, pool, network or snapshot that is not there at that moment is a
fault, and so is a key or value that no VM or host can have. Left out: whether a VM's state allows a step.
What a `refused` step names may be anything but its verb, for that may be why it is refused.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from app.guests import images
from app.lessons.errors import LessonError, nearest, shown
from app.lessons.script import Act, Edit, Script, ScriptStep
from emulator.lab.actions import VERBS
from emulator.lab.config import HostConfig, LabConfig, VmConfig
from emulator.lab.monitoring.rules import read_rules
from emulator.lab.programs import Program
from emulator.lab.values import ConfigError

Programs = Mapping[str, Program]
Action = Mapping[str, Any]

_HOLDERS = {
    "vol_create": ("pool", "backing"),
    "vol_delete": ("volume",),
    "vol_resize": ("volume",),
    "vol_commit": ("volume",),
    "vol_rebase": ("volume", "backing"),
    "vol_upload": ("volume",),
    "vol_import": ("pool",),
    "pool_resize": ("pool",),
    "pool_delete": ("pool",),
    "net_undefine": ("network",),
    "net_capture": ("network",),
}
"""The keys of a verb that name what must be there. A `backing` is a volume."""


@dataclass
class Names:
    """What there is at one moment of a script."""

    vms: dict[str, VmConfig]
    sources: dict[str, str]
    host: HostConfig
    volumes: set[str]
    pools: set[str]
    networks: set[str]
    snapshots: set[str] = field(default_factory=lambda: set[str]())

    @classmethod
    def of(cls, config: LabConfig, programs: Programs) -> "Names":
        """Return what a lab has in the beginning."""
        return cls(
            {vm.name: vm for vm in config.vms},
            {vm.name: _source(programs, vm.program) for vm in config.vms},
            config.host,
            {volume.name for pool in config.pools for volume in pool.volumes},
            {pool.name for pool in config.pools},
            {*(network.settings.name for network in config.networks), *(vm.network for vm in config.vms)},
        )

    def of_kind(self, kind: str) -> Collection[str]:
        """Return the names of one kind: `vm`, `volume`, `pool`, `network` or `snapshot`."""
        kinds: dict[str, Collection[str]] = {
            "vm": self.vms,
            "volume": self.volumes,
            "backing": self.volumes,
            "pool": self.pools,
            "network": self.networks,
            "snapshot": self.snapshots,
        }
        return kinds[kind]


def named_ever(config: LabConfig, programs: Programs, scripts: Iterable[Script]) -> dict[str, set[str]]:
    """Return by kind the names that a lab has in the beginning, or that a step of a script gives."""
    ever: dict[str, set[str]] = {"vm": set(), "volume": set(), "snapshot": set()}

    def note(names: Names) -> None:
        for kind, known in ever.items():
            known.update(names.of_kind(kind))

    note(Names.of(config, programs))
    for script in scripts:
        _Walk(Names.of(config, programs), config, programs, script).run(note)
    return ever


def script_faults(config: LabConfig, programs: Programs, script: Script) -> list[LessonError]:
    """Return the steps of a script that name what is not there."""
    walk = _Walk(Names.of(config, programs), config, programs, script)
    walk.run(lambda _names: None)
    return walk.faults


def _source(programs: Programs, name: str) -> str:
    program = programs.get(name)
    return (program.source if program else None) or ""


class _Walk:
    """Goes through a script; a step that is at fault changes nothing."""

    def __init__(self, names: Names, config: LabConfig, programs: Programs, script: Script) -> None:
        self.faults: list[LessonError] = []
        self._names = names
        self._config = config
        self._programs = programs
        self._script = script

    def run(self, after: Callable[[Names], object]) -> None:
        for step in self._script.steps:
            try:
                self._step(step)
            except LessonError as fault:
                self.faults.append(fault)
            except ConfigError as error:
                self.faults.append(self._script.error(step, str(error)))
            after(self._names)

    def _step(self, step: ScriptStep) -> None:
        if isinstance(step, Edit):
            self._edit(step)
        if isinstance(step, Act):
            verb = str(step.action["verb"])
            if verb not in VERBS:
                raise self._script.error(step, f"there is no verb '{shown(verb)}'{nearest(verb, VERBS)}")
            if not step.refused:
                self._act(step, verb, {key: each for key, each in step.action.items() if key != "verb"})

    def _require(self, step: ScriptStep, kind: str, name: object, known: Collection[str]) -> str:
        if isinstance(name, str) and name in known:
            return name
        word = "VM" if kind == "vm" else kind
        raise self._script.error(step, f"there is no {word} '{shown(name)}' here{nearest(str(name), known)}")

    def _edit(self, step: Edit) -> None:
        self._require(step, "vm", step.vm, self._names.sources)
        source = self._names.sources[step.vm]
        found = source.count(step.old)
        if found != 1:
            message = f"'{shown(step.old)}' occurs {found} times in the program of VM {step.vm}; must be once"
            raise self._script.error(step, message)
        self._names.sources[step.vm] = source.replace(step.old, step.new)

    def _act(self, step: Act, verb: str, action: Action) -> None:
        for key in _HOLDERS.get(verb, ()):
            if action.get(key):
                self._require(step, key, action[key], self._names.of_kind(key))
        if "vm" in action and verb != "define":
            self._require(step, "vm", action["vm"], self._names.vms)
        if verb in ("snapshot_revert", "snapshot_delete"):
            self._require(step, "snapshot", action.get("name"), self._names.snapshots)
        own = getattr(self, f"_{verb}", None)
        if own is not None:
            own(step, action)

    def _define(self, step: Act, action: Action) -> None:
        given: object = action.get("vm")
        if isinstance(given, Mapping):
            table = dict(cast("Action", given))
        else:
            table = {key: each for key, each in action.items() if key != "vm"}
            table = {"name": given, **table} if isinstance(given, str) else table
        self._keep(step, VmConfig.from_dict(table, "vm"))

    def _keep(self, step: Act, vm: VmConfig) -> None:
        """Note a VM that is defined or changed, if what its configuration names is there."""
        self._require(step, "program", vm.program, {*self._programs, *images.names()})
        if vm.disk is not None and vm.disk.volume:
            self._require(step, "volume", vm.disk.volume, self._names.volumes)
        if vm.network:  # an unknown name is a new isolated network
            self._names.networks.add(vm.network)
        self._names.vms[vm.name] = vm
        self._names.sources.setdefault(vm.name, _source(self._programs, vm.program))

    def _set_vm(self, step: Act, action: Action) -> None:
        old = self._names.vms[action["vm"]]
        changes = {key: each for key, each in action.items() if key != "vm"}
        vm = VmConfig.from_dict({**old.to_dict(), **changes}, "vm")
        if "program" in changes:
            self._names.sources.pop(old.name, None)
        self._keep(step, vm)
        if vm.name != old.name:
            del self._names.vms[old.name]
            self._names.sources[vm.name] = self._names.sources.pop(old.name, "")

    def _set_host(self, step: Act, action: Action) -> None:
        self._names.host = HostConfig.from_dict({**self._names.host.to_dict(), **action})

    def _set_rules(self, step: Act, action: Action) -> None:
        if "rules" in action:
            read_rules(action["rules"])

    def _set_program(self, step: Act, action: Action) -> None:
        self._names.sources[action["vm"]] = str(action.get("source"))

    def _undefine(self, step: Act, action: Action) -> None:
        if self._names.vms.pop(str(action.get("vm")), None):
            self._names.sources.pop(action["vm"], None)

    def _clone(self, step: Act, action: Action) -> None:
        source = self._names.vms.get(str(action.get("vm")))
        name = str(action.get("name"))
        if source is None:
            return
        self._names.vms[name] = source
        self._names.sources[name] = self._names.sources.get(source.name, "")
        if source.disk is not None and source.disk.volume:
            self._names.volumes.add(f"{source.disk.volume}-{name}")

    def _import_vm(self, step: Act, action: Action) -> None:
        name = action.get("name")
        if isinstance(name, str) and self._names.vms:
            self._names.vms[name] = next(iter(self._names.vms.values()))

    def _snapshot_create(self, step: Act, action: Action) -> None:
        self._names.snapshots.add(str(action.get("name")))

    def _vol_create(self, step: Act, action: Action) -> None:
        self._names.volumes.add(str(action.get("volume")))

    _vol_import = _vol_create

    def _vol_delete(self, step: Act, action: Action) -> None:
        self._names.volumes.discard(str(action.get("volume")))

    def _pool_create(self, step: Act, action: Action) -> None:
        self._names.pools.add(str(action.get("pool")))

    def _net_define(self, step: Act, action: Action) -> None:
        self._names.networks.add(str(action.get("network") or action.get("name")))

    def _reset_lab(self, step: Act, action: Action) -> None:
        snapshots = self._names.snapshots
        self._names = Names.of(self._config, self._programs)
        self._names.snapshots |= snapshots
