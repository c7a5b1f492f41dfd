"""What a student may do to networks: define and remove them, change links while VMs run, capture frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emulator.lab.errors import LabError
from emulator.lab.network_config import LINK_KEYS, MAX_NETWORKS, NetworkConfig, link_to_dict, read_link
from emulator.lab.values import boolean, table_of

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

Result = dict[str, Any]


def _note(lab: Lab, verb: str, text: str, vm: str | None = None) -> None:
    lab.hypervisor.trace.log("action", verb, text, lab.position, lab.hypervisor.now, vm)


def _net_define(lab: Lab, arguments: Result) -> Result:
    data = {("name" if key == "network" else key): value for key, value in arguments.items()}
    config = NetworkConfig.from_dict(data, "network")
    if len(lab.hypervisor.networks.names()) >= MAX_NETWORKS:
        raise LabError(f"a lab has at most {MAX_NETWORKS} networks; undefine one first", "network")
    lab.hypervisor.networks.define(config.settings)
    _note(lab, "net_define", f"network {config.settings.name} was defined: {config.settings.mode}")
    return {"network": config.settings.name}


def _net_undefine(lab: Lab, arguments: Result) -> Result:
    table_of(arguments, "net_undefine", ("network",))
    name = _name(lab, arguments)
    users = [vm.name for vm in lab.vm_configs.values() if vm.network == name]
    if users:
        raise LabError(f"network {name} has the card of {', '.join(users)}; change that first", "network")
    lab.hypervisor.networks.undefine(name)
    _note(lab, "net_undefine", f"network {name} was removed")
    return {"network": name}


def _net_link(lab: Lab, arguments: Result) -> Result:
    """Change a VM's port: VLAN, trunk, rate, latency, loss, link up or down; the VM may run."""
    table_of(arguments, "net_link", ("vm", *LINK_KEYS))
    vm = lab.vm(arguments.get("vm"))
    if not vm.settings.network:
        raise LabError(f"{vm.name} has no network card; give it one with set_vm while it is shut off", "vm")
    link = read_link(arguments, "network", vm.settings.link)
    vm.settings = replace(vm.settings, link=link)
    lab.vm_configs[vm.name] = replace(lab.vm_configs[vm.name], link=link)
    lab.hypervisor.networks.set_link(vm.settings.network, vm.serial, link)
    if lab.is_on(vm) and vm.board is not None:
        vm.board.link_changed()
    _note(lab, "net_link", f"the link of {vm.name} was changed: {', '.join(sorted(arguments))}", vm.name)
    return {"vm": vm.name, **link_to_dict(link)}


def _net_capture(lab: Lab, arguments: Result) -> Result:
    """Begin a capture anew, or end it; `Lab.pcap` gives what was captured."""
    table_of(arguments, "net_capture", ("network", "on"))
    name, on = str(arguments.get("network")), boolean(arguments.get("on", True), "on")
    state = lab.network(name).state
    if on:
        state.captured.clear()
        state.captured_bytes = state.capture_lost = 0
    state.capturing = on
    _note(lab, "net_capture", f"network {name}: capture on" if on else f"network {name}: capture off")
    return {"network": name, "capturing": on, "frames": len(state.captured)}


def _name(lab: Lab, arguments: Result) -> str:
    return lab.hypervisor.networks.settings(str(arguments.get("network"))).name


NETWORK_VERBS: dict[str, Callable[[Lab, Result], Result]] = {
    "net_define": _net_define,
    "net_undefine": _net_undefine,
    "net_link": _net_link,
    "net_capture": _net_capture,
}
