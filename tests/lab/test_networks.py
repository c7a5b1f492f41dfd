"""Networks of a lab: configuration, live changes, captures and views; what is refused changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.network_config import CardConfig, NetworkConfig
from emulator.lab.packets import packet_view, packets_pcap, packets_view
from emulator.lab.programs import Program
from emulator.lab.values import ConfigError
from tests.lab.frame_sender import SENDER

NETWORKS = [
    {"name": "lan", "mode": "isolated", "ageing": "1 s"},
    {"name": "office", "mode": "nat", "address": "10.0.1.1/24", "dhcp": True, "vlan": 5},
    {"name": "annex", "mode": "bridge", "to": "lan"},
]


@pytest.fixture
def make_lab(engine: Any) -> Callable[..., Lab]:
    """Make a lab of senders, `a` on the first network given and so on."""

    def make(*cards: object) -> Lab:
        vms = [
            {"name": name, "program": "send.s", "memory": "64 KiB", "network": card}
            for name, card in zip("abcd", cards, strict=False)
        ]
        config = LabConfig.from_dict({"host": {"memory": "2 MiB"}, "networks": NETWORKS, "vms": vms})
        lab = Lab(config, {"send.s": Program("send.s", source=SENDER)}, 7, engine)
        for vm in config.vms:
            lab.apply({"verb": "start", "vm": vm.name})
        return lab

    return make


def run(lab: Lab, ms: int) -> None:
    lab.advance(lab.position_at(lab.now_ns + ms * 1_000_000))


def port(lab: Lab, network: str, name: str) -> dict[str, Any]:
    found = next(one for one in lab.networks() if one["name"] == network)
    return dict(next(one for one in found["ports"] if one["name"] == name))


def test_frames_are_counted_where_they_pass(make_lab: Callable[..., Lab]):
    lab = make_lab("lan", "annex", {"name": "annex", "vlan": 9})
    run(lab, 5)
    a, b, c = port(lab, "lan", "a"), port(lab, "annex", "b"), port(lab, "annex", "c")
    assert a["received"] > 20
    assert (a["sent"], b["sent"]) == (b["received"], a["received"])
    assert (c["sent"], c["received"] > 20, a["dropped"]) == (0, True, {})
    assert a["received_bytes"] == 100 * a["received"]
    assert port(lab, "annex", "to lan")["kind"] == "bridge"


def test_a_rate_holds_in_virtual_time_and_what_is_too_much_is_counted(make_lab: Callable[..., Lab]):
    lab = make_lab({"name": "lan", "rate": "1 Mbit/s"}, "lan")
    run(lab, 300)
    a, b = port(lab, "lan", "a"), port(lab, "lan", "b")
    # 100 bytes and 24 around them take 992 us: 302 frames, and a queue of 100 ms before the wire.
    assert b["sent"] == a["received"]
    assert 395 <= a["received"] <= 410
    assert a["dropped"]["rate"] > 1000


def test_links_change_while_guests_run(make_lab: Callable[..., Lab]):
    lab = make_lab("lan", "lan")
    run(lab, 2)
    lab.apply({"verb": "net_link", "vm": "b", "latency": "1 s"})
    before = port(lab, "lan", "b")["sent"]
    seen = lab.vm("b").board.virtio[1].state.device  # pyright: ignore[reportOptionalMemberAccess]
    there = len(seen.waiting) + seen.lost
    run(lab, 2)
    now = port(lab, "lan", "b")
    assert now["sent"] > before + 10
    assert now["under_way"] == now["sent"] - before
    assert len(seen.waiting) + seen.lost == there
    lab.apply({"verb": "net_link", "vm": "b", "link": "down"})
    run(lab, 2)
    assert port(lab, "lan", "b")["dropped"]["link down"] > 10
    assert lab.config.vms[1].to_dict()["network"] == {"name": "lan", "latency": "1 s", "link": "down"}


def test_a_capture_holds_what_was_sent_while_it_was_on(make_lab: Callable[..., Lab]):
    lab = make_lab("lan", "lan")
    lab.apply({"verb": "net_capture", "network": "lan"})
    run(lab, 3)
    lab.apply({"verb": "net_capture", "network": "lan", "on": False})
    frames = port(lab, "lan", "a")["received"] + port(lab, "lan", "b")["received"]
    run(lab, 3)
    assert len(lab.pcap("lan")) == 24 + frames * (16 + 100)


def test_runs_with_slow_and_lossy_links_are_equal(make_lab: Callable[..., Lab]):
    hashes: set[str] = set()
    for parts in (1, 5):
        slow = {"name": "lan", "latency": "700 us", "rate": "3 Mbit/s", "loss": "30 %"}
        lab = make_lab(slow, slow, "annex")
        begun = lab.position
        for part in range(1, parts + 1):
            lab.advance(begun + 4_000_000 * part // parts)
        hashes.add(lab.state_hash())
    assert len(hashes) == 1


def test_networks_are_read_and_written():
    for data in NETWORKS:
        config = NetworkConfig.from_dict(data, "networks[0]")
        assert NetworkConfig.from_dict(config.to_dict(), "networks[0]") == config
    card = {"name": "lan", "vlan": 7, "trunk": [20, 30], "rate": "10 Mbit/s", "loss": "2.5 %", "link": "down"}
    config = CardConfig.from_value(card, "network")
    assert (config.link.loss, config.link.rate, config.link.up) == (25_000, 10_000_000, False)
    assert CardConfig.from_value(config.to_value(), "network") == config


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([{"mode": "nat"}], "networks[0] has no name"),
        ([{"name": "x", "mode": "nat"}], "networks[0] is wrong: network x is nat and needs an address"),
        (
            [{"name": "x", "mode": "open"}],
            "networks[0].mode is 'open'; expected one of isolated, nat, routed",
        ),
        (
            [{"name": "x", "address": "10.0.0.0/24"}],
            "networks[0].address is '10.0.0.0/24'; expected",
        ),
        ([{"name": "x", "address": "10.0.0.1/31"}], "networks[0].address is '10.0.0.1/31'; expected"),
        ([{"name": "x", "mode": "bridge", "to": "y"}], "networks[0] is wrong: there is no network 'y'"),
        ([{"name": "x", "vlan": 4095}], "networks[0].vlan is 4095; must be from 1 to 4094"),
        ([{"name": "x"}, {"name": "x"}], "networks[1] is wrong: there is a network 'x' already"),
        ({"name": "x"}, "networks is a mapping; expected a list"),
    ],
)
def test_faults_of_networks_are_located(networks: object, message: str):
    with pytest.raises(ConfigError) as caught:
        LabConfig.from_dict({"networks": networks})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"verb": "net_define", "network": "lan"}, "there is a network 'lan' already"),
        ({"verb": "net_undefine", "network": "lan"}, "network lan has the card of a"),
        ({"verb": "net_undefine", "network": "wan"}, "there is no network 'wan'; networks here: lan, office"),
        ({"verb": "net_link", "vm": "b", "vlan": 2}, "b has no network card"),
        ({"verb": "net_link", "vm": "a", "loss": "101 %"}, "expected a share of frames"),
        ({"verb": "net_link", "vm": "a", "rate": "1 MiB/s"}, "unknown unit 'MiB'"),
        ({"verb": "net_capture", "network": "wan"}, "there is no network 'wan'"),
    ],
)
def test_what_cannot_be_is_refused(make_lab: Callable[..., Lab], action: dict[str, object], message: str):
    lab = make_lab("lan", "")
    before = lab.state_hash()
    with pytest.raises(LabError) as caught:
        lab.apply(action)
    assert message in str(caught.value)
    assert lab.state_hash() == before


def test_a_network_comes_and_goes(make_lab: Callable[..., Lab]):
    lab = make_lab("lan")
    lab.apply({"verb": "net_define", "network": "dmz", "mode": "routed", "address": "10.9.0.1/16"})
    assert [one["name"] for one in lab.networks()] == ["lan", "office", "annex", "dmz"]
    assert LabConfig.from_dict(lab.config.to_dict()) == lab.config
    lab.apply({"verb": "net_undefine", "network": "dmz"})
    lab.apply({"verb": "net_undefine", "network": "annex"})
    assert [one["name"] for one in lab.networks()] == ["lan", "office"]


def test_packets_are_listed_filtered_and_shown_with_their_way(make_lab: Callable[..., Lab]):
    lab = make_lab("lan", "annex")
    run(lab, 3)
    seen = packets_view(lab, "lan", "Flooded annex")
    assert packets_view(lab, "lan", "arp")["matching"] == 0
    assert (seen["networks"], seen["network"]) == (["lan", "office", "annex"], "lan")
    newest = seen["packets"][0]
    assert (newest["came_from"], newest["went_to"]) == ("to annex", ["a"])
    packet = packet_view(lab, newest["number"])
    assert packet["cause"] is not None
    assert packet["cause"]["came_from"] == "b"
    assert [port["role"] for port in packet["ports"]] == ["in", "out"]
    assert "".join("".join(row[1]) for row in packet["hex"])[:12] == "ff" * 6
    assert len(packets_pcap(lab, "lan")) > 24 + 16
    with pytest.raises(LabError, match="there is no network 'wan'"):
        packets_view(lab, "wan")
    with pytest.raises(LabError, match="packet 0 is not kept"):
        packet_view(lab, 0)


def test_the_same_packets_are_there_after_going_back_and_on(make_lab: Callable[..., Lab]):
    lab = make_lab("lan", "lan")
    lab.record()
    run(lab, 2)
    place, there = lab.position, packets_view(lab, "lan")
    looked = lab.state_hash()
    run(lab, 2)
    later = packets_view(lab, "lan")
    lab.rewind(place)
    assert (packets_view(lab, "lan"), lab.state_hash()) == (there, looked)
    run(lab, 2)
    assert packets_view(lab, "lan") == later
