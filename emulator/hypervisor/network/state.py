"""What the networks of a lab are: plain data, all of it. Times are virtual nanoseconds, addresses bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emulator.errors import VmLabError

DEFAULT_VLAN = 1
AGEING_NS = 300_000_000_000  # IEEE 802.1Q-2018, table 8-6: the recommended value
PARTS_PER_MILLION = 1_000_000

NetworkMode = Literal["isolated", "nat", "routed", "bridge"]


class NetworkError(VmLabError):
    """A network cannot be made or changed as asked; nothing has changed."""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """A network. `address` and `prefix` are those of its gateway, 0 without one; `vlan` is the gateway's.

    `to` is the network that a `bridge` is joined with.
    """

    name: str
    mode: NetworkMode = "isolated"
    address: int = 0
    prefix: int = 0
    dhcp: bool = False
    to: str = ""
    vlan: int = DEFAULT_VLAN
    ageing_ns: int = AGEING_NS


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """A port of a switch and the wire behind it.

    An access port is in one `vlan`, untagged; a trunk carries those of `trunk` with tags, and `vlan` without.
    `rate` is in bits a second each way, 0 for any; `latency_ns` and `loss` (parts per million) are of frames
    to the port.
    """

    vlan: int = DEFAULT_VLAN
    trunk: tuple[int, ...] = ()
    rate: int = 0
    latency_ns: int = 0
    loss: int = 0
    up: bool = True

    def carries(self, vlan: int) -> bool:
        """Return whether the port is a member of a VLAN."""
        return vlan == self.vlan or vlan in self.trunk


PLAIN_LINK = LinkSettings()


@dataclass
class PortCounters:
    """`received` came from the port into the switch, `sent` left the switch by it; `dropped` by reason."""

    received: int = 0
    received_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0
    dropped: dict[str, int] = field(default_factory=dict[str, int])


@dataclass
class Delivery:
    """A frame under way to a port."""

    due_ns: int
    frame: bytes


@dataclass
class PortState:
    """A port: its wire is busy until `in_busy_ns` and `out_busy_ns`; `under_way` is in order of time."""

    name: str
    settings: LinkSettings = PLAIN_LINK
    counters: PortCounters = field(default_factory=PortCounters)
    in_busy_ns: int = 0
    out_busy_ns: int = 0
    under_way: list[Delivery] = field(default_factory=list[Delivery])


@dataclass
class Seen:
    """Where a source address was seen last, and when."""

    port: int
    at_ns: int


@dataclass
class Captured:
    """A frame as it entered the switch, tagged if its VLAN is not the default one."""

    at_ns: int
    frame: bytes


@dataclass
class SwitchState:
    """`table` by VLAN (two bytes) and address (six), oldest first; `random` decides which frames are lost."""

    random: int
    table: dict[bytes, Seen] = field(default_factory=dict[bytes, Seen])
    ports: dict[int, PortState] = field(default_factory=dict[int, PortState])
    forwarded: int = 0
    flooded: int = 0
    capturing: bool = False
    captured: list[Captured] = field(default_factory=list[Captured])
    captured_bytes: int = 0
    capture_lost: int = 0


@dataclass
class Lease:
    """An address that was given out by DHCP; `bound` once it was asked for."""

    address: int
    bound: bool = False


@dataclass
class Waiting:
    """A packet that waits for the answer to an ARP request."""

    address: int
    packet: bytes


@dataclass
class InterfaceState:
    """The router in one network: its neighbours (IPv4 address to MAC), leases by MAC, packets that wait."""

    neighbours: dict[int, bytes] = field(default_factory=dict[int, bytes])
    leases: dict[bytes, Lease] = field(default_factory=dict[bytes, Lease])
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    counters: dict[str, int] = field(default_factory=dict[str, int])


@dataclass
class Translation:
    """A flow out of a `nat` network: (protocol, address, port) inside, and the port it has outside."""

    protocol: int
    network: str
    address: int
    port: int
    outside: int
    outside_port: int


@dataclass
class Connection:
    """A TCP connection of the echo service: next sequence numbers, and what was not acknowledged yet."""

    client: int
    client_port: int
    expected: int
    next_number: int
    unacknowledged: bytes = b""
    closing: bool = False


@dataclass
class RouterState:
    """What the router remembers over all its interfaces."""

    interfaces: dict[str, InterfaceState] = field(default_factory=dict[str, InterfaceState])
    translations: list[Translation] = field(default_factory=list[Translation])
    next_port: int = 32768
    connections: list[Connection] = field(default_factory=list[Connection])
    identification: int = 0


@dataclass
class NetworkState:
    """One network."""

    settings: NetworkSettings
    switch: SwitchState


@dataclass
class NetworksState:
    """Every network by name, and the router between them."""

    networks: dict[str, NetworkState] = field(default_factory=dict[str, NetworkState])
    router: RouterState = field(default_factory=RouterState)
