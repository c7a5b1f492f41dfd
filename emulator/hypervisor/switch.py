"""A virtual switch: an Ethernet learning bridge between the network cards of VMs.

IEEE 802.1D-2004, chapter 7 ("learning" and "forwarding"), without ageing: where a source address was last
seen is where frames to it go; those to anybody else go everywhere. A frame arrives at the moment it is sent.
Left out: VLANs, spanning trees (one switch has no loops), a delay and a rate of the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TABLE_MAX = 1024  # addresses; a guest may make up as many as it likes
GROUP_BIT = 1  # of an address's first byte: broadcast or multicast


@dataclass
class SwitchState:
    """Which port an address was last seen at, oldest first, and what became of the frames."""

    table: dict[bytes, int] = field(default_factory=dict[bytes, int])
    forwarded: int = 0
    flooded: int = 0


class Switch:
    """Ports have numbers; frames are handed out in the order in which the ports were plugged in."""

    def __init__(self) -> None:
        self.state = SwitchState()
        self._ports: dict[int, Callable[[bytes], None]] = {}

    def plug(self, port: int, receive: Callable[[bytes], None]) -> None:
        """Connect a card, in the place of the one that was there."""
        self._ports[port] = receive

    def unplug(self, port: int) -> None:
        """Disconnect the card, if there is one, and forget the addresses behind it."""
        self._ports.pop(port, None)
        self.state.table = {address: at for address, at in self.state.table.items() if at != port}

    def send(self, port: int, frame: bytes) -> None:
        """Take a frame of at least an Ethernet header from a port, and deliver it."""
        target, source = frame[:6], frame[6:12]
        self._learn(source, port)
        at = self.state.table.get(target)
        if at is None or target[0] & GROUP_BIT:
            self.state.flooded += 1
            for number, receive in list(self._ports.items()):
                if number != port:
                    receive(frame)
        elif at != port:
            self.state.forwarded += 1
            self._ports[at](frame)

    def _learn(self, source: bytes, port: int) -> None:
        if source[0] & GROUP_BIT:
            return
        table = self.state.table
        table.pop(source, None)
        if len(table) >= TABLE_MAX:
            del table[next(iter(table))]
        table[source] = port

    def state_parts(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        state = self.state
        addresses = [[address.hex(), port] for address, port in state.table.items()]
        return [addresses, list(self._ports), state.forwarded, state.flooded]
