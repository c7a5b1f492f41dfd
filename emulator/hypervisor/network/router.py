"""The router of a lab: the gateway of every network that has an address, and the way between them.

It answers ARP, DHCP and the echo services, and forwards (RFC 1812, as far as a lab needs it): `routed`
networks reach each other as they are, `nat` networks reach them and the host outside, translated,
`isolated` ones reach their gateway and nobody else. There is no outside world: 192.0.2.1 is a host that only
has the echo services. Left out: fragments, options, redirects, proxy ARP, ageing of neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emulator.hypervisor.network import dhcp, echo, nat
from emulator.hypervisor.network import packets as net
from emulator.hypervisor.network.packets import ALL, BROADCAST, Packet
from emulator.hypervisor.network.state import InterfaceState, NetworkSettings, RouterState, Waiting

OUTSIDE_HOST, OUTSIDE_ROUTER = 0xC000_0201, 0xC000_02FE  # 192.0.2.1 and .254: TEST-NET-1 (RFC 5737)
OUTSIDE = "outside"
NEIGHBOURS_MAX, WAITING_MAX = 256, 64
NET_UNREACHABLE, PROHIBITED, TIME_EXCEEDED = 0, 13, 11

# Puts a frame onto a network, at a time.
Send = Callable[[str, bytes, int], None]


class Router:
    """One router; `settings` are the networks it has an interface in, by name."""

    def __init__(self, send: Send, settings: Mapping[str, NetworkSettings]) -> None:
        """`settings` may change; what the router remembers is in `state`."""
        self.state = RouterState()
        self._send = send
        self._settings = settings

    def interface(self, network: str) -> InterfaceState:
        """Return what is known of a network."""
        return self.state.interfaces.setdefault(network, InterfaceState())

    def mac(self, network: str) -> bytes:
        """Return the address of the interface in a network: 52:54:00:ff and a number of it."""
        number = sum(ord(letter) * 31**place for place, letter in enumerate(network)) & 0xFFFF
        return b"\x52\x54\x00\xff" + number.to_bytes(2, "big")

    def receive(self, network: str, frame: bytes, at: int) -> None:
        """Take a frame from a network."""
        kind = int.from_bytes(frame[12:14], "big")
        if frame[:6] not in (BROADCAST, self.mac(network)):
            return
        if kind == net.ARP:
            self._arp(network, frame[14:], at)
        elif kind == net.IPV4:
            packet = net.read_ipv4(frame[14:])
            if packet is None or not net.is_sound(packet):
                self._count(network, "not understood")
                return
            self._ip(network, packet, frame[6:12], at)

    def _count(self, network: str, what: str) -> None:
        counters = self.interface(network).counters
        counters[what] = counters.get(what, 0) + 1

    # ARP

    def _arp(self, network: str, data: bytes, at: int) -> None:
        found = net.read_arp(data)
        if found is None:
            return
        operation, mac, sender, target = found
        settings = self._settings[network]
        if _inside(settings, sender):
            self._meet(network, sender, mac, at)
        if operation == net.ARP_REQUEST and target == settings.address:
            self._count(network, "arp answered")
            own = self.mac(network)
            reply = net.arp(net.ARP_REPLY, own, settings.address, mac, sender)
            self._send(network, net.ethernet(mac, own, net.ARP, reply), at)

    def _meet(self, network: str, address: int, mac: bytes, at: int) -> None:
        """Remember a neighbour, and send what has waited for it."""
        state = self.interface(network)
        state.neighbours.pop(address, None)
        if len(state.neighbours) >= NEIGHBOURS_MAX:
            del state.neighbours[next(iter(state.neighbours))]
        state.neighbours[address] = mac
        ready = [one for one in state.waiting if one.address == address]
        state.waiting = [one for one in state.waiting if one.address != address]
        for one in ready:
            self._send(network, net.ethernet(mac, self.mac(network), net.IPV4, one.packet), at)

    # IPv4

    def _ip(self, network: str, packet: Packet, mac: bytes, at: int) -> None:
        settings = self._settings[network]
        if _inside(settings, packet.source) and not mac[0] & 1:
            self._meet(network, packet.source, mac, at)
        if packet.protocol == net.UDP and packet.payload[2:4] == b"\0\x43":
            self._dhcp(network, packet, at)
        elif not _inside(settings, packet.source):
            self._count(network, "wrong source")  # RFC 3704: nobody sends under another network's address
        elif packet.target in (ALL, _broadcast(settings)):
            return
        elif packet.target == OUTSIDE_ROUTER or self._owner(packet.target):
            self._for_me(network, packet, at)
        else:
            self._forward(network, packet, at)

    def _dhcp(self, network: str, packet: Packet, at: int) -> None:
        settings = self._settings[network]
        if not settings.dhcp or packet.target not in (ALL, settings.address):
            return
        reply = dhcp.answer(settings, self.interface(network), packet)
        if reply:
            self._count(network, "dhcp answered")
            out, mac = reply
            self._send(network, net.ethernet(mac, self.mac(network), net.IPV4, net.ipv4(out)), at)

    def _for_me(self, network: str, packet: Packet, at: int) -> None:
        """Serve a packet for one of the router's own addresses, or for somebody behind it."""
        back = nat.inward(self.state, packet) if self._owner(packet.target) == network else None
        if back:
            self._count(network, "translated")
            self._deliver(*back, at)
            return
        if packet.target != self._settings[network].address and not self._may_forward(network):
            self._refuse(network, packet, PROHIBITED, at)
            return
        for reply in echo.answers(self.state, packet):
            self._count(network, "echo answered")
            self._route(network, reply, at)

    def _forward(self, network: str, packet: Packet, at: int) -> None:
        target = self._network_of(packet.target)
        if packet.ttl <= 1:
            self._refuse(network, packet, 0, at, TIME_EXCEEDED)
        elif target is None:
            self._refuse(network, packet, NET_UNREACHABLE, at)
        elif target == network:
            return  # its own switch delivers that
        elif not self._may_forward(network) or not self._lets_in(target):
            self._refuse(network, packet, PROHIBITED, at)
        else:
            self._pass_on(network, target, packet.with_(ttl=packet.ttl - 1), at)

    def _pass_on(self, network: str, target: str, packet: Packet, at: int) -> None:
        if self._settings[network].mode == "nat":
            outside = OUTSIDE_ROUTER if target == OUTSIDE else self._settings[target].address
            translated = nat.outward(self.state, network, packet, outside)
            if translated is None:
                self._count(network, "not translated")
                return
            self._count(network, "translated")
            packet = translated
        self._count(network, "forwarded")
        if target != OUTSIDE:
            self._deliver(target, packet, at)
            return
        for reply in echo.answers(self.state, packet):
            back = nat.inward(self.state, reply) if reply.target == OUTSIDE_ROUTER else None
            if back:
                self._deliver(*back, at)
            else:
                self._route(network, reply, at)

    def _refuse(self, network: str, packet: Packet, code: int, at: int, kind: int = echo.UNREACHABLE) -> None:
        self._count(network, "refused")
        is_error = packet.protocol == net.ICMP and packet.payload[0] not in (0, 8)
        if not is_error:  # RFC 1122, 3.2.2: no error about an error
            self._route(network, echo.unreachable(packet, self._settings[network].address, code, kind), at)

    def _route(self, network: str, packet: Packet, at: int) -> None:
        """Send a packet of the router's own to where its target is, or to where it was asked from."""
        self._deliver(self._network_of(packet.target) or network, packet, at)

    def _deliver(self, network: str, packet: Packet, at: int) -> None:
        """Put a packet onto a network; ask for its target's address first if that is not known."""
        settings = self._settings.get(network)
        if settings is None or not _inside(settings, packet.target):
            return
        self.state.identification = (self.state.identification + 1) & 0xFFFF
        data = net.ipv4(packet.with_(identification=self.state.identification))
        state, own = self.interface(network), self.mac(network)
        mac = state.neighbours.get(packet.target)
        if mac is not None:
            self._send(network, net.ethernet(mac, own, net.IPV4, data), at)
            return
        if len(state.waiting) >= WAITING_MAX:
            state.waiting.pop(0)
            self._count(network, "gave up waiting")
        state.waiting.append(Waiting(packet.target, data))
        ask = net.arp(net.ARP_REQUEST, own, settings.address, bytes(6), packet.target)
        self._send(network, net.ethernet(BROADCAST, own, net.ARP, ask), at)

    # Who is where

    def _owner(self, address: int) -> str:
        """Return the network whose gateway has an address, "" if none has."""
        return next((name for name, one in self._settings.items() if one.address == address), "")

    def _network_of(self, address: int) -> str | None:
        if address == OUTSIDE_HOST:
            return OUTSIDE
        return next((name for name, one in self._settings.items() if _inside(one, address)), None)

    def _may_forward(self, network: str) -> bool:
        return self._settings[network].mode in ("nat", "routed")

    def _lets_in(self, network: str) -> bool:
        return network == OUTSIDE or self._settings[network].mode == "routed"


def _inside(settings: NetworkSettings, address: int) -> bool:
    return not (address ^ settings.address) >> 32 - settings.prefix and address != settings.address


def _broadcast(settings: NetworkSettings) -> int:
    return settings.address | (1 << 32 - settings.prefix) - 1
