"""Frames as people read them: the headers that lie one in another, their fields, and a line about the whole.

Ethernet (IEEE 802.3-2018, 3.2) with tags (IEEE 802.1Q-2018, 9.6), ARP (RFC 826), IPv4 (RFC 791),
ICMP (RFC 792), UDP (RFC 768), TCP (RFC 9293), DHCP by its ports (RFC 2131). Frames come from guests: whatever
is too short or lies about its length ends the decoding with a note and never with an error. Left out:
options, IPv6, and putting fragments together.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.hypervisor.network.packets import ARP, ICMP, IPV4, TCP, UDP, Packet, check_sum, pseudo, text

ETHER_TYPES = {ARP: "ARP", IPV4: "IPv4", 0x8100: "802.1Q tag", 0x86DD: "IPv6", 0x88CC: "LLDP"}
PROTOCOLS = {ICMP: "ICMP", TCP: "TCP", UDP: "UDP", 2: "IGMP"}
LENGTH_MAX = 1500  # a larger EtherType is a type, a smaller one a length (IEEE 802.3-2018, 3.2.6)
ICMP_KINDS = {
    (0, 0): "echo reply",
    (3, 0): "network unreachable",
    (3, 1): "host unreachable",
    (3, 2): "protocol unreachable",
    (3, 3): "port unreachable",
    (3, 13): "administratively prohibited",
    (8, 0): "echo request",
    (11, 0): "time to live exceeded",
}
FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
DHCP_KINDS = ("", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform")
PORTS = {7: "echo", 22: "ssh", 53: "domain", 67: "DHCP server", 68: "DHCP client", 80: "http", 443: "https"}


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a header: the bytes `offset` to `offset + length` of the frame."""

    name: str
    value: str
    offset: int
    length: int


@dataclass(slots=True)
class Header:
    """A header or what is behind the last one; `wrong` says what is malformed about it."""

    name: str
    offset: int
    length: int = 0
    parts: list[Part] = field(default_factory=list[Part])
    wrong: str = ""


@dataclass(slots=True)
class Decoded:
    """A frame; `protocol` is that of the innermost header, and the addresses the innermost there are."""

    protocol: str = "Ethernet"
    source: str = ""
    target: str = ""
    summary: str = ""
    headers: list[Header] = field(default_factory=list[Header])

    @property
    def wrong(self) -> str:
        """What is malformed, "" if nothing is."""
        return next((header.wrong for header in self.headers if header.wrong), "")


class _Reader:
    """Takes fields of one header after another out of a frame."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.at = 0
        self.end = len(frame)
        self.decoded = Decoded()
        self.header = Header("", 0)

    def begin(self, name: str, need: int) -> bool:
        """Begin a header of at least `need` bytes; False, with a note, if there are fewer."""
        self.header = Header(name, self.at)
        self.decoded.headers.append(self.header)
        left = self.end - self.at
        if left >= need:
            return True
        self.fail(f"{name} needs {need} bytes, and {left} are left")
        self.rest()
        return False

    def fail(self, sentence: str) -> None:
        """Note what is malformed; the first counts."""
        self.header.wrong = self.header.wrong or sentence

    def take(self, name: str, length: int, shown: str | None = None) -> int:
        """Take a field of a header; return its number."""
        data = self.frame[self.at : self.at + length]
        value = int.from_bytes(data, "big")
        self.note(name, str(value) if shown is None else shown, self.at, length)
        self.at += length
        self.header.length = self.at - self.header.offset
        return value

    def note(self, name: str, value: str, offset: int, length: int) -> None:
        """Add a field to the header."""
        self.header.parts.append(Part(name, value, offset, length))

    def number(self, offset: int, length: int) -> int:
        """Return a number that lies `offset` bytes ahead."""
        return int.from_bytes(self.frame[self.at + offset : self.at + offset + length], "big")

    def rest(self) -> None:
        """Take what is left of the current header as bytes."""
        if self.end > self.at:
            self.take("bytes", self.end - self.at, f"{self.end - self.at} bytes")


def decode(frame: bytes) -> Decoded:
    """Return what a frame says; of any bytes whatever."""
    reader = _Reader(frame)
    if reader.begin("Ethernet", 14):
        _ethernet(reader)
    decoded = reader.decoded
    decoded.summary = decoded.wrong or decoded.summary
    return decoded


def mac_text(address: bytes) -> str:
    """Return a MAC address as people write it."""
    return "broadcast" if address == b"\xff" * 6 else address.hex(":")


def _ethernet(reader: _Reader) -> None:
    decoded, frame = reader.decoded, reader.frame
    decoded.source, decoded.target = mac_text(frame[6:12]), mac_text(frame[:6])
    group = " (a group)" if frame[0] & 1 and decoded.target != "broadcast" else ""
    reader.take("target", 6, decoded.target + group)
    reader.take("source", 6, decoded.source)
    kind = _ether_type(reader)
    while kind == 0x8100:
        if not reader.begin("802.1Q tag", 4):
            return
        tag = reader.number(0, 2)
        reader.take("tag", 2, f"VLAN {tag & 0xFFF}, priority {tag >> 13}")
        kind = _ether_type(reader)
    decoded.summary = f"{ETHER_TYPES.get(kind, f'EtherType {kind:#06x}')}, {len(frame)} bytes"
    if kind == ARP:
        _arp(reader)
    elif kind == IPV4:
        _ipv4(reader)
    else:
        _data(reader)


def _ether_type(reader: _Reader) -> int:
    kind = reader.number(0, 2)
    name = f"length {kind}" if kind <= LENGTH_MAX else ETHER_TYPES.get(kind, "unknown")
    reader.take("type", 2, f"{kind:#06x} ({name})")
    return kind


def _data(reader: _Reader, name: str = "Data") -> None:
    """Take everything up to the end of the packet, and what pads the frame behind it."""
    if reader.end > reader.at:
        reader.begin(name, 0)
        reader.rest()
    if len(reader.frame) > reader.end:
        reader.end = len(reader.frame)
        reader.begin("Padding", 0)
        reader.rest()


def _arp(reader: _Reader) -> None:
    if not reader.begin("ARP", 28):
        return
    decoded, frame, at = reader.decoded, reader.frame, reader.at
    decoded.protocol = "ARP"
    spaces = struct.unpack(">HHBB", frame[at : at + 6])
    reader.take("hardware", 2, "Ethernet" if spaces[0] == 1 else str(spaces[0]))
    reader.take("protocol", 2, "IPv4" if spaces[1] == IPV4 else f"{spaces[1]:#06x}")
    reader.take("length of hardware addresses", 1)
    reader.take("length of protocol addresses", 1)
    operation = reader.number(0, 2)
    reader.take("operation", 2, {1: "request", 2: "reply"}.get(operation, str(operation)))
    if spaces != (1, IPV4, 6, 4):
        reader.fail("this ARP packet is not about Ethernet and IPv4")
        reader.rest()
        return
    sender, asked = reader.number(6, 4), reader.number(16, 4)
    reader.take("MAC of the sender", 6, mac_text(frame[reader.at : reader.at + 6]))
    reader.take("address of the sender", 4, text(sender))
    reader.take("MAC of the target", 6, mac_text(frame[reader.at : reader.at + 6]))
    reader.take("address of the target", 4, text(asked))
    decoded.source, decoded.target = text(sender), text(asked)
    decoded.summary = _arp_summary(operation, sender, asked, frame[at + 8 : at + 14])
    _data(reader, "Padding")


def _arp_summary(operation: int, sender: int, asked: int, mac: bytes) -> str:
    if operation == 1 and sender == asked:
        return f"Announcement: {text(sender)} is at {mac_text(mac)}"
    if operation == 1:
        return f"Who has {text(asked)}? Tell {text(sender)}"
    return f"{text(sender)} is at {mac_text(mac)}" if operation == 2 else f"ARP operation {operation}"


def _ipv4(reader: _Reader) -> None:
    if not reader.begin("IPv4", 20):
        return
    decoded, frame, start = reader.decoded, reader.frame, reader.at
    decoded.protocol = "IPv4"
    first, head, length = frame[start], (frame[start] & 15) * 4, reader.number(2, 2)
    source, target, protocol = reader.number(12, 4), reader.number(16, 4), frame[start + 9]
    decoded.source, decoded.target = text(source), text(target)
    reader.take("version and header length", 1, f"{first >> 4}, {head} bytes")
    reader.take("service", 1)
    reader.take("total length", 2)
    reader.take("identification", 2)
    place = reader.take("flags and fragment offset", 2, _fragment_text(reader.number(0, 2)))
    reader.take("time to live", 1)
    reader.take("protocol", 1, f"{protocol} ({PROTOCOLS.get(protocol, 'unknown')})")
    reader.take("check sum", 2, f"{reader.number(0, 2):#06x}")
    reader.take("source", 4, text(source))
    reader.take("target", 4, text(target))
    if first >> 4 != 4 or not 20 <= head <= length <= reader.end - start:
        reader.fail(f"the lengths of this IPv4 packet are wrong: header {head}, packet {length} bytes")
        reader.rest()
        return
    if head > 20:
        reader.take("options", head - 20, f"{head - 20} bytes")
    if check_sum(frame[start : start + head]):
        reader.fail("the check sum of the IPv4 header is wrong")
    reader.end = start + length
    decoded.summary = f"{PROTOCOLS.get(protocol, f'protocol {protocol}')}, {length - head} bytes"
    if place & 0x3FFF:
        decoded.summary = f"A fragment of {decoded.summary}"
    if place & 0x3FFF or protocol not in _INNER:
        _data(reader)
    else:
        _INNER[protocol](reader, Packet(protocol, source, target, frame[reader.at : reader.end]))


def _fragment_text(word: int) -> str:
    flags = [name for bit, name in ((0x4000, "do not fragment"), (0x2000, "more fragments")) if word & bit]
    return ", ".join([*flags, f"offset {(word & 0x1FFF) * 8}"])


def _icmp(reader: _Reader, packet: Packet) -> None:
    if not reader.begin("ICMP", 8):
        return
    decoded, payload = reader.decoded, packet.payload
    decoded.protocol = "ICMP"
    name = ICMP_KINDS.get((payload[0], payload[1]), f"type {payload[0]}, code {payload[1]}")
    reader.take("type", 1, f"{payload[0]} ({name})")
    reader.take("code", 1)
    reader.take("check sum", 2, f"{reader.number(0, 2):#06x}")
    decoded.summary = name.capitalize()
    if payload[0] in (0, 8):
        identifier = reader.take("identifier", 2)
        sequence = reader.take("sequence number", 2)
        decoded.summary += f" {sequence} of {identifier:#06x}"
    else:
        reader.take("rest", 4, payload[4:8].hex())
    if check_sum(payload):
        reader.fail("the check sum of the ICMP message is wrong")
    _data(reader)


def _port_text(port: int) -> str:
    return f"{port} ({PORTS[port]})" if port in PORTS else str(port)


def _udp(reader: _Reader, packet: Packet) -> None:
    if not reader.begin("UDP", 8):
        return
    decoded, payload = reader.decoded, packet.payload
    decoded.protocol = "UDP"
    source, target, length, sum_ = struct.unpack(">HHHH", payload[:8])
    reader.take("source port", 2, _port_text(source))
    reader.take("target port", 2, _port_text(target))
    reader.take("length", 2)
    reader.take("check sum", 2, f"{sum_:#06x}" if sum_ else "none")
    decoded.summary = f"{_port_text(source)} to {_port_text(target)}, {max(0, length - 8)} bytes"
    if {source, target} <= {67, 68}:
        decoded.protocol = "DHCP"
        decoded.summary = _dhcp_summary(payload[8:])
    if not 8 <= length <= len(payload):
        reader.fail(f"UDP says {length} bytes, and the packet has {len(payload)}")
    elif sum_ and check_sum(pseudo(packet) + payload):
        reader.fail("the check sum of the UDP packet is wrong")
    _data(reader, "DHCP" if decoded.protocol == "DHCP" else "Data")


def _dhcp_summary(message: bytes) -> str:
    """Return what kind of DHCP message it is: option 53 (RFC 2132, 9.6)."""
    at = 240
    while at + 2 < len(message) and message[at] != 255:
        if message[at] == 0:
            at += 1
        elif message[at] == 53 and message[at + 2] < len(DHCP_KINDS):
            return f"DHCP {DHCP_KINDS[message[at + 2]]}"
        else:
            at += 2 + message[at + 1]
    return "DHCP message without a type"


def _tcp(reader: _Reader, packet: Packet) -> None:
    if not reader.begin("TCP", 20):
        return
    decoded, payload = reader.decoded, packet.payload
    decoded.protocol = "TCP"
    source, target, sequence, acknowledged, head, bits, window = struct.unpack(">HHIIBBH", payload[:16])
    flags = [name for bit, name in enumerate(FLAGS) if bits >> bit & 1]
    reader.take("source port", 2, _port_text(source))
    reader.take("target port", 2, _port_text(target))
    reader.take("sequence number", 4)
    reader.take("acknowledgement number", 4)
    size = (head >> 4) * 4
    reader.take("header length", 1, f"{size} bytes")
    reader.take("flags", 1, " ".join(flags) or "none")
    reader.take("window", 2)
    reader.take("check sum", 2, f"{reader.number(0, 2):#06x}")
    reader.take("urgent pointer", 2)
    data = max(0, len(payload) - size)
    decoded.summary = (
        f"{_port_text(source)} to {_port_text(target)}, {' '.join(flags) or 'no flags'},"
        f" sequence {sequence}{f', acknowledges {acknowledged}' if bits & 16 else ''}, {data} bytes,"
        f" window {window}"
    )
    if not 20 <= size <= len(payload):
        reader.fail(f"TCP says that its header has {size} bytes; the packet has {len(payload)}")
    elif check_sum(pseudo(packet) + payload):
        reader.fail("the check sum of the TCP packet is wrong")
    if 20 < size <= len(payload):
        reader.take("options", size - 20, f"{size - 20} bytes")
    _data(reader)


_INNER: dict[int, Callable[[_Reader, Packet], None]] = {ICMP: _icmp, UDP: _udp, TCP: _tcp}
