"""The packets that the router reads and makes: ARP (RFC 826), IPv4 (791), ICMP (792), UDP (768), TCP (9293).

Parsers take anything: what is too short, has a wrong check sum, is a fragment or has a length that lies is
None. Addresses are IPv4 addresses as numbers, MAC addresses as bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

ARP, IPV4 = 0x0806, 0x0800
ICMP, TCP, UDP = 1, 6, 17
ARP_REQUEST, ARP_REPLY = 1, 2
BROADCAST = b"\xff" * 6
ANY, ALL = 0, 0xFFFF_FFFF
IPV4_HEADER = struct.Struct(">BBHHHBBHII")
ARP_PACKET = struct.Struct(">HHBBH6sI6sI")
TTL = 64


@dataclass(frozen=True, slots=True)
class Packet:
    """An IPv4 packet without options; `payload` begins at the next header."""

    protocol: int
    source: int
    target: int
    payload: bytes
    ttl: int = TTL
    identification: int = 0

    def with_(self, **changes: int | bytes) -> Packet:
        """Return it with other fields."""
        fields: dict[str, int | bytes] = {name: getattr(self, name) for name in self.__slots__}
        return Packet(**{**fields, **changes})  # pyright: ignore[reportArgumentType]


def text(address: int) -> str:
    """Return an IPv4 address as people write it."""
    return ".".join(str(part) for part in address.to_bytes(4, "big"))


def check_sum(data: bytes) -> int:
    """Return the Internet check sum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(target: bytes, source: bytes, kind: int, payload: bytes) -> bytes:
    """Return a frame, at least 60 bytes long as on a wire."""
    return (target + source + kind.to_bytes(2, "big") + payload).ljust(60, b"\0")


def arp(operation: int, mac: bytes, address: int, target_mac: bytes, target: int) -> bytes:
    """Return an ARP packet."""
    return ARP_PACKET.pack(1, IPV4, 6, 4, operation, mac, address, target_mac, target)


def read_arp(data: bytes) -> tuple[int, bytes, int, int] | None:
    """Return operation, sender's MAC and address, and the address that is asked for."""
    if len(data) < ARP_PACKET.size:
        return None
    hardware, kind, mac_bytes, address_bytes, operation, mac, sender, _, target = ARP_PACKET.unpack_from(data)
    if (hardware, kind, mac_bytes, address_bytes) != (1, IPV4, 6, 4) or mac[0] & 1:
        return None
    return operation, mac, sender, target


def ipv4(packet: Packet) -> bytes:
    """Return a packet's bytes."""
    length = IPV4_HEADER.size + len(packet.payload)
    fields = (0x45, 0, length, packet.identification, 0x4000, packet.ttl, packet.protocol)
    head = IPV4_HEADER.pack(*fields, 0, packet.source, packet.target)
    return head[:10] + check_sum(head).to_bytes(2, "big") + head[12:] + packet.payload


def read_ipv4(data: bytes) -> Packet | None:
    """Return a packet; its options are dropped."""
    if len(data) < IPV4_HEADER.size or data[0] >> 4 != 4:
        return None
    _, _, length, identification, fragment, ttl, protocol, _, source, target = IPV4_HEADER.unpack_from(data)
    head = (data[0] & 15) * 4
    if not IPV4_HEADER.size <= head <= length <= len(data) or check_sum(data[:head]) or fragment & 0x3FFF:
        return None
    return Packet(protocol, source, target, data[head:length], ttl, identification)


def pseudo(packet: Packet) -> bytes:
    """Return the pseudo header that check sums of UDP and TCP begin with (RFC 9293, 3.1)."""
    return struct.pack(">IIBBH", packet.source, packet.target, 0, packet.protocol, len(packet.payload))


def summed(packet: Packet, at: int) -> Packet:
    """Return a UDP or TCP packet with its check sum, which lies at `at`."""
    payload = packet.payload[:at] + b"\0\0" + packet.payload[at + 2 :]
    total = check_sum(pseudo(packet) + payload)
    if packet.protocol == UDP and not total:
        total = 0xFFFF
    return packet.with_(payload=payload[:at] + total.to_bytes(2, "big") + payload[at + 2 :])


def is_sound(packet: Packet) -> bool:
    """Return whether a packet's next header is whole and its check sum right."""
    payload = packet.payload
    if packet.protocol == ICMP:
        return len(payload) >= 8 and not check_sum(payload)
    if packet.protocol == UDP:
        if len(payload) < 8 or not 8 <= int.from_bytes(payload[4:6], "big") <= len(payload):
            return False
        return payload[6:8] == b"\0\0" or not check_sum(pseudo(packet) + payload)
    if packet.protocol == TCP:
        if len(payload) < 20 or not 20 <= (payload[12] >> 4) * 4 <= len(payload):
            return False
        return not check_sum(pseudo(packet) + payload)
    return False


def icmp(kind: int, code: int, rest: bytes, data: bytes) -> bytes:
    """Return an ICMP message; `rest` are the four bytes behind its check sum."""
    body = bytes([kind, code, 0, 0]) + rest + data
    return body[:2] + check_sum(body).to_bytes(2, "big") + body[4:]


def udp(source: int, target: int, source_port: int, target_port: int, data: bytes) -> Packet:
    """Return a UDP packet."""
    head = struct.pack(">HHHH", source_port, target_port, 8 + len(data), 0)
    return summed(Packet(UDP, source, target, head + data), 6)


def tcp(
    source: int, target: int, ports: tuple[int, int], numbers: tuple[int, int], flags: int, data: bytes = b""
) -> Packet:
    """Return a TCP packet from the first of `ports`, with sequence and acknowledgement `numbers`."""
    head = struct.pack(">HHIIBBHHH", *ports, *numbers, 5 << 4, flags, 0xFFFF, 0, 0)
    return summed(Packet(TCP, source, target, head + data), 16)
