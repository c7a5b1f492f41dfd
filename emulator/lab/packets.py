"""Packets as people look at them: the newest of a network as a list, and one of them with its whole way.

They are derived from what switches note (`emulator.hypervisor.network.passages`), follow from the run like
everything else, and so are the same again after going back. Looking changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from emulator.hypervisor.network.decoding import decode, mac_text
from emulator.hypervisor.network.passages import PASSAGES_KEPT, Passage, Verdict
from emulator.hypervisor.network.pcap import pcap
from emulator.hypervisor.network.state import Captured
from emulator.lab.errors import LabError

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

SHOWN = 200
MAX_FILTER = 100
HEX_ROW = 16


class PacketRow(TypedDict):
    """A packet in the list. `wrong` says that its headers are malformed, `dropped` where it was lost."""

    number: int
    at_ns: int
    source: str
    target: str
    protocol: str
    bytes: int
    summary: str
    wrong: bool
    verdict: Verdict
    reason: str
    came_from: str  # a port
    went_to: list[str]
    dropped: list[str]  # "b: lost"


class PacketsView(TypedDict):
    """The newest packets of a network that match a filter, newest first; `kept` of `most` are there."""

    network: str
    networks: list[str]
    filter: str
    kept: int
    most: int
    matching: int
    packets: list[PacketRow]


class FieldView(TypedDict):
    """One field of a header: which bytes of the frame it is."""

    name: str
    value: str
    offset: int
    length: int


class HeaderView(TypedDict):
    """A header of a packet."""

    name: str
    offset: int
    length: int
    wrong: str
    fields: list[FieldView]


class PortOfWay(TypedDict):
    """A port of the switch and what it had to do with a packet."""

    name: str
    role: str  # "in", "out", "dropped" or "" for none
    reason: str
    due_ns: int


class KnownView(TypedDict):
    """An address that the switch knew when it decided."""

    vlan: int
    mac: str
    port: str
    used: bool  # it decided where the packet went


class PacketView(TypedDict):
    """One packet and its way through the switch."""

    row: PacketRow
    network: str
    vlan: int
    learned: str
    steps: list[str]
    ports: list[PortOfWay]
    table: list[KnownView]
    headers: list[HeaderView]
    hex: list[tuple[int, list[str], str]]  # offset, bytes, and the same as text
    cause: PacketRow | None
    effects: list[PacketRow]


def packets_view(lab: Lab, network: str = "", wanted: str = "") -> PacketsView:
    """Return the newest packets of a network (the first one), filtered. Raises LabError."""
    networks = lab.hypervisor.networks
    names = networks.names()
    if network and network not in names:
        raise LabError(f"there is no network {network!r}; networks here: {', '.join(names)}", "network")
    if len(wanted) > MAX_FILTER:
        raise LabError(f"a filter has at most {MAX_FILTER} characters", "filter")
    name = network or (names[0] if names else "")
    kept = networks.passages.passages(name)
    words = wanted.lower().split()
    rows = [row for row in map(_row, reversed(kept)) if _matches(row, words)]
    return {
        "network": name,
        "networks": names,
        "filter": wanted,
        "kept": len(kept),
        "most": PASSAGES_KEPT,
        "matching": len(rows),
        "packets": rows[:SHOWN],
    }


def _matches(row: PacketRow, words: list[str]) -> bool:
    """Return whether every word stands somewhere in what the list shows of a packet."""
    ports = (row["came_from"], *row["went_to"], *row["dropped"])
    shown = (row["source"], row["target"], row["protocol"], row["summary"], row["verdict"], row["reason"])
    text = " ".join((*shown, *ports, "malformed" if row["wrong"] else "")).lower()
    return all(word in text for word in words)


def _row(passage: Passage) -> PacketRow:
    decoded = decode(passage.frame)
    return {
        "number": passage.number,
        "at_ns": passage.at_ns,
        "source": decoded.source,
        "target": decoded.target,
        "protocol": decoded.protocol,
        "bytes": len(passage.frame),
        "summary": decoded.summary,
        "wrong": bool(decoded.wrong),
        "verdict": passage.verdict,
        "reason": passage.reason,
        "came_from": passage.name,
        "went_to": [way.name for way in passage.ways if not way.dropped],
        "dropped": [f"{way.name}: {way.dropped}" for way in passage.ways if way.dropped],
    }


def packet_view(lab: Lab, number: int) -> PacketView:
    """Return one packet. Raises LabError for one that is not kept (any more)."""
    passages = lab.hypervisor.networks.passages
    found = passages.find(number)
    if found is None:
        raise LabError(
            f"packet {number} is not kept; of each network the newest {PASSAGES_KEPT} are", "number"
        )
    cause = passages.find(found.cause) if found.cause else None
    return {
        "row": _row(found),
        "network": found.network,
        "vlan": found.vlan,
        "learned": found.learned,
        "steps": _steps(found),
        "ports": _ports(lab, found),
        "table": _table(found),
        "headers": _headers(found.frame),
        "hex": [_hex_row(found.frame, at) for at in range(0, len(found.frame), HEX_ROW)],
        "cause": _row(cause) if cause else None,
        "effects": [_row(one) for one in passages.caused_by(number)],
    }


def _headers(frame: bytes) -> list[HeaderView]:
    return [
        {
            "name": header.name,
            "offset": header.offset,
            "length": header.length,
            "wrong": header.wrong,
            "fields": [
                {"name": part.name, "value": part.value, "offset": part.offset, "length": part.length}
                for part in header.parts
            ],
        }
        for header in decode(frame).headers
    ]


def _hex_row(frame: bytes, at: int) -> tuple[int, list[str], str]:
    data = frame[at : at + HEX_ROW]
    return at, [f"{byte:02x}" for byte in data], "".join(chr(b) if 32 <= b < 127 else "." for b in data)


def _target(passage: Passage) -> bytes:
    return passage.frame[:6]


def _table(passage: Passage) -> list[KnownView]:
    target = _target(passage)
    return [
        {
            "vlan": known.vlan,
            "mac": known.mac.hex(":"),
            "port": known.port,
            "used": passage.verdict != "flooded" and (known.vlan, known.mac) == (passage.vlan, target),
        }
        for known in passage.table
    ]


def _ports(lab: Lab, passage: Passage) -> list[PortOfWay]:
    """Return the ports of the way, then the others that the switch has now."""
    ports: dict[int, PortOfWay] = {passage.port: _port(passage.name, "in", passage.reason)}
    for way in passage.ways:
        ports[way.port] = _port(way.name, "dropped" if way.dropped else "out", way.dropped, way.due_ns)
    switch = lab.hypervisor.networks.switch(passage.network)
    for number, port in switch.state.ports.items():
        ports.setdefault(number, _port(port.name, ""))
    return list(ports.values())


def _port(name: str, role: str, reason: str = "", due_ns: int = 0) -> PortOfWay:
    return {"name": name, "role": role, "reason": reason, "due_ns": due_ns}


WHY_REFUSED = {
    "link down": "the link of this port is down",
    "rate": "the port's wire was busy for longer than a frame may wait",
    "VLAN": "the frame has the tag of a VLAN that this port does not carry",
    "reserved address": "its address is meant for the bridge itself and is never passed on",
    "lost": "the wire lost it, as its link is set to lose some",
    "queue full": "too many frames wait for this port",
}


def _steps(passage: Passage) -> list[str]:
    """Return the way of a frame in sentences."""
    name = _named(passage.name)
    steps = [f"It came in at the port of {name}."]
    if passage.verdict == "dropped":
        why = WHY_REFUSED.get(passage.reason, passage.reason)
        return [*steps, f"It was dropped there: {why}."]
    source = passage.frame[6:12].hex(":")
    learned = {
        "new": f"The switch learned from it that {source} is behind {name}.",
        "moved": f"The switch learned from it that {source} has moved: it is behind {name} now.",
    }
    steps.append(learned.get(passage.learned, f"The switch knew already that {source} is there."))
    steps.append(_decision(passage))
    for way in passage.ways:
        if way.dropped:
            why = WHY_REFUSED.get(way.dropped, way.dropped)
            steps.append(f"At the port of {_named(way.name)} it was dropped: {why}.")
    return steps


def _named(port: str) -> str:
    """Return a port's name as it can stand in a sentence: bridges have names like "to lan"."""
    return f"\u201c{port}\u201d" if " " in port else port


def _decision(passage: Passage) -> str:
    target = _target(passage)
    members = f"every other port of VLAN {passage.vlan}"
    if passage.verdict == "filtered":
        return f"{mac_text(target)} is behind the port it came from, so it was not passed on."
    if passage.verdict == "forwarded":
        port = _named(passage.ways[0].name) if passage.ways else "a port that is gone"
        return f"{mac_text(target)} was last seen behind {port}, so it went to that port alone."
    if target == b"\xff" * 6:
        return f"It is a broadcast: it goes to {members}."
    if target[0] & 1:
        return f"{mac_text(target)} is a group: it goes to {members}."
    return f"Nobody has told the switch where {mac_text(target)} is: it goes to {members} (flooding)."


def packets_pcap(lab: Lab, network: str) -> bytes:
    """Return the packets that are kept of a network as a pcap file. Raises LabError."""
    name = packets_view(lab, network)["network"]
    passages = lab.hypervisor.networks.passages.passages(name)
    return pcap([Captured(one.at_ns, one.frame) for one in passages])
