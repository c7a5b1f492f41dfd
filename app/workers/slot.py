"""One place in the pool: the worker process that is there now, and what must outlive it."""

from __future__ import annotations

import threading
from dataclasses import replace

from app.workers.connection import Connection
from app.workers.record import PAUSED, LabRecord, Mode
from app.workers.subscription import Blobs, Subscription


class Slot:
    """A worker's place. Streams and modes stay when the process in it is replaced."""

    def __init__(self, index: int) -> None:
        """Nothing runs here yet."""
        self.index = index
        self.connection: Connection | None = None
        self.modes: dict[str, tuple[int, Mode]] = {}
        self.quick_deaths = 0
        self.ready = threading.Event()
        self._streams: dict[str, Subscription] = {}
        self._guard = threading.Lock()
        self._replaced = threading.Condition()

    def put(self, connection: Connection | None) -> None:
        """Put a new worker here, or none for now."""
        with self._replaced:
            self.connection = connection
            self._replaced.notify_all()

    def live(self, seconds: float) -> Connection | None:
        """Return the worker, waiting for a new one if it has died; None if none comes in time."""

        def ready() -> bool:
            return self.connection is not None and self.connection.alive()

        with self._replaced:
            return self.connection if self._replaced.wait_for(ready, seconds) else None

    def add_stream(self, subscription: Subscription) -> None:
        """Keep a reader."""
        with self._guard:
            self._streams[subscription.id] = subscription

    def drop_stream(self, subscription: Subscription) -> None:
        """Forget a reader."""
        with self._guard:
            self._streams.pop(subscription.id, None)

    def streams(self) -> list[Subscription]:
        """Return every reader."""
        with self._guard:
            return list(self._streams.values())

    def streams_of(self, lab: str) -> list[Subscription]:
        """Return the readers of one lab."""
        return [subscription for subscription in self.streams() if subscription.lab == lab]

    def deliver(self, stream: str, message: Blobs) -> None:
        """Give a reader its message; one who left a moment ago needs none."""
        with self._guard:
            subscription = self._streams.get(stream)
        if subscription is not None:
            subscription.put(message)

    def as_it_was(self, record: LabRecord) -> LabRecord:
        """Return the record with the mode the lab was in; after a reset its speed and stops stay."""
        if record.lent:
            return record
        generation, mode = self.modes.get(record.lab, (record.generation, record.mode))
        if generation != record.generation:
            mode = {**PAUSED, "speed": mode["speed"], "stops": mode.get("stops", [])}
        return replace(record, mode=mode)

    def wanted_labs(self) -> list[str]:
        """Return the labs that were running or being watched, each once."""
        running = [lab for lab, (_, mode) in self.modes.items() if mode["mode"] != "paused"]
        return list(dict.fromkeys([*(subscription.lab for subscription in self.streams()), *running]))
