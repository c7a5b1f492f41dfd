"""Network address translation as a `nat` network has it (RFC 3022, NAPT; RFC 5508 for ICMP).

A flow from inside gets the address of the interface it leaves by, and a port of its own; answers are
translated back. Nothing comes in that was not asked for.
"""

from __future__ import annotations

import struct

from emulator.hypervisor.network.packets import ICMP, TCP, UDP, Packet, check_sum, summed
from emulator.hypervisor.network.state import RouterState, Translation

TRANSLATIONS_MAX = 1024
FIRST_PORT, LAST_PORT = 32768, 65535
ECHO_REQUEST, ECHO_REPLY = 8, 0
PORTS = struct.Struct(">HH")


def outward(state: RouterState, network: str, packet: Packet, outside: int) -> Packet | None:
    """Return a packet from inside as it looks outside; None for what cannot be translated."""
    port = _port(packet, from_inside=True)
    if port is None:
        return None
    found = next(
        (
            one
            for one in state.translations
            if (one.protocol, one.network, one.address, one.port, one.outside)
            == (packet.protocol, network, packet.source, port, outside)
        ),
        None,
    )
    if found is None:
        number = _free_port(state, packet.protocol, outside)
        found = Translation(packet.protocol, network, packet.source, port, outside, number)
        del state.translations[: len(state.translations) - TRANSLATIONS_MAX + 1]
        state.translations.append(found)
    return _changed(packet.with_(source=outside), found.outside_port, source=True)


def inward(state: RouterState, packet: Packet) -> tuple[str, Packet] | None:
    """Return the network and the packet that an answer from outside is for; None if nobody has asked."""
    port = _port(packet, from_inside=False)
    for one in state.translations:
        if (one.protocol, one.outside, one.outside_port) == (packet.protocol, packet.target, port):
            return one.network, _changed(packet.with_(target=one.address), one.port, source=False)
    return None


def _free_port(state: RouterState, protocol: int, outside: int) -> int:
    taken = {
        one.outside_port for one in state.translations if (one.protocol, one.outside) == (protocol, outside)
    }
    while True:  # there are fewer translations than ports
        number = state.next_port
        state.next_port = FIRST_PORT if number == LAST_PORT else number + 1
        if number not in taken:
            return number


def _port(packet: Packet, from_inside: bool) -> int | None:
    """Return the port of the side that is inside; an echo's identifier is as good as one."""
    if packet.protocol == ICMP:
        wanted = ECHO_REQUEST if from_inside else ECHO_REPLY
        return int.from_bytes(packet.payload[4:6], "big") if packet.payload[0] == wanted else None
    if packet.protocol in (TCP, UDP):
        source, target = PORTS.unpack_from(packet.payload)
        return source if from_inside else target
    return None


def _changed(packet: Packet, port: int, source: bool) -> Packet:
    """Return a packet with another port on one side, and right check sums."""
    body, number = packet.payload, port.to_bytes(2, "big")
    if packet.protocol == ICMP:
        body = body[:2] + b"\0\0" + number + body[6:]
        return packet.with_(payload=body[:2] + check_sum(body).to_bytes(2, "big") + body[4:])
    body = number + body[2:] if source else body[:2] + number + body[4:]
    return summed(packet.with_(payload=body), 6 if packet.protocol == UDP else 16)
