"""The networks of a host: switches by name, the cards and bridges plugged into them, and the router.

Port numbers are the serial numbers of VMs; the gateway is port 0 and bridges have negative numbers. What a
card is told and when is decided here: at once, or by `elapse` when its frame has arrived.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from emulator.hypervisor.network.packets import text
from emulator.hypervisor.network.passages import PassageLog
from emulator.hypervisor.network.router import OUTSIDE, Router
from emulator.hypervisor.network.state import (
    LinkSettings,
    NetworkError,
    NetworkSettings,
    NetworksState,
    NetworkState,
    PortState,
)
from emulator.hypervisor.network.switch import Receiver, Switch

GATEWAY = 0
ALL_VLANS = tuple(range(2, 4095))


class Networks:
    """Every network of a lab. What it knows is in `state`; what is plugged in are functions."""

    def __init__(self, seed: int, now_ns: Callable[[], int]) -> None:
        """No network. `seed` decides which frames lossy wires lose."""
        self._seed = seed
        self.now_ns = now_ns
        self._switches: dict[str, Switch] = {}
        self._settings: dict[str, NetworkSettings] = {}
        self._with_gateway: dict[str, NetworkSettings] = {}
        self.router = Router(self._from_router, self._with_gateway)
        self.passages = PassageLog()

    @property
    def state(self) -> NetworksState:
        """All of it, as plain data: the objects themselves, not copies."""
        networks = {
            name: NetworkState(self._settings[name], switch.state) for name, switch in self._switches.items()
        }
        return NetworksState(networks, self.router.state)

    def restore(self, state: NetworksState) -> None:
        """Take over a state; cards are plugged in again by the boards of their VMs. Raises NetworkError."""
        self._switches.clear()
        self._settings.clear()
        self._with_gateway.clear()
        for network in state.networks.values():
            self.define(network.settings)
            self._switches[network.settings.name].state = network.switch
        self.router.state = state.router

    # Networks

    def __contains__(self, name: object) -> bool:
        return name in self._switches

    def settings(self, name: str) -> NetworkSettings:
        """Return the settings of a network. Raises NetworkError."""
        if name not in self._settings:
            known = ", ".join(self._settings) or "none"
            raise NetworkError(f"there is no network {name!r}; networks here: {known}")
        return self._settings[name]

    def names(self) -> list[str]:
        """Return the names of all networks, in order of definition."""
        return list(self._settings)

    def switch(self, name: str) -> Switch:
        """Return the switch of a network; an unknown name is a new isolated network."""
        if name not in self._switches:
            self.define(NetworkSettings(name))
        return self._switches[name]

    def define(self, settings: NetworkSettings) -> None:
        """Add a network. Raises NetworkError."""
        if settings.name in self._settings:
            raise NetworkError(f"there is a network {settings.name!r} already; choose another name")
        self._check(settings)
        name = settings.name
        seed = hashlib.blake2b(f"{self._seed}/{name}".encode(), digest_size=8).digest()
        number = int.from_bytes(seed, "little")
        switch = Switch(number, settings.ageing_ns, self._now, name, self.passages)
        self._settings[name], self._switches[name] = settings, switch
        if settings.address:
            self._with_gateway[name] = settings
            port = LinkSettings(vlan=settings.vlan)
            switch.plug(GATEWAY, self._to_router(name), "gateway", port, timed=False)
        if settings.mode == "bridge":
            self._join(name, settings.to)

    def _now(self) -> int:
        return self.now_ns()

    def _check(self, settings: NetworkSettings) -> None:
        name, mode = settings.name, settings.mode
        if mode == "bridge":
            self.settings(settings.to)
            if settings.address:
                raise NetworkError(
                    f"network {name} is a bridge and has no address; {settings.to} may have one"
                )
            return
        if settings.to:
            raise NetworkError(f"network {name} is {mode}; only a bridge leads `to` another network")
        if mode in ("nat", "routed") and not settings.address:
            raise NetworkError(f"network {name} is {mode} and needs an address, e.g. 10.0.1.1/24")
        if settings.dhcp and not settings.address:
            raise NetworkError(f"network {name} has DHCP and needs an address, e.g. 10.0.1.1/24")
        for other in self._with_gateway.values():
            bits = 32 - min(settings.prefix, other.prefix)
            if settings.address and settings.address >> bits == other.address >> bits:
                raise NetworkError(
                    f"network {name}: {text(settings.address)}/{settings.prefix} overlaps {other.name},"
                    f" {text(other.address)}/{other.prefix}; choose other addresses"
                )

    def undefine(self, name: str) -> None:
        """Remove a network that nothing is plugged into. Raises NetworkError."""
        self.settings(name)
        ports = self._switches[name].state.ports
        there = [port.name for number, port in ports.items() if number != GATEWAY and number != -1]
        if there:
            raise NetworkError(f"network {name} cannot be removed: {', '.join(there)} is plugged into it")
        to = self._settings[name].to
        if to:
            self._switches[to].unplug(self._bridge_port(name))
        for table in (self._settings, self._with_gateway, self._switches, self.router.state.interfaces):
            table.pop(name, None)
        self.passages.forget(name)

    # What is plugged in

    def _join(self, name: str, to: str) -> None:
        """Connect two switches by a cable that carries every VLAN."""
        near, far, there = self._switches[name], self._switches[to], self._bridge_port(name)
        trunk = LinkSettings(trunk=ALL_VLANS)
        near.plug(-1, lambda frame, at: far.send(there, frame, at), f"to {to}", trunk, timed=False)
        far.plug(there, lambda frame, at: near.send(-1, frame, at), f"to {name}", trunk, timed=False)

    def _bridge_port(self, name: str) -> int:
        """Return the port of a bridge at its other end: a number that only this network has."""
        return -2 - int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "little")

    def _to_router(self, name: str) -> Receiver:
        return lambda frame, at: self.router.receive(name, frame, at)

    def _from_router(self, name: str, frame: bytes, at: int) -> None:
        assert name != OUTSIDE
        self._switches[name].send(GATEWAY, frame, at)

    def port(self, network: str, number: int) -> PortState | None:
        """Return a port, None if nothing is plugged in there."""
        switch = self._switches.get(network)
        return switch.state.ports.get(number) if switch else None

    def set_link(self, network: str, number: int, settings: LinkSettings) -> None:
        """Change a port and its wire; a port that leaves a VLAN is forgotten there."""
        port = self.port(network, number)
        if port is None:
            return
        before, port.settings = port.settings, settings
        if (before.vlan, before.trunk, before.up) != (settings.vlan, settings.trunk, settings.up):
            self._switches[network].forget(number)
        if not settings.up:
            port.under_way.clear()

    def state_parts(self) -> Iterator[bytes]:
        """Yield the state, without captures, for the state hash."""
        for name, switch in self._switches.items():
            plain = replace(switch.state, captured=[], captured_bytes=0, capture_lost=0)
            yield repr((dataclasses.astuple(self._settings[name]), dataclasses.astuple(plain))).encode()
        if self._with_gateway:
            yield repr(dataclasses.astuple(self.router.state)).encode()
