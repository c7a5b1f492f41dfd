"""What the streams of a lab get, and when: at most ten observations a second, and none while nothing changes.

For a moment after something was typed at a console, what the guest prints is sent at once: an echo that
takes a tenth of a second feels broken.

Every stream has its own cursor into the lab's observations and must say `ready` before it gets the next
one. So a slow reader gets fewer, larger deltas and no queue can grow anywhere. What differs from what a
reader has is worked out in `showing.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from app.workers.protocol import Message
from app.workers.session import Session
from app.workers.showing import PARTS, Shown, show

PERIOD_SECONDS = 0.1
ECHO_SECONDS, TYPING_SECONDS = 0.01, 0.5

Send = Callable[[Message], None]
Blobs = tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class Stream:
    """One reader of one lab: what it has seen, and whether it can take more."""

    id: str
    revision: int = 0
    ready: bool = True
    sent_at: float = float("-inf")
    printed: int = 0
    shown: Shown = field(default_factory=Shown)


class Publisher:
    """The streams of one lab."""

    def __init__(self, session: Session) -> None:
        """Watch `session`; nobody listens yet."""
        self._session = session
        self._streams: dict[str, Stream] = {}
        self._typing_until = float("-inf")

    def __bool__(self) -> bool:
        """Return whether anybody is listening."""
        return bool(self._streams)

    def subscribe(self, stream: str) -> None:
        """Add a reader, who gets everything first."""
        self._streams[stream] = Stream(stream)

    def unsubscribe(self, stream: str) -> None:
        """Forget a reader."""
        self._streams.pop(stream, None)

    def ready(self, stream: str) -> None:
        """Take note that a reader has handed on what it got."""
        if stream in self._streams:
            self._streams[stream].ready = True

    def typed(self, wall: float) -> None:
        """Take note that somebody has just typed at a console."""
        self._typing_until = wall + TYPING_SECONDS

    def delay(self, wall: float) -> float:
        """Return the seconds until a reader can be served, infinity when there is none waiting."""
        waiting = [
            stream.sent_at + self._period(stream, wall) - wall
            for stream in self._streams.values()
            if self._behind(stream)
        ]
        return max(0.0, min(waiting, default=float("inf")))

    def publish(self, wall: float, send: Send) -> None:
        """Send to each reader who is ready, behind and not served a moment ago; who saw the same shares."""
        shared: dict[int, tuple[Blobs, Shown]] = {}
        for stream in self._streams.values():
            if self._behind(stream) and wall - stream.sent_at >= self._period(stream, wall):
                seen = id(stream.shown) if stream.shown.cursor is not None else 0
                if seen not in shared:
                    events, shown = show(self._session, stream.shown, wall)
                    shared[seen] = tuple((name, _text(body)) for name, body in events), shown
                blobs, stream.shown = shared[seen]
                stream.revision = self._session.revision
                stream.ready, stream.sent_at = False, wall
                stream.printed = self._session.printed
                send(Message("publish", self._session.id, body={"stream": stream.id}, blobs=blobs))

    def _period(self, stream: Stream, wall: float) -> float:
        """Return how long after the last observation a reader may get the next."""
        echoed = wall < self._typing_until and stream.printed != self._session.printed
        return ECHO_SECONDS if echoed else PERIOD_SECONDS

    def _behind(self, stream: Stream) -> bool:
        return stream.ready and stream.revision != self._session.revision


def state_of(session: Session) -> dict[str, Any]:
    """Return the payload of the `state` event now."""
    observation = cast("dict[str, Any]", session.lab.observe(session.state_cursor))
    session.state_cursor = int(observation["cursor"])
    for _, key in PARTS:
        del observation[key]
    return {**observation, "run": session.run_view()}


def whole(session: Session) -> dict[str, Any]:
    """Return the whole observation with `run`, as `GET state` shows it."""
    return {**cast("dict[str, Any]", session.lab.observe(None)), "run": session.run_view()}


def gone(reason: str) -> tuple[str, bytes]:
    """Return the event that ends a page's interest in a lab."""
    return "gone", _text({"reason": reason})


def _text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
