"""What is noted of frames that pass a switch, and how frames are read. Frames are hostile."""

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.hypervisor.network import LinkSettings, Networks, NetworkSettings
from emulator.hypervisor.network import packets as net
from emulator.hypervisor.network.decoding import decode
from emulator.hypervisor.network.packets import Packet
from emulator.hypervisor.network.passages import PASSAGES_KEPT
from tests.hypervisor.network.wires import Clock, Station

ALL = b"\xff" * 6
A, B = 0x0A00_0001, 0x0A00_0002


def test_a_frame_is_flooded_until_its_target_was_heard():
    networks = Networks(1, Clock())
    a, b, _ = (Station(networks, "lan", number) for number in (1, 2, 3))
    a.send(b.mac)
    b.send(a.mac)
    a.send(a.mac)
    first, second, third = networks.passages.passages("lan")
    assert (first.verdict, first.learned, [way.name for way in first.ways]) == (
        "flooded",
        "new",
        ["s2", "s3"],
    )
    assert (second.verdict, [way.name for way in second.ways]) == ("forwarded", ["s1"])
    assert [(known.mac, known.port) for known in second.table] == [(b.mac, "s2"), (a.mac, "s1")]
    assert (third.verdict, third.ways, third.learned) == ("filtered", (), "")


def test_a_dropped_frame_says_where_and_why():
    networks = Networks(1, Clock())
    a = Station(networks, "lan", 1)
    Station(networks, "lan", 2, LinkSettings(up=False))
    Station(networks, "lan", 3, LinkSettings(loss=1_000_000))
    a.send(ALL)
    a.send(ALL, tag=b"\x81\x00\x00\x09")
    flooded, refused = networks.passages.passages("lan")
    assert [(way.name, way.dropped) for way in flooded.ways] == [("s2", "link down"), ("s3", "lost")]
    assert (refused.verdict, refused.reason, refused.vlan) == ("dropped", "VLAN", 0)


def test_what_a_frame_causes_names_it():
    networks = Networks(1, Clock())
    networks.define(NetworkSettings("lan", "routed", 0x0A00_00FE, 24))
    networks.define(NetworkSettings("annex", "bridge", to="lan"))
    a = Station(networks, "annex", 1)
    a.send(ALL, net.arp(net.ARP_REQUEST, a.mac, A, bytes(6), 0x0A00_00FE), net.ARP)
    asked, across = networks.passages.passages("annex")[0], networks.passages.passages("lan")[0]
    answer = networks.passages.passages("lan")[1]
    assert (asked.cause, across.cause, answer.cause) == (0, asked.number, across.number)
    assert decode(answer.frame).summary == "10.0.0.254 is at " + answer.frame[6:12].hex(":")
    assert networks.passages.caused_by(asked.number) == [across]


def test_a_bounded_number_is_kept_and_is_no_state():
    networks = Networks(1, Clock())
    a, _ = (Station(networks, "lan", number) for number in (1, 2))
    for _ in range(PASSAGES_KEPT + 10):
        a.send(ALL)
    kept = networks.passages.passages("lan")
    assert (len(kept), kept[0].number) == (PASSAGES_KEPT, 11)
    state = list(networks.state_parts())
    networks.passages.forget("lan")
    assert list(networks.state_parts()) == state
    assert networks.passages.find(kept[-1].number) is None


def ip(protocol: int, payload: bytes) -> bytes:
    return net.ethernet(ALL, b"\x02" + bytes(5), net.IPV4, net.ipv4(Packet(protocol, A, B, payload)))


@pytest.mark.parametrize(
    ("frame", "protocol", "summary"),
    [
        (ip(net.ICMP, net.icmp(8, 0, b"\x00\x07\x00\x02", b"hello")), "ICMP", "Echo request 2 of 0x0007"),
        (
            net.ethernet(ALL, bytes(6), net.IPV4, net.ipv4(net.udp(A, B, 4000, 7, b"hello"))),
            "UDP",
            "4000 to 7 (echo), 5 bytes",
        ),
        (
            net.ethernet(ALL, bytes(6), net.IPV4, net.ipv4(net.tcp(A, B, (4000, 80), (9, 0), 2))),
            "TCP",
            "4000 to 80 (http), SYN, sequence 9, 0 bytes, window 65535",
        ),
        (ALL + bytes(6) + b"\x81\x00\x20\x05\x88\xb5" + bytes(46), "Ethernet", "EtherType 0x88b5, 64 bytes"),
        (ALL + bytes(6) + b"\x08\x06" + bytes(20), "Ethernet", "ARP needs 28 bytes, and 20 are left"),
    ],
)
def test_frames_are_read(frame: bytes, protocol: str, summary: str):
    decoded = decode(frame)
    assert (decoded.protocol, decoded.summary) == (protocol, summary)
    if protocol in ("ICMP", "UDP", "TCP"):
        assert (decoded.source, decoded.target, decoded.wrong) == ("10.0.0.1", "10.0.0.2", "")


def test_a_changed_byte_is_found_by_the_check_sum():
    frame = bytearray(ip(net.ICMP, net.icmp(8, 0, b"\x00\x07\x00\x02", b"hello")))
    frame[-2] ^= 0  # padding may be anything
    frame[45] ^= 1
    assert decode(bytes(frame)).wrong == "the check sum of the ICMP message is wrong"
    frame[16:18] = b"\xff\xff"
    assert (
        decode(bytes(frame)).wrong
        == "the lengths of this IPv4 packet are wrong: header 20, packet 65535 bytes"
    )


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x08\x00\x45", b"\x08\x06", b"\x81\x00", b"\x08\x00\x46"]),
)
def test_any_bytes_can_be_read(data: bytes, head: bytes):
    frame = bytes(12) + head + data if head else data
    end = 0
    for header in decode(frame).headers:
        assert header.offset == end
        end = header.offset + header.length
        assert all(header.offset <= part.offset and part.offset + part.length <= end for part in header.parts)
    assert end == len(frame)


def test_passages_hold_nothing_that_changes():
    networks = Networks(1, Clock())
    a = Station(networks, "lan", 1)
    a.send(ALL)
    before = astuple(networks.passages.passages("lan")[0])
    a.send(ALL)
    assert astuple(networks.passages.passages("lan")[0]) == before
