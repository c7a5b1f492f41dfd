"""Switches: learning, ageing, VLANs, wires that take time and lose frames, captures, bridges."""

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.hypervisor.network import LinkSettings, NetworkError, Networks, NetworkSettings
from emulator.hypervisor.network.pcap import pcap
from tests.conftest import find_tool
from tests.hypervisor.network.wires import Clock, Station

ALL = b"\xff" * 6


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def networks(clock: Clock) -> Networks:
    return Networks(1, clock)


def counts(*stations: Station) -> list[int]:
    return [len(one.frames) for one in stations]


def test_a_switch_learns_where_addresses_are(networks: Networks):
    a, b, c = (Station(networks, "lan", number) for number in (1, 2, 3))
    a.send(b.mac)
    b.send(a.mac)
    a.send(b.mac)
    assert counts(a, b, c) == [1, 2, 1]
    state = networks.switch("lan").state
    assert (state.flooded, state.forwarded) == (1, 2)
    assert (state.ports[1].counters.received, state.ports[1].counters.sent) == (2, 1)


def test_an_address_that_was_long_silent_is_forgotten(networks: Networks, clock: Clock):
    networks.define(NetworkSettings("lan", ageing_ns=1_000))
    a, b, c = (Station(networks, "lan", number) for number in (1, 2, 3))
    b.send(ALL)
    clock.ns = 1_000
    a.send(b.mac)
    assert counts(b, c) == [1, 1]
    clock.ns = 1_001
    a.send(b.mac)
    assert counts(b, c) == [2, 2]


def test_a_switch_remembers_a_bounded_number_of_addresses(networks: Networks):
    Station(networks, "lan", 1)
    switch = networks.switch("lan")
    for number in range(5000):
        switch.send(1, ALL + b"\x02\0\0\0" + number.to_bytes(2, "big") + bytes(50))
    assert len(switch.state.table) == 1024


def test_access_ports_reach_their_own_vlan_only(networks: Networks):
    links = [LinkSettings(vlan=10), LinkSettings(vlan=10), LinkSettings(vlan=20)]
    a, b, c = (Station(networks, "lan", number, link) for number, link in enumerate(links, 1))
    a.send(ALL)
    a.send(c.mac)
    c.send(a.mac)
    assert counts(a, b, c) == [0, 2, 0]
    a.send(ALL, tag=b"\x81\0\0\x14")  # a tag does not let it out
    assert counts(a, b, c) == [0, 2, 0]
    assert networks.switch("lan").state.ports[1].counters.dropped == {"VLAN": 1}


def test_a_trunk_carries_tags_and_its_native_vlan_has_none(networks: Networks):
    a = Station(networks, "lan", 1, LinkSettings(vlan=10))
    b = Station(networks, "lan", 2)
    trunk = Station(networks, "lan", 3, LinkSettings(trunk=(10, 20)))
    a.send(ALL)
    b.send(ALL)
    assert [frame[12:16].hex() for frame in trunk.frames] == ["8100000a", "88b52e2e"]
    trunk.send(a.mac, tag=b"\x81\0\0\x0a")
    trunk.send(ALL, tag=b"\x81\0\0\x1e")  # VLAN 30 is not on this trunk
    assert counts(a, b) == [1, 0]
    assert a.frames[0][12:14] == b"\x88\xb5"


def test_a_link_that_is_down_passes_nothing(networks: Networks):
    a, b = Station(networks, "lan", 1), Station(networks, "lan", 2)
    b.send(ALL)
    networks.set_link("lan", 2, LinkSettings(up=False))
    a.send(b.mac)
    b.send(a.mac)
    assert counts(a, b) == [1, 0]
    dropped = networks.switch("lan").state.ports[2].counters.dropped
    assert dropped == {"link down": 2}


def test_a_rate_and_a_latency_delay_frames_in_order(networks: Networks, clock: Clock):
    a = Station(networks, "lan", 1)
    b = Station(networks, "lan", 2, LinkSettings(rate=1_000_000, latency_ns=5_000_000))
    for number in range(3):
        a.send(ALL, bytes([number]) * 101)  # 115 bytes and 24 around them: 1112 us
    switch, got = networks.switch("lan"), []
    for due in (6_112_000, 7_224_000, 8_336_000):
        assert switch.next_due(2) == due
        switch.elapse(2, due - 1)
        assert len(b.frames) == len(got)
        clock.ns = due
        switch.elapse(2, due)
        got.append(b.frames[-1][14])
    assert got == [0, 1, 2]


def test_what_would_wait_too_long_is_dropped(networks: Networks):
    a = Station(networks, "lan", 1)
    Station(networks, "lan", 2, LinkSettings(rate=1_000_000))
    for _ in range(300):
        a.send(ALL, bytes(1000))
    counters = networks.switch("lan").state.ports[2].counters
    assert counters.sent + counters.dropped["queue full"] == 300
    assert counters.sent == 13  # 100 ms hold 12 frames of 8304 us; one more is on the wire


def test_losses_are_seeded_and_near_their_share(clock: Clock):
    seen: list[list[int]] = []
    for seed in (1, 1, 2):
        networks = Networks(seed, clock)
        a, b = Station(networks, "lan", 1), Station(networks, "lan", 2, LinkSettings(loss=100_000))
        for number in range(2000):
            a.send(ALL, number.to_bytes(2, "big"))
        seen.append([int.from_bytes(frame[14:16], "big") for frame in b.frames])
    assert seen[0] == seen[1] != seen[2]
    assert 1740 < len(seen[0]) < 1860


def test_a_bridge_makes_two_switches_one_network(networks: Networks):
    networks.define(NetworkSettings("lan"))
    networks.define(NetworkSettings("annex", mode="bridge", to="lan"))
    a, b = Station(networks, "lan", 1, LinkSettings(vlan=10)), Station(networks, "annex", 2)
    c = Station(networks, "annex", 3, LinkSettings(vlan=10))
    a.send(ALL)
    c.send(a.mac)
    assert counts(a, b, c) == [1, 0, 1]
    with pytest.raises(NetworkError, match="to annex, s1 is plugged into it"):
        networks.undefine("lan")
    for station in (b, c):
        station.switch.unplug(station.number)
    networks.undefine("annex")
    a.switch.unplug(1)
    networks.undefine("lan")
    assert networks.names() == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (NetworkSettings("lan"), "there is a network 'lan' already"),
        (NetworkSettings("x", mode="nat"), "x is nat and needs an address"),
        (NetworkSettings("x", dhcp=True), "x has DHCP and needs an address"),
        (NetworkSettings("x", mode="bridge", to="y"), "there is no network 'y'; networks here: lan"),
        (NetworkSettings("x", to="lan"), "only a bridge leads `to` another network"),
        (NetworkSettings("x", address=0x0A000101, prefix=25), r"10.0.1.1/25 overlaps lan, 10.0.1.1/24"),
    ],
)
def test_networks_that_cannot_be_are_refused(networks: Networks, settings: NetworkSettings, message: str):
    networks.define(NetworkSettings("lan", address=0x0A000101, prefix=24))
    with pytest.raises(NetworkError, match=message):
        networks.define(settings)


def test_a_capture_is_a_pcap_file(networks: Networks, clock: Clock, tmp_path: Path):
    tcpdump = find_tool("tcpdump", package="tcpdump")
    a = Station(networks, "lan", 1, LinkSettings(vlan=10))
    networks.switch("lan").state.capturing = True
    clock.ns = 1_234_567_891
    a.send(ALL, kind=0x0800)
    data = pcap(networks.switch("lan").state.captured)
    assert struct.unpack_from("<IHH", data) == (0xA1B23C4D, 2, 4)
    file = tmp_path / "lan.pcap"
    file.write_bytes(data)
    shown = subprocess.run(
        [tcpdump, "-r", file, "-n", "-e", "-tt", "--nano"], capture_output=True, text=True, check=True
    ).stdout
    assert shown.startswith("1.234567891 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype 802.1Q")
    assert "vlan 10" in shown


@given(st.lists(st.tuples(st.integers(1, 4), st.binary(min_size=14, max_size=64)), max_size=40))
def test_any_frames_leave_vlans_apart(frames: list[tuple[int, bytes]]):
    networks = Networks(1, lambda: 0)
    links = [LinkSettings(vlan=10), LinkSettings(vlan=10), LinkSettings(vlan=20), LinkSettings(vlan=20)]
    stations = [Station(networks, "lan", number, link) for number, link in enumerate(links, 1)]
    for port, frame in frames:
        before = counts(*stations)
        networks.switch("lan").send(port, frame)
        got = [now - then for now, then in zip(counts(*stations), before, strict=True)]
        other = slice(2, 4) if port <= 2 else slice(0, 2)
        assert not any(got[other])
        assert not got[port - 1]
