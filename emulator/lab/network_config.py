"""The networks of a lab as they stand in its configuration, and the links of VMs to them.

networks:
  - {name: lan}                                             isolated: no gateway
  - {name: office, mode: nat, address: 10.0.1.1/24, dhcp: true}
  - {name: servers, mode: routed, address: 10.0.2.1/24}
  - {name: annex, mode: bridge, to: lan}                    one network with lan, a switch of its own
vms:
  - {..., network: lan}
  - {..., network: {name: lan, vlan: 10, rate: 10 Mbit/s, latency: 2 ms, loss: 1 %, link: up}}
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast, get_args

from emulator.hypervisor.network import PLAIN_LINK, LinkSettings, NetworkError, Networks, NetworkSettings
from emulator.hypervisor.network.packets import text
from emulator.hypervisor.network.state import AGEING_NS, DEFAULT_VLAN, PARTS_PER_MILLION, NetworkMode
from emulator.lab.quantities import DURATION_UNITS, format_quantity, quoted
from emulator.lab.storage_config import latency, read_list, resource_name
from emulator.lab.values import ConfigError, boolean, one_of, optional, quantity, table_of, whole_number

MAX_NETWORKS = 16
MAX_VLAN = 4094
BIT_RATES: Mapping[str, int] = {"bit": 1, "kbit": 1_000, "Mbit": 1_000_000, "Gbit": 1_000_000_000}
NETWORK_KEYS = ("name", "mode", "address", "dhcp", "to", "vlan", "ageing")
LINK_KEYS = ("vlan", "trunk", "rate", "latency", "loss", "link")
_LOSS = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)\s*%")


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A virtual network."""

    settings: NetworkSettings

    @classmethod
    def from_dict(cls, data: object, path: str) -> NetworkConfig:
        """Return the network that `data` describes; raise ConfigError."""
        table = table_of(data, path, NETWORK_KEYS)
        if "name" not in table:
            raise ConfigError(path, "has no name; expected one, e.g. `name: lan`")
        address, prefix = optional(table, path, "address", (0, 0), _address)
        return cls(
            NetworkSettings(
                name=resource_name(table["name"], f"{path}.name"),
                mode=optional(table, path, "mode", "isolated", _mode),
                address=address,
                prefix=prefix,
                dhcp=optional(table, path, "dhcp", False, boolean),
                to=optional(table, path, "to", "", resource_name),
                vlan=optional(table, path, "vlan", DEFAULT_VLAN, vlan_number),
                ageing_ns=optional(table, path, "ageing", AGEING_NS, _ageing),
            )
        )

    def to_dict(self) -> dict[str, object]:
        """Return the plain mapping that `from_dict` reads back."""
        one = self.settings
        full: dict[str, object] = {
            "address": f"{text(one.address)}/{one.prefix}" if one.address else "",
            "dhcp": one.dhcp,
            "to": one.to,
            "vlan": one.vlan if one.vlan != DEFAULT_VLAN else 0,
            "ageing": format_quantity(one.ageing_ns, DURATION_UNITS) if one.ageing_ns != AGEING_NS else "",
        }
        return {"name": one.name, "mode": one.mode, **{key: value for key, value in full.items() if value}}


@dataclass(frozen=True, slots=True)
class CardConfig:
    """A VM's network card: the network it is plugged into, "" for no card, and its link."""

    name: str = ""
    link: LinkSettings = PLAIN_LINK

    @classmethod
    def from_value(cls, value: object, path: str) -> CardConfig:
        """Return the card that a name or a mapping describes; raise ConfigError."""
        if value in (None, "", "none"):
            return cls()
        if not isinstance(value, dict):
            return cls(resource_name(value, path))
        table = table_of(cast("object", value), path, ("name", *LINK_KEYS))
        if "name" not in table:
            raise ConfigError(path, "has no name; expected that of a network, e.g. `name: lan`")
        return cls(resource_name(table["name"], f"{path}.name"), read_link(table, path, PLAIN_LINK))

    def to_value(self) -> object:
        """Return the plain value that `from_value` reads back."""
        link = link_to_dict(self.link)
        return {"name": self.name, **link} if link else self.name


def read_link(table: Mapping[str, object], path: str, default: LinkSettings) -> LinkSettings:
    """Return the link that a mapping describes, what it leaves out as in `default`; raise ConfigError."""
    link = LinkSettings(
        vlan=optional(table, path, "vlan", default.vlan, vlan_number),
        trunk=optional(table, path, "trunk", default.trunk, _trunk),
        rate=optional(table, path, "rate", default.rate, bit_rate),
        latency_ns=optional(table, path, "latency", default.latency_ns, latency),
        loss=optional(table, path, "loss", default.loss, _loss),
        up=optional(table, path, "link", default.up, _link),
    )
    return replace(link, trunk=tuple(vlan for vlan in link.trunk if vlan != link.vlan))


def link_to_dict(link: LinkSettings) -> dict[str, object]:
    """Return the keys that are not as they are by default."""
    values: dict[str, object] = {}
    if link.vlan != DEFAULT_VLAN:
        values["vlan"] = link.vlan
    if link.trunk:
        values["trunk"] = list(link.trunk)
    if link.rate:
        values["rate"] = f"{format_quantity(link.rate, BIT_RATES)}/s"
    if link.latency_ns:
        values["latency"] = format_quantity(link.latency_ns, DURATION_UNITS)
    if link.loss:
        values["loss"] = f"{link.loss // 10_000}.{link.loss % 10_000:04} %"
    if not link.up:
        values["link"] = "down"
    return values


def full_link(link: LinkSettings) -> dict[str, object]:
    """Return every key."""
    values: dict[str, object] = {
        "vlan": link.vlan,
        "trunk": [],
        "rate": 0,
        "latency": 0,
        "loss": 0,
        "link": "up",
    }
    return {**values, **link_to_dict(link)}


def read_networks(table: Mapping[str, object]) -> tuple[NetworkConfig, ...]:
    """Return what stands under `networks:`; raise ConfigError."""
    networks = read_list(table, "", "networks", MAX_NETWORKS, NetworkConfig.from_dict)
    make_networks(networks, Networks(0, lambda: 0))
    return networks


def make_networks(configs: tuple[NetworkConfig, ...], networks: Networks) -> None:
    """Define networks; raise ConfigError for what does not go together."""
    for index, config in enumerate(configs):
        try:
            networks.define(config.settings)
        except NetworkError as error:
            raise ConfigError(f"networks[{index}]", f"is wrong: {error}") from error


def networks_of(networks: Networks) -> tuple[NetworkConfig, ...]:
    """Return the networks as they are now; those that only a VM has named are left out."""
    found = (networks.settings(name) for name in networks.names())
    return tuple(NetworkConfig(one) for one in found if one != NetworkSettings(one.name))


# Values


def vlan_number(value: object, path: str) -> int:
    """Return a VLAN's number; raise ConfigError."""
    return whole_number(value, path, 1, MAX_VLAN)


def bit_rate(value: object, path: str) -> int:
    """Return bits a second, 0 for any number; raise ConfigError."""
    if value in (0, None, "none"):
        return 0
    rate = value.removesuffix("/s") if isinstance(value, str) else value
    return quantity(rate, path, BIT_RATES, "10 Mbit/s", 1_000, 1_000_000_000_000)


def _address(value: object, path: str) -> tuple[int, int]:
    """Return a gateway's address and its prefix; raise ConfigError."""
    try:
        found = ipaddress.IPv4Interface(value) if isinstance(value, str) and "/" in value else None
    except ValueError:
        found = None
    usable = found is not None and 8 <= found.network.prefixlen <= 30
    if found is None or not usable or found.ip in (found.network[0], found.network[-1]):
        raise ConfigError(
            path,
            f"is {quoted(value)}; expected a gateway's address with a prefix of 8 to 30, e.g. 10.0.1.1/24",
        )
    return int(found.ip), found.network.prefixlen


def _mode(value: object, path: str) -> NetworkMode:
    return one_of(value, path, get_args(NetworkMode))


def _ageing(value: object, path: str) -> int:
    return quantity(value, path, DURATION_UNITS, "300 s", 1_000_000, 1_000_000_000_000_000)


def _trunk(value: object, path: str) -> tuple[int, ...]:
    numbers = read_list({"trunk": value}, "", "trunk", MAX_VLAN, vlan_number)
    return tuple(sorted(set(numbers)))


def _loss(value: object, path: str) -> int:
    """Return a share in parts per million."""
    if value in (0, None, "none"):
        return 0
    match = _LOSS.fullmatch(value.strip()) if isinstance(value, str) else None
    parts = Fraction(match.group(1)) * (PARTS_PER_MILLION // 100) if match else Fraction(-1)
    if not 0 <= parts <= PARTS_PER_MILLION:
        raise ConfigError(
            path, f"is {quoted(value)}; expected a share of frames from 0 % to 100 %, e.g. `1.5 %`"
        )
    return int(parts)


def _link(value: object, path: str) -> bool:
    # A YAML reader may take `up` for a text and `on` for true.
    return value is True or (value is not False and one_of(value, path, ("up", "down")) == "up")
