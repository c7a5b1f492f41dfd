"""Provisioning: from a lab as it is to the lab that a configuration describes, by ordinary actions.

`plan` says what would be done, `provision` does it. Both are idempotent: of a lab that is as described, the
plan is empty. What is not in the description is removed; what cannot be changed in place is refused before
anything is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from emulator.hypervisor.network import NetworkSettings
from emulator.lab.config import HostConfig, LabConfig, VmConfig
from emulator.lab.errors import LabError
from emulator.lab.network_config import NetworkConfig, full_link
from emulator.lab.quantities import format_size
from emulator.lab.storage_config import PoolConfig, VolumeConfig, full_limits

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

FIXED_HOST_KEYS = ("clock", "isa")


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a plan, the path of what it changes, and a line for people: "~ vm web: cap 0 -> 50"."""

    path: str
    action: dict[str, Any]
    text: str

    def path_of(self, key: str) -> str:
        """Return the path of the key that a refusal is about, if the action has it."""
        whole, _, last = self.path.rpartition(".")
        known = last in self.action and key in self.action and key not in ("vm", "verb")
        return f"{whole}.{key}" if known else self.path


def plan(now: LabConfig, wanted: LabConfig, origins: Sequence[str | None] | None = None) -> list[Step]:
    """Return the steps from one configuration to another; raise LabError for what has to be made anew.

    `origins[i]` is the VM that `wanted.vms[i]` is today, None for a new one; by name if left out. VMs go
    first and are changed last; the host changes in between, because it may need them to be gone.
    """
    names = [vm.name for vm in wanted.vms] if origins is None else list(origins)
    before = {vm.name: vm for vm in now.vms}
    steps = [
        _step(f"vms.{name}", "undefine", f"- vm {name}", vm=name) for name in before if name not in names
    ]
    steps += _storage_removed(now.pools, wanted.pools)
    steps += _networks(now, wanted)
    steps += _host(now.host, wanted.host)
    steps += _storage_added(now.pools, wanted.pools)
    for index, (origin, vm) in enumerate(zip(names, wanted.vms, strict=True)):
        steps += _vm(f"vms[{index}]", before.get(origin) if origin is not None else None, vm)
    return steps + list(_watching(now, wanted))


def provision(lab: Lab, wanted: LabConfig) -> list[Step]:
    """Make a lab what a configuration describes and return the steps; raise LabError at the first refusal.

    What was done before a refusal stays done, and another call goes on from there.
    """
    steps = plan(lab.config, wanted)
    for number, step in enumerate(steps):
        try:
            lab.apply(step.action)
        except LabError as error:
            kept = f" ({number} of {len(steps)} steps were done)" if number else ""
            raise LabError(f"{step.text}: {error}{kept}", step.path_of(error.path)) from error
    return steps


def _step(path: str, verb: str, text: str, **arguments: object) -> Step:
    return Step(path, {"verb": verb, **arguments}, text)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the values that change, and how that is shown."""
    changed = {key: value for key, value in new.items() if value != old[key]}
    shown = ", ".join(f"{key} {old[key] or 'none'} -> {value or 'none'}" for key, value in changed.items())
    return changed, shown


def _host(old: HostConfig, new: HostConfig) -> Iterator[Step]:
    changed, shown = _differences(old.full_dict(), new.full_dict())
    for key in FIXED_HOST_KEYS:
        if key in changed:
            raise LabError(f"host.{key} belongs to the lesson and cannot be changed.", f"host.{key}")
    if changed:
        yield Step("host." + next(iter(changed)), {"verb": "set_host", **changed}, f"~ host: {shown}")


def _vm(path: str, old: VmConfig | None, new: VmConfig) -> Iterator[Step]:
    if old is None:
        yield _step(path, "define", f"+ vm {new.name}", vm=new.to_dict())
        return
    for step in _live(path, old, new):
        yield step
        limits = step.action["verb"] == "disk_limits"
        old = replace(old, disk=new.disk) if limits else replace(old, link=new.link)
    changed, shown = _differences(old.full_dict(), new.full_dict())
    if changed:
        action = {"verb": "set_vm", "vm": old.name, **changed}
        yield Step(f"{path}.{next(iter(changed))}", action, f"~ vm {old.name}: {shown}")


def _live(path: str, old: VmConfig, new: VmConfig) -> Iterator[Step]:
    """Yield what changes of disk and network card while a VM is on: the disk's limits, the card's link."""
    before, after = old.disk, new.disk
    if before and after and before != after and replace(before, limits=after.limits) == after:
        limits = full_limits(after.limits)
        yield _step(
            f"{path}.disk", "disk_limits", f"~ vm {old.name}: limits of its disk", vm=old.name, **limits
        )
    if old.network and old.network == new.network and old.link != new.link:
        link = full_link(new.link)
        yield _step(f"{path}.network", "net_link", f"~ vm {old.name}: its link", vm=old.name, **link)


def _networks(now: LabConfig, wanted: LabConfig) -> Iterator[Step]:
    old, new = _declared(now), _declared(wanted)
    for name in [name for name in old if name not in new]:
        yield _step(f"networks.{name}", "net_undefine", f"- network {name}", network=name)
    for name, network in new.items():
        if name not in old:
            settings = {key: value for key, value in network.to_dict().items() if key != "name"}
            yield _step(f"networks.{name}", "net_define", f"+ network {name}", network=name, **settings)
        elif network != old[name]:
            raise LabError(
                f"network {name} cannot be changed in place; undefine it first", f"networks.{name}"
            )


def _declared(config: LabConfig) -> dict[str, NetworkConfig]:
    """Return the networks that are not plain: a plain one comes and goes with the VMs that name it."""
    all_networks = {one.settings.name: one for one in config.networks}
    return {name: one for name, one in all_networks.items() if one.settings != NetworkSettings(name)}


def _storage_removed(old: Sequence[PoolConfig], new: Sequence[PoolConfig]) -> Iterator[Step]:
    """Yield what goes: overlays before what they lie over, volumes before their pools."""
    kept = {(pool.name, volume.name) for pool in new for volume in pool.volumes}
    gone = [(pool.name, volume.name) for pool in old for volume in pool.volumes]
    for pool, volume in reversed([one for one in gone if one not in kept]):
        yield _step(f"pools.{pool}", "vol_delete", f"- volume {volume}", volume=volume)
    for name in [pool.name for pool in old if pool.name not in {one.name for one in new}]:
        yield _step(f"pools.{name}", "pool_delete", f"- pool {name}", pool=name)


def _storage_added(old: Sequence[PoolConfig], new: Sequence[PoolConfig]) -> Iterator[Step]:
    before = {pool.name: pool for pool in old}
    for pool in new:
        path, size = f"pools.{pool.name}", format_size(pool.capacity)
        known = before.get(pool.name)
        if known is None:
            yield _step(path, "pool_create", f"+ pool {pool.name}, {size}", pool=pool.name, capacity=size)
        elif known.capacity != pool.capacity:
            text = f"~ pool {pool.name}: capacity {format_size(known.capacity)} -> {size}"
            yield _step(path, "pool_resize", text, pool=pool.name, capacity=size)
        volumes = {volume.name: volume for volume in known.volumes} if known else {}
        for volume in pool.volumes:
            yield from _volume(f"{path}.{volume.name}", pool.name, volumes.get(volume.name), volume)


def _volume(path: str, pool: str, old: VolumeConfig | None, new: VolumeConfig) -> Iterator[Step]:
    if old is None:
        settings = {key: value for key, value in new.to_dict().items() if key != "name"}
        yield _step(path, "vol_create", f"+ volume {new.name}", volume=new.name, pool=pool, **settings)
        return
    same = (old.format, old.backing, old.preallocated) == (new.format, new.backing, new.preallocated)
    if not same:
        raise LabError(f"volume {new.name} cannot be changed in place; delete it first", path)
    if new.capacity not in (0, old.capacity):
        text = f"~ volume {new.name}: capacity {format_size(old.capacity)} -> {format_size(new.capacity)}"
        yield _step(path, "vol_resize", text, volume=new.name, capacity=format_size(new.capacity))


def _watching(now: LabConfig, wanted: LabConfig) -> Iterator[Step]:
    """Yield the change of rules and of how often they look, if there is one."""
    if (now.rules, now.sampling) == (wanted.rules, wanted.sampling):
        return
    rules = [rule.to_dict() for rule in wanted.rules]
    names = ", ".join(rule.name for rule in wanted.rules) or "none"
    yield _step("rules", "set_rules", f"~ rules: {names}", rules=rules, sampling=wanted.sampling)
