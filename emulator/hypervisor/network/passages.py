"""What a switch did with each of the newest frames, for people who look: derived, and no part of the state.

Of each network the newest PASSAGES_KEPT frames are kept, with the ports that they came from and went to, why
one of these was not served, what the switch learned and what it knew then. A frame that another one caused
(over a bridge, or by an answer of the router) names it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

PASSAGES_KEPT = 512
ADDRESSES_KEPT = 64  # of the table, the newest

Verdict = Literal["forwarded", "flooded", "filtered", "dropped"]


@dataclass(frozen=True, slots=True)
class Way:
    """A port by which a frame left the switch, or why it did not; `due_ns` is when it arrives behind it."""

    port: int
    name: str
    dropped: str = ""
    due_ns: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """An entry of a switch's table of addresses."""

    vlan: int
    mac: bytes
    port: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One frame in one switch. `verdict` "filtered": its target is behind the port it came from.

    `table` is what the switch knew when it decided, `learned` whether the source was "new", "moved" or known
    (""). `cause` is the number of the passage that made this one, 0 without one.
    """

    number: int
    cause: int
    network: str
    at_ns: int
    port: int
    name: str
    vlan: int  # 0 where the frame was in none
    frame: bytes
    verdict: Verdict
    reason: str
    learned: str
    ways: tuple[Way, ...]
    table: tuple[Known, ...]


class Passing:
    """A passage that is under way through a switch."""

    def __init__(self, number: int, cause: int) -> None:
        """Nothing is known of it yet."""
        self.number, self.cause = number, cause
        self.verdict: Verdict = "dropped"
        self.reason = ""
        self.learned = ""
        self.vlan = 0
        self.ways: list[Way] = []
        self.table: tuple[Known, ...] = ()


class PassageLog:
    """The newest passages of all networks, numbered from 1."""

    def __init__(self) -> None:
        """Nothing has passed."""
        self._kept: dict[str, deque[Passage]] = {}
        self._last = 0
        self._open: list[int] = []

    @contextmanager
    def passing(self) -> Generator[Passing]:
        """Give a number to a frame; what passes meanwhile was caused by it."""
        self._last += 1
        passing = Passing(self._last, self._open[-1] if self._open else 0)
        self._open.append(passing.number)
        try:
            yield passing
        finally:
            self._open.pop()

    def keep(self, passage: Passage) -> None:
        """Keep a passage, and forget the oldest of its network if there are too many."""
        self._kept.setdefault(passage.network, deque(maxlen=PASSAGES_KEPT)).append(passage)

    def forget(self, network: str) -> None:
        """Forget a network that is gone."""
        self._kept.pop(network, None)

    def passages(self, network: str) -> list[Passage]:
        """Return what is kept of a network, oldest first."""
        return sorted(self._kept.get(network, ()), key=lambda one: one.number)

    def find(self, number: int) -> Passage | None:
        """Return the passage of a number, None if it is not kept."""
        return next((one for one in self._all() if one.number == number), None)

    def caused_by(self, number: int) -> list[Passage]:
        """Return the passages that one has made at once."""
        return sorted((one for one in self._all() if one.cause == number), key=lambda one: one.number)

    def _all(self) -> Iterable[Passage]:
        return (one for kept in self._kept.values() for one in kept)
