"""A DHCP server (RFC 2131, 2132) for one network: an address, its mask, the router, a lease.

Addresses are given out in order and kept for the MAC address that asked, so that a lab is the same in every
run. Left out: relays, expiry (a lease outlives any lab), options beyond those named.
"""

from __future__ import annotations

import struct

from emulator.hypervisor.network.packets import ALL, Packet, udp
from emulator.hypervisor.network.state import InterfaceState, Lease, NetworkSettings

SERVER_PORT, CLIENT_PORT = 67, 68
BOOTP = struct.Struct(">BBBBIHHIIII16s64s128s")
COOKIE = b"\x63\x82\x53\x63"
MASK, ROUTER, REQUESTED, LEASE, KIND, SERVER = 1, 3, 50, 51, 53, 54
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
LEASE_SECONDS = 86_400
FIRST_HOST, LEASES_MAX = 100, 100
BROADCAST_FLAG = 0x8000


def answer(settings: NetworkSettings, state: InterfaceState, packet: Packet) -> tuple[Packet, bytes] | None:
    """Return the answer to a UDP packet for port 67 and the MAC address it goes to; None if there is none."""
    data = packet.payload[8:]
    if len(data) < BOOTP.size + 4 or data[BOOTP.size : BOOTP.size + 4] != COOKIE:
        return None
    op, hardware, length, _, xid, _, flags, client, _, _, relay, chaddr, _, _ = BOOTP.unpack_from(data)
    options = _options(data[BOOTP.size + 4 :])
    mac = chaddr[:6]
    kind = options.get(KIND, b"\0")[0] if options.get(KIND) else 0
    if (op, hardware, length) != (1, 1, 6) or relay or mac[0] & 1:
        return None
    wanted = int.from_bytes(options.get(REQUESTED, b""), "big") or client
    lease = _serve(settings, state, kind, mac, wanted, options.get(SERVER, b""))
    if lease is None:
        return None
    reply, address = lease
    body = _reply(settings, reply, xid, flags, address, chaddr)
    everybody = flags & BROADCAST_FLAG or reply == NAK
    out = udp(settings.address, ALL if everybody else address, SERVER_PORT, CLIENT_PORT, body)
    return out, b"\xff" * 6 if everybody else mac


def _serve(
    settings: NetworkSettings, state: InterfaceState, kind: int, mac: bytes, wanted: int, server: bytes
) -> tuple[int, int] | None:
    """Return the kind of the answer and the address in it."""
    if kind == DISCOVER:
        lease = _lease(settings, state, mac)
        return (OFFER, lease.address) if lease else None
    if kind == REQUEST:
        if server and int.from_bytes(server, "big") != settings.address:
            return None  # another server's offer was taken
        lease = _lease(settings, state, mac)
        if lease is None or wanted != lease.address:
            return NAK, 0
        lease.bound = True
        return ACK, lease.address
    if kind in (RELEASE, DECLINE):
        state.leases.pop(mac, None)
    return None


def _lease(settings: NetworkSettings, state: InterfaceState, mac: bytes) -> Lease | None:
    """Return the lease of a MAC address, a new one if it has none; None if all are taken."""
    if mac in state.leases:
        return state.leases[mac]
    taken = {lease.address for lease in state.leases.values()} | {settings.address}
    for address in pool(settings):
        if address not in taken:
            state.leases[mac] = Lease(address)
            return state.leases[mac]
    # Offers that nobody took are given to others; a bound address never is.
    stale = next((key for key, lease in state.leases.items() if not lease.bound), None)
    if stale is None:
        return None
    state.leases[mac] = Lease(state.leases.pop(stale).address)
    return state.leases[mac]


def pool(settings: NetworkSettings) -> range:
    """Return the addresses that are given out: from .100 on in a network of 256, the upper half of others."""
    size = 1 << 32 - settings.prefix
    base = settings.address & -size
    first = FIRST_HOST if size >= 256 else size // 2
    return range(base + first, base + min(first + LEASES_MAX, size - 1))


def _reply(settings: NetworkSettings, kind: int, xid: int, flags: int, address: int, chaddr: bytes) -> bytes:
    head = BOOTP.pack(2, 1, 6, 0, xid, 0, flags, 0, address, settings.address, 0, chaddr, b"", b"")
    options = bytes([KIND, 1, kind]) + _number(SERVER, settings.address)
    if kind != NAK:
        options += _number(LEASE, LEASE_SECONDS) + _number(MASK, ALL << 32 - settings.prefix & ALL)
        options += b"" if settings.mode == "isolated" else _number(ROUTER, settings.address)
    return (head + COOKIE + options + b"\xff").ljust(300, b"\0")


def _number(option: int, value: int) -> bytes:
    return bytes([option, 4]) + value.to_bytes(4, "big")


def _options(data: bytes) -> dict[int, bytes]:
    """Return the options; what runs out of the packet is left out."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        if at + 1 >= len(data) or at + 2 + data[at + 1] > len(data):
            break
        found[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found
