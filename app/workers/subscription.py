"""A reader of one lab's stream, in the web process: a mailbox that holds at most one message."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable

Blobs = tuple[tuple[str, bytes], ...]

_numbers = itertools.count(1)


class Subscription:
    """One reader: take a message, hand it on, take the next; the worker sends none before that."""

    def __init__(
        self, lab: str, tell: Callable[[str, str], None], leave: Callable[[Subscription], None]
    ) -> None:
        """`tell(kind, stream)` sends a notice to the lab's worker; `leave` forgets this reader."""
        self.lab = lab
        self.id = str(next(_numbers))
        self._tell = tell
        self._leave = leave
        self._mailbox: queue.SimpleQueue[Blobs | None] = queue.SimpleQueue()
        self._taken = False
        self.ended = False

    def take(self, seconds: float) -> Blobs | None:
        """Return the next message, None after `seconds` without one or at the end (see `ended`)."""
        if self._taken:
            self._taken = False
            self._tell("ready", self.id)
        try:
            message = self._mailbox.get(timeout=seconds)
        except queue.Empty:
            return None
        if message is None:
            self.ended = True
        self._taken = message is not None
        return message

    def put(self, message: Blobs) -> None:
        """Deliver a message."""
        self._mailbox.put(message)

    def end(self) -> None:
        """Let the reader stop: nothing will come any more."""
        self._mailbox.put(None)

    def close(self) -> None:
        """Stop reading."""
        self._leave(self)
        self._tell("unsubscribe", self.id)
