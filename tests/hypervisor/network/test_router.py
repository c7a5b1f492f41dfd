"""The router: ARP, echo, DHCP, forwarding, translation, and what it refuses."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.hypervisor.network import Networks, NetworkSettings
from emulator.hypervisor.network import packets as net
from emulator.hypervisor.network.dhcp import ACK, BOOTP, COOKIE, DISCOVER, NAK, OFFER, RELEASE, REQUEST
from emulator.hypervisor.network.packets import ICMP, UDP, Packet, icmp, tcp, udp
from tests.hypervisor.network.wires import Station

OUTSIDE = 0xC0000201
FIN, SYN, RST, PSH, ACKED = 1, 2, 4, 8, 16


def address(text: str) -> int:
    return int.from_bytes(bytes(map(int, text.split("."))), "big")


@pytest.fixture
def networks() -> Networks:
    """An office behind NAT, servers and a lab that are routed, and a closed network."""
    networks = Networks(1, lambda: 0)
    for number, (name, mode) in enumerate(
        [("office", "nat"), ("servers", "routed"), ("lab", "routed"), ("closed", "isolated")], 1
    ):
        networks.define(
            NetworkSettings(name, mode, address(f"10.0.{number}.1"), 24, dhcp=True)  # pyright: ignore[reportArgumentType]
        )
    return networks


@pytest.fixture
def office(networks: Networks) -> Station:
    return Station(networks, "office", 11, address="10.0.1.11")


@pytest.fixture
def server(networks: Networks) -> Station:
    return Station(networks, "servers", 12, address="10.0.2.12")


def ping(source: int, target: int, identifier: int = 7, ttl: int = 64) -> Packet:
    return Packet(ICMP, source, target, icmp(8, 0, struct.pack(">HH", identifier, 1), b"payload"), ttl)


def exchange(networks: Networks, station: Station, packet: Packet, *others: Station) -> list[Packet]:
    """Send a packet to the gateway; let everybody answer ARP; return what came back."""
    network = next(name for name in networks.names() if networks.switch(name) is station.switch)
    station.put(packet, networks.router.mac(network))
    for _ in range(3):
        for one in (station, *others):
            one.answer_arp()
    return station.packets()


def test_arp_and_echo_are_answered_by_the_gateway(networks: Networks, office: Station):
    ask = net.arp(net.ARP_REQUEST, office.mac, office.address, bytes(6), address("10.0.1.1"))
    office.switch.send(11, net.ethernet(b"\xff" * 6, office.mac, net.ARP, ask))
    found = net.read_arp(office.frames[0][14:])
    assert found is not None
    assert found[:3] == (net.ARP_REPLY, networks.router.mac("office"), address("10.0.1.1"))
    (reply,) = exchange(networks, office, ping(office.address, address("10.0.1.1")))
    assert (reply.source, reply.payload[0], reply.payload[8:]) == (address("10.0.1.1"), 0, b"payload")
    assert net.is_sound(reply)


def test_a_routed_network_is_reached_as_it_is(networks: Networks, server: Station):
    other = Station(networks, "lab", 13, address="10.0.3.13")
    exchange(networks, other, ping(other.address, server.address), server)
    (seen,) = server.packets()
    assert (seen.source, seen.ttl) == (other.address, 63)


def test_a_flow_out_of_nat_is_translated_and_its_answer_comes_back(
    networks: Networks, office: Station, server: Station
):
    exchange(networks, office, udp(office.address, server.address, 5000, 53, b"who"), server)
    (seen,) = server.packets()
    source_port = int.from_bytes(seen.payload[:2], "big")
    assert (seen.source, source_port, net.is_sound(seen)) == (address("10.0.2.1"), 32768, True)
    exchange(networks, server, udp(server.address, seen.source, 53, source_port, b"me"), office)
    (back,) = office.packets()
    assert (back.source, back.target, back.payload[2:4]) == (server.address, office.address, b"\x13\x88")
    assert net.is_sound(back)


def test_nobody_gets_into_nat_or_an_isolated_network_uninvited(
    networks: Networks, office: Station, server: Station
):
    closed = Station(networks, "closed", 14, address="10.0.4.14")
    (refusal,) = exchange(networks, server, ping(server.address, office.address), office)
    assert refusal.payload[:2] == b"\x03\x0d"
    (refusal,) = exchange(networks, closed, ping(closed.address, server.address), server)
    assert refusal.payload[:2] == b"\x03\x0d"
    (refusal,) = exchange(networks, closed, ping(closed.address, OUTSIDE))
    assert refusal.payload[:2] == b"\x03\x0d"
    assert (office.packets(), server.packets()) == ([], [])


def test_the_host_outside_answers_and_nobody_else_does(networks: Networks, office: Station, server: Station):
    (reply,) = exchange(networks, office, ping(office.address, OUTSIDE))
    assert (reply.source, reply.target, reply.payload[0]) == (OUTSIDE, office.address, 0)
    (reply,) = exchange(networks, server, udp(server.address, OUTSIDE, 99, 7, b"hello"))
    assert (reply.source, reply.payload[8:]) == (OUTSIDE, b"hello")
    (refusal,) = exchange(networks, office, ping(office.address, address("8.8.8.8")))
    assert refusal.payload[:2] == b"\x03\x00"
    (refusal,) = exchange(networks, server, udp(server.address, OUTSIDE, 99, 80, b"?"))
    assert refusal.payload[:2] == b"\x03\x03"


def test_a_packet_whose_time_is_over_is_told(networks: Networks, server: Station):
    (refusal,) = exchange(networks, server, ping(server.address, OUTSIDE, ttl=1))
    assert (refusal.payload[:2], refusal.source) == (b"\x0b\x00", address("10.0.2.1"))


def test_a_forged_source_goes_nowhere(networks: Networks, office: Station, server: Station):
    assert exchange(networks, office, ping(server.address, OUTSIDE), server) == []
    assert server.packets() == []
    assert networks.router.interface("office").counters["wrong source"] == 1


def test_tcp_echoes_what_it_gets_and_closes(networks: Networks, office: Station):
    ports = 4000, 7

    def send(
        number: int, acknowledged: int, flags: int, data: bytes = b""
    ) -> list[tuple[int, int, int, bytes]]:
        packet = tcp(office.address, OUTSIDE, ports, (number, acknowledged), flags, data)
        found = exchange(networks, office, packet)
        assert all(net.is_sound(one) for one in found)
        return [
            (*struct.unpack_from(">II", one.payload, 4), one.payload[13], one.payload[20:]) for one in found
        ]

    ((first, acknowledged, flags, _),) = send(1000, 0, SYN)
    assert (acknowledged, flags) == (1001, SYN | ACKED)
    assert send(1001, first + 1, ACKED) == []
    assert send(1001, first + 1, ACKED | PSH, b"hello") == [(first + 1, 1006, ACKED | PSH, b"hello")]
    # The answer was lost: the client sends again, and gets it again.
    assert send(1001, first + 1, ACKED | PSH, b"hello") == [(first + 1, 1006, ACKED, b"hello")]
    assert send(1006, first + 6, ACKED) == []
    assert send(1006, first + 6, ACKED | FIN) == [(first + 6, 1007, ACKED | FIN, b"")]
    assert send(1007, first + 7, ACKED) == []
    assert networks.router.state.connections == []
    assert send(1007, first + 7, ACKED, b"x")[0][2] == RST
    assert tcp(1, 2, (4000, 80), (5, 0), SYN).payload[13] == SYN


def dhcp(kind: int, mac: bytes, wanted: int = 0, server: int = 0) -> Packet:
    head = BOOTP.pack(1, 1, 6, 0, 77, 0, 0, 0, 0, 0, 0, mac, b"", b"")
    options = bytes([53, 1, kind])
    options += b"".join(
        bytes([code, 4]) + value.to_bytes(4, "big") for code, value in ((50, wanted), (54, server)) if value
    )
    return udp(0, 0xFFFF_FFFF, 68, 67, head + COOKIE + options + b"\xff")


def ask(networks: Networks, station: Station, *arguments: int) -> tuple[int, int] | None:
    """Ask the DHCP server; return the kind of its answer and the address in it."""
    packet = dhcp(arguments[0], station.mac, *arguments[1:])
    station.switch.send(station.number, net.ethernet(b"\xff" * 6, station.mac, net.IPV4, net.ipv4(packet)))
    found = [one for one in station.packets() if one.payload[:2] == b"\0\x43"]
    if not found:
        return None
    data = found[0].payload[8:]
    assert net.is_sound(found[0])
    return data[BOOTP.size + 6], int.from_bytes(data[16:20], "big")


def test_dhcp_gives_each_mac_address_one_address(networks: Networks, office: Station):
    other = Station(networks, "office", 15)
    first, gateway = address("10.0.1.100"), address("10.0.1.1")
    assert ask(networks, office, DISCOVER) == (OFFER, first)
    assert ask(networks, other, DISCOVER) == (OFFER, first + 1)
    assert ask(networks, office, REQUEST, first, gateway) == (ACK, first)
    assert ask(networks, office, REQUEST, first + 9, gateway) == (NAK, 0)
    assert ask(networks, office, REQUEST, first, gateway + 1) is None
    assert ask(networks, office, RELEASE) is None
    assert ask(networks, office, DISCOVER) == (OFFER, first)


def test_dhcp_runs_out_of_addresses_and_takes_back_what_nobody_took(networks: Networks):
    stations = [Station(networks, "office", number) for number in range(1, 103)]
    offers = [ask(networks, one, DISCOVER) for one in stations[:100]]
    assert len({offer[1] for offer in offers if offer}) == 100
    assert ask(networks, stations[100], DISCOVER) == offers[0]


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=120), max_size=6), st.sampled_from([1, 6, 17]), st.integers(0, 3))
def test_any_packet_is_answered_or_dropped(payloads: list[bytes], protocol: int, target: int):
    networks = Networks(1, lambda: 0)
    networks.define(NetworkSettings("office", "nat", address("10.0.1.1"), 24, dhcp=True))
    networks.define(NetworkSettings("servers", "routed", address("10.0.2.1"), 24))
    station = Station(networks, "office", 1, address="10.0.1.11")
    targets = [address("10.0.1.1"), OUTSIDE, address("10.0.2.9"), 0xFFFF_FFFF]
    for payload in payloads:
        packet = Packet(protocol, station.address, targets[target], payload)
        for sound in (packet, net.summed(packet, 6 if protocol == UDP else 16)):
            station.put(sound, networks.router.mac("office"))
        station.switch.send(1, networks.router.mac("office") + station.mac + b"\x08\0" + payload)
        station.switch.send(1, networks.router.mac("office") + station.mac + b"\x08\x06" + payload)
    assert all(len(frame) <= 1600 for frame in station.frames)
