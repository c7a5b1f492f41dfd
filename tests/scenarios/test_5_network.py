"""Networks: frames of guests through VLANs, bridges and slow links, counted at every port and captured."""

import struct
from typing import Any

from tests.lab.frame_sender import SENDER
from tests.scenarios.desk import Desk

NETWORKS = [
    {"name": "lan", "mode": "isolated"},
    {"name": "annex", "mode": "bridge", "to": "lan"},
]
RECORD = struct.Struct("<IIII")


def vm(name: str, card: object) -> dict[str, object]:
    return {"name": name, "program": "send", "memory": "64 KiB", "network": card, "autostart": True}


def port(desk: Desk, network: str, name: str) -> Any:
    found = next(one for one in desk.lab.networks() if one["name"] == network)
    return next(one for one in found["ports"] if one["name"] == name)


def test_frames_go_where_they_may_at_the_rate_they_may_and_are_all_counted() -> None:
    cards = {"a": "lan", "b": "annex", "c": {"name": "annex", "vlan": 9}}
    desk = Desk({"send": SENDER}, [vm(*one) for one in cards.items()], {"memory": "2 MiB"}, networks=NETWORKS)
    desk.do("net_capture", network="lan")
    desk.run(5)
    desk.do("net_capture", network="lan", on=False)
    a, b, c = port(desk, "lan", "a"), port(desk, "annex", "b"), port(desk, "annex", "c")
    assert a["received"] > 20
    assert (a["sent"], b["sent"], c["sent"]) == (b["received"], a["received"], 0)
    assert a["received_bytes"] == 100 * a["received"]

    capture = desk.lab.pcap("lan")
    assert capture[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")  # pcap's magic number, in us or ns
    at, frames = 24, 0
    while at < len(capture):
        _, _, kept, length = RECORD.unpack_from(capture, at)
        frame = capture[at + 16 : at + 16 + kept]
        tagged = frame[12:14] == b"\x81\x00"  # an IEEE 802.1Q tag
        assert kept == length == 100 + 4 * tagged
        assert frame[:6] == b"\xff" * 6
        at, frames = at + 16 + kept, frames + 1
    lan = next(one for one in desk.lab.networks() if one["name"] == "lan")
    assert frames == sum(one["received"] for one in lan["ports"]) > a["received"] + b["received"]

    # One megabit a second: 100 bytes and 24 around them take 992 us.
    desk.do("net_link", "a", rate="1 Mbit/s")
    before = port(desk, "annex", "b")["sent"]
    desk.run(300)
    assert 290 <= port(desk, "annex", "b")["sent"] - before <= 410
    assert port(desk, "lan", "a")["dropped"]["rate"] > 500
    desk.do("net_link", "b", link="down")
    desk.run(5)
    assert port(desk, "annex", "b")["dropped"]["link down"] > 0
    desk.replays()
