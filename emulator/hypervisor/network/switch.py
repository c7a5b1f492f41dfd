"""A virtual switch: an Ethernet learning bridge with VLANs.

IEEE 802.1Q-2018, chapters 6.9 (tags), 8.7 (learning) and 8.8.3 (ageing): where a source address was last seen
in a VLAN is where frames to it go; those to anybody else go to every port of the VLAN. An access port takes
no tagged frames, a trunk only tags of its VLANs. Left out: priorities, spanning trees (networks are joined
as a tree, so that there are no loops), independent learning groups.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from emulator.hypervisor.network import wire
from emulator.hypervisor.network.passages import ADDRESSES_KEPT, Known, Passage, PassageLog, Passing, Way
from emulator.hypervisor.network.state import (
    AGEING_NS,
    DEFAULT_VLAN,
    PLAIN_LINK,
    Captured,
    Delivery,
    LinkSettings,
    PortState,
    Seen,
    SwitchState,
)

TABLE_MAX = 1024  # addresses; a guest may make up as many as it likes
GROUP_BIT = 1  # of an address's first byte: broadcast or multicast
TAG = b"\x81\x00"
VLAN_MASK, VLAN_RESERVED = 0xFFF, 0xFFF
RESERVED_PREFIX = b"\x01\x80\xc2\x00\x00"  # to the bridge itself: never forwarded (8.6.3)
CAPTURE_MAX, CAPTURE_MAX_BYTES = 20_000, 8 << 20

# What a port hands a frame to, and the time it arrives there.
Receiver = Callable[[bytes, int], None]


class Switch:
    """Ports have numbers; frames are handed out in the order in which the ports were plugged in."""

    def __init__(
        self,
        seed: int = 1,
        ageing_ns: int = AGEING_NS,
        now_ns: Callable[[], int] = lambda: 0,
        name: str = "",
        passages: PassageLog | None = None,
    ) -> None:
        """`seed` decides which frames a lossy port loses; what passes is noted in `passages`."""
        self.state = SwitchState(seed & wire.WORD or 1)
        self._name = name
        self._passages = PassageLog() if passages is None else passages
        self._known: tuple[Known, ...] | None = None  # the table as it is noted; None: to be made anew
        self.now_ns = now_ns
        self.ageing_ns = ageing_ns
        self._receivers: dict[int, Receiver] = {}
        self._timed: set[int] = set()

    def plug(
        self,
        port: int,
        receive: Receiver,
        name: str = "",
        settings: LinkSettings = PLAIN_LINK,
        timed: bool = True,
    ) -> None:
        """Connect something, in the place of what was there.

        A `timed` receiver gets a frame when its time has come (`elapse`), another one at once.
        """
        there = self.state.ports.get(port)
        if there is None:
            self.state.ports[port] = PortState(name, settings)
        else:
            there.name, there.settings = name, settings
        self._receivers[port] = receive
        self._known = None  # it may have another name now
        self._timed.discard(port)
        if timed:
            self._timed.add(port)

    def unplug(self, port: int) -> None:
        """Disconnect what is there, if anything, and forget the addresses behind it."""
        self.state.ports.pop(port, None)
        self._receivers.pop(port, None)
        self.forget(port)

    def forget(self, port: int) -> None:
        """Forget the addresses behind a port."""
        table = self.state.table
        self.state.table = {key: seen for key, seen in table.items() if seen.port != port}
        self._known = None

    def send(self, port: int, frame: bytes, at: int | None = None) -> None:
        """Take a frame of at least an Ethernet header from a port at a time (now), and pass it on."""
        source = self.state.ports.get(port)
        if source is None:
            return
        now = self.now_ns() if at is None else at
        with self._passages.passing() as passing:
            arrived = self._take(port, source, frame, now, passing)
        self._passages.keep(
            Passage(
                passing.number,
                passing.cause,
                self._name,
                now if arrived is None else arrived,
                port,
                source.name,
                passing.vlan,
                frame,
                passing.verdict,
                passing.reason,
                passing.learned,
                tuple(passing.ways),
                passing.table,
            )
        )

    def _take(self, port: int, source: PortState, frame: bytes, at: int, passing: Passing) -> int | None:
        """Take a frame in; return when it has arrived, if its wire let it through."""
        if not source.settings.up:
            return self._refuse(source, "link down", passing)
        arrived = wire.take(source, len(frame), at)
        if arrived is None:
            return self._refuse(source, "rate", passing)
        source.counters.received += 1
        source.counters.received_bytes += len(frame)
        found = _classify(frame, source.settings)
        if found is None:
            self._refuse(source, "VLAN", passing)
            return arrived
        passing.vlan, plain = found
        self._capture(plain, passing.vlan, arrived)
        if plain[:5] == RESERVED_PREFIX and plain[5] < 16:
            self._refuse(source, "reserved address", passing)
            return arrived
        passing.learned = self._learn(passing.vlan, plain[6:12], port, arrived)
        self._forward(port, passing, plain, arrived)
        return arrived

    def _refuse(self, port: PortState, reason: str, passing: Passing) -> None:
        _drop(port, reason)
        passing.reason = reason

    def _forward(self, port: int, passing: Passing, frame: bytes, at: int) -> None:
        vlan, target = passing.vlan, frame[:6]
        seen = None if target[0] & GROUP_BIT else self.state.table.get(_key(vlan, target))
        if seen is not None and 0 <= at - seen.at_ns > self.ageing_ns:
            del self.state.table[_key(vlan, target)]
            self._known = seen = None
        passing.table = self._table()
        if seen is None:
            passing.verdict = "flooded"
            self.state.flooded += 1
            members = [number for number, one in self.state.ports.items() if one.settings.carries(vlan)]
            for number in members:
                if number != port:
                    self._give(number, passing, frame, at)
        elif seen.port != port:
            passing.verdict = "forwarded"
            self.state.forwarded += 1
            self._give(seen.port, passing, frame, at)
        else:
            passing.verdict = "filtered"

    def _give(self, number: int, passing: Passing, frame: bytes, at: int) -> None:
        port, vlan = self.state.ports.get(number), passing.vlan
        if port is None or not port.settings.carries(vlan):
            return
        out = frame if vlan == port.settings.vlan else tagged(frame, vlan)
        due, reason = self._due(port, len(out), at)
        passing.ways.append(Way(number, port.name, reason, due))
        if reason:
            _drop(port, reason)
            return
        port.counters.sent += 1
        port.counters.sent_bytes += len(out)
        later = number in self._timed and due > self.now_ns()
        if later:
            _put_in_order(port.under_way, Delivery(due, out))
        self._hand_over(number, out, due, later)

    def _due(self, port: PortState, length: int, at: int) -> tuple[int, str]:
        """Return when a frame to a port has arrived there, and why it does not."""
        if not port.settings.up:
            return 0, "link down"
        if wire.is_lost(self.state, port):
            return 0, "lost"
        due = wire.give(port, length, at)
        return (0, "queue full") if due is None else (due, "")

    def _hand_over(self, number: int, frame: bytes, due: int, later: bool) -> None:
        """Give a frame to what is at a port, or tell it with no frame that one is under way."""
        receive = self._receivers.get(number)
        if receive is not None:
            receive(b"" if later else frame, due)

    # Time

    def next_due(self, port: int) -> int | None:
        """Return when the next frame arrives at a port."""
        state = self.state.ports.get(port)
        return state.under_way[0].due_ns if state and state.under_way else None

    def elapse(self, port: int, now: int) -> None:
        """Hand over what has arrived at a port."""
        state = self.state.ports.get(port)
        while state and state.under_way and state.under_way[0].due_ns <= now:
            delivery = state.under_way.pop(0)
            self._hand_over(port, delivery.frame, delivery.due_ns, later=False)

    # Memory

    def _learn(self, vlan: int, source: bytes, port: int, at: int) -> str:
        """Note where an address is; return whether that is "new", or it has "moved"."""
        if source[0] & GROUP_BIT:
            return ""
        table = self.state.table
        before = table.pop(_key(vlan, source), None)
        if len(table) >= TABLE_MAX:
            del table[next(iter(table))]
        table[_key(vlan, source)] = Seen(port, at)
        if before is not None and before.port == port:
            return ""
        self._known = None
        return "new" if before is None else "moved"

    def _table(self) -> tuple[Known, ...]:
        """Return the newest entries of the table; many passages share them."""
        if self._known is None:
            ports = self.state.ports
            entries = islice(reversed(self.state.table.items()), ADDRESSES_KEPT)
            self._known = tuple(
                Known(int.from_bytes(key[:2], "big"), key[2:], ports[seen.port].name)
                for key, seen in entries
                if seen.port in ports
            )
        return self._known

    def _capture(self, frame: bytes, vlan: int, at: int) -> None:
        state = self.state
        if not state.capturing:
            return
        data = frame if vlan == DEFAULT_VLAN else tagged(frame, vlan)
        if len(state.captured) >= CAPTURE_MAX or state.captured_bytes + len(data) > CAPTURE_MAX_BYTES:
            state.capture_lost += 1
            return
        state.captured.append(Captured(at, data))
        state.captured_bytes += len(data)


def tagged(frame: bytes, vlan: int) -> bytes:
    """Return a frame with an 802.1Q tag."""
    return frame[:12] + TAG + vlan.to_bytes(2, "big") + frame[12:]


def _classify(frame: bytes, settings: LinkSettings) -> tuple[int, bytes] | None:
    """Return the VLAN of a frame and the frame without its tag, None if the port takes no such frame."""
    if frame[12:14] != TAG or len(frame) < 18:
        return settings.vlan, frame
    vlan = int.from_bytes(frame[14:16], "big") & VLAN_MASK
    plain = frame[:12] + frame[16:]
    if vlan == 0:  # a priority tag
        return settings.vlan, plain
    if vlan == VLAN_RESERVED or vlan not in settings.trunk:
        return None
    return vlan, plain


def _key(vlan: int, address: bytes) -> bytes:
    return vlan.to_bytes(2, "big") + address


def _drop(port: PortState, reason: str) -> None:
    dropped = port.counters.dropped
    dropped[reason] = dropped.get(reason, 0) + 1


def _put_in_order(under_way: list[Delivery], delivery: Delivery) -> None:
    place = len(under_way)
    while place and under_way[place - 1].due_ns > delivery.due_ns:
        place -= 1
    under_way.insert(place, delivery)
