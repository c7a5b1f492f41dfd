"""The services that answer: ICMP echo (RFC 792), and echo on port 7 by UDP and TCP (RFC 862, 9293).

The TCP side has what an echo needs: it accepts, sends back what comes in order, sends again what the other
side shows it has not got, and closes. Left out: timers of its own, options, windows, congestion control.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from emulator.hypervisor.network.packets import ICMP, TCP, UDP, Packet, icmp, tcp, udp
from emulator.hypervisor.network.state import Connection, RouterState

ECHO_PORT = 7
ECHO_REQUEST, ECHO_REPLY, UNREACHABLE, PORT_UNREACHABLE = 8, 0, 3, 3
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CONNECTIONS_MAX = 64
UNACKNOWLEDGED_MAX = 65535
WORD = 0xFFFF_FFFF


def unreachable(packet: Packet, source: int, code: int, kind: int = UNREACHABLE) -> Packet:
    """Return the ICMP error that says why a packet goes no further."""
    head = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(packet.payload), 0, 0, packet.ttl, packet.protocol, 0,
                       packet.source, packet.target)  # fmt: skip
    return Packet(ICMP, source, packet.source, icmp(kind, code, bytes(4), head + packet.payload[:8]))


def answers(state: RouterState, packet: Packet) -> Iterator[Packet]:
    """Yield what a host with the echo services answers to a sound packet that is for it."""
    if packet.protocol == ICMP:
        if packet.payload[0] == ECHO_REQUEST:
            body = icmp(ECHO_REPLY, 0, packet.payload[4:8], packet.payload[8:])
            yield Packet(ICMP, packet.target, packet.source, body)
    elif packet.protocol == UDP:
        source, target, length = struct.unpack_from(">HHH", packet.payload)
        if target == ECHO_PORT:
            yield udp(packet.target, packet.source, target, source, packet.payload[8:length])
        else:
            yield unreachable(packet, packet.target, PORT_UNREACHABLE)
    elif packet.protocol == TCP:
        yield from _tcp(state, packet)


def _tcp(state: RouterState, packet: Packet) -> Iterator[Packet]:
    source, target, number, acknowledged, offset, flags = struct.unpack_from(">HHIIBB", packet.payload)
    data = packet.payload[(offset >> 4) * 4 :]
    ports = target, source
    there = [one for one in state.connections if (one.client, one.client_port) == (packet.source, source)]
    if flags & RST:
        state.connections = [one for one in state.connections if one not in there]
    elif flags & SYN and target == ECHO_PORT:
        state.connections = [one for one in state.connections if one not in there][-CONNECTIONS_MAX + 1 :]
        # An initial number that is a function of the client's: the same in every run.
        first = (number ^ packet.source ^ source << 16) & WORD
        state.connections.append(Connection(packet.source, source, (number + 1) & WORD, (first + 1) & WORD))
        yield tcp(packet.target, packet.source, ports, (first, (number + 1) & WORD), SYN | ACK)
    elif there and target == ECHO_PORT:
        yield from _segment(state, there[0], packet, number, acknowledged, flags, data)
    else:
        numbers = (acknowledged, 0) if flags & ACK else (0, (number + len(data) + (flags & SYN > 0)) & WORD)
        yield tcp(packet.target, packet.source, ports, numbers, RST | (0 if flags & ACK else ACK))


def _segment(
    state: RouterState,
    connection: Connection,
    packet: Packet,
    number: int,
    acknowledged: int,
    flags: int,
    data: bytes,
) -> Iterator[Packet]:
    ports = ECHO_PORT, connection.client_port
    got = len(connection.unacknowledged) - (connection.next_number - acknowledged & WORD)
    if 0 < got <= len(connection.unacknowledged):
        connection.unacknowledged = connection.unacknowledged[got:]
    if connection.closing and not data and not flags & FIN:
        state.connections.remove(connection)  # the last acknowledgement
        return
    fits = len(connection.unacknowledged) + len(data) <= UNACKNOWLEDGED_MAX
    if number != connection.expected or not fits:
        if data or flags & FIN:  # again, or too early: say what was expected, and send what may be lost
            again = connection.unacknowledged
            begin = connection.next_number - len(again) - connection.closing & WORD
            numbers = begin, connection.expected
            end = FIN if connection.closing else 0
            yield tcp(packet.target, packet.source, ports, numbers, ACK | end, again[:1400])
        return
    if not data and not flags & FIN:
        return
    begin = connection.next_number
    connection.closing = bool(flags & FIN)
    connection.expected = (number + len(data) + connection.closing) & WORD
    connection.next_number = (begin + len(data) + connection.closing) & WORD
    connection.unacknowledged += data
    reply = ACK | (PSH if data else 0) | (FIN if connection.closing else 0)
    yield tcp(packet.target, packet.source, ports, (begin, connection.expected), reply, data)
