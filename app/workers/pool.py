"""The pool of worker processes: labs pinned to workers, death noticed and repaired, readers kept.

The pool lives in the web process and is used from many threads. It owns no durable state: what a lab is
comes from the `Journal` (the database), so a worker can be killed at any moment. When one dies it is
started again, the labs that were running or being watched are opened on it from the journal, and every
reader gets everything anew.

Processes are started with `subprocess`, never by forking this (threaded) process, and talk over their
standard streams.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol, cast

from app.workers.connection import Connection, WorkerLost
from app.workers.protocol import JsonObject, Message
from app.workers.record import LabRecord, Mode, Stand
from app.workers.slot import Slot
from app.workers.subscription import Subscription

CALL_SECONDS = 10.0
SAVE_SECONDS = 0.5
MAX_WAITING = 256
QUICK_DEATH_SECONDS = 5.0
STUCK_SECONDS = 120.0
RESTART_SECONDS = 5.0
START_SECONDS = 60.0
# Asking again after the worker died does no harm: these change nothing that is kept.
REPEATABLE = frozenset({"observe", "state", "run", "config", "inspect", "examine", "control"})


class Journal(Protocol):
    """Where labs are kept for good."""

    def load(self, lab: str) -> LabRecord | None:
        """Return the lab as last acknowledged and saved."""
        ...

    def save_positions(self, positions: Mapping[tuple[str, int], Stand]) -> None:
        """Keep where labs stand: (lab, generation) -> the place on the line of history that is kept."""
        ...


class CallFailed(Exception):
    """A worker refused a request; `body` is its reply (`fault`, `message`, ...)."""

    def __init__(self, body: JsonObject) -> None:
        """Keep the reply."""
        super().__init__(str(body.get("message", "")))
        self.fault = str(body.get("fault", "bug"))
        self.body = body


class LabUnknown(Exception):
    """The journal has no such lab."""


class Overloaded(Exception):
    """A worker has more unanswered requests than it should; try again in a moment."""


class LabLock:
    """A re-entrant lock that can be held weakly."""

    def __init__(self) -> None:
        """Nobody holds it."""
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        """Wait for the lock and take it."""
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        """Give the lock back."""
        self._lock.release()


class Pool:
    """N worker processes and the labs on them."""

    def __init__(self, command: Sequence[str], workers: int, journal: Journal) -> None:
        """Remember how to start workers; nothing runs before `start`."""
        self._command = list(command)
        self._journal = journal
        self._slots = [Slot(index) for index in range(workers)]
        self._locks: weakref.WeakValueDictionary[str, LabLock] = weakref.WeakValueDictionary()
        self._guard = threading.Lock()
        self._flushing = threading.Lock()
        self._positions: dict[tuple[str, int], Stand] = {}
        self._closing = threading.Event()
        self._ending = threading.Event()
        self._saver = threading.Thread(target=self._save_positions, name="positions", daemon=True)

    def start(self) -> None:
        """Start every worker; they load the engine in their own time and answer when they are ready."""
        for slot in self._slots:
            self._launch(slot)
        self._saver.start()

    def wait_ready(self, seconds: float) -> bool:
        """Wait until every worker has loaded its engine; return whether they all have."""
        deadline = time.monotonic() + seconds
        return all(slot.ready.wait(max(0.0, deadline - time.monotonic())) for slot in self._slots)

    def end_streams(self) -> None:
        """Let every reader stop, now and from now on."""
        self._ending.set()
        for slot in self._slots:
            for subscription in slot.streams():
                subscription.end()

    def close(self) -> None:
        """Stop the workers, end the streams and save the last positions; calling it again does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self.end_streams()
        for slot in self._slots:
            if slot.connection is not None:
                slot.connection.close()
        if self._saver.is_alive():
            self._saver.join(timeout=5)

    def alive(self) -> int:
        """Return how many workers are up."""
        return sum(slot.connection is not None and slot.connection.alive() for slot in self._slots)

    def __len__(self) -> int:
        """Return how many workers there should be."""
        return len(self._slots)

    def pid_of(self, lab: str) -> int | None:
        """Return the process id of the worker that a lab is pinned to."""
        connection = self._slot(lab).connection
        return None if connection is None else connection.pid

    def lock(self, lab: str) -> LabLock:
        """Return the lock under which a lab is opened, changed and its changes committed."""
        with self._guard:
            lock = self._locks.get(lab)
            if lock is None:
                lock = self._locks[lab] = LabLock()
            return lock

    def call(
        self, lab: str, kind: str, body: JsonObject | None = None, seconds: float | None = None
    ) -> JsonObject:
        """Ask the lab's worker and return its answer, opening the lab there if need be.

        Without `seconds` a worker that is just starting is given the time to.
        Raise CallFailed for a refusal, WorkerLost when the worker died meanwhile, Overloaded, LabUnknown.
        """
        message = Message(kind, lab, body=body or {})
        try:
            return self._ask(lab, message, seconds)
        except CallFailed as failure:
            if failure.fault != "missing":
                raise
            self._forget(lab)
        except WorkerLost:
            if kind not in REPEATABLE:
                raise
        return self._ask(lab, message, seconds)

    def verify(self, record: LabRecord, claim: JsonObject) -> JsonObject:
        """Begin to repeat what a browser handed in, or say how far that is; the worker need not hold the lab.

        Raise like `call`.
        """
        asked = Message("verify", record.lab, body={"claim": claim})
        self._slot(record.lab).ready.wait(START_SECONDS)
        reply = self._answer(self._connected(record.lab).request(asked), CALL_SECONDS)
        if not reply.get("unknown"):
            return reply
        whole = record.to_message()
        whole = Message("verify", record.lab, body={**whole.body, "claim": claim}, blobs=whole.blobs)
        return self._answer(self._connected(record.lab).request(whole), CALL_SECONDS)

    def enter(self, name: str, body: JsonObject) -> JsonObject:
        """Begin to repeat a run of a policy, or, with its `digest` only, say how far that is.

        Raise like `call`.
        """
        self._slot(name).ready.wait(START_SECONDS)
        asked = Message("enter", name, body=body)
        return self._answer(self._connected(name).request(asked), CALL_SECONDS)

    def go_on(self, lab: str, generation: int, mode: Mode) -> None:
        """Let the lab go on in `mode` when it is next opened."""
        self._slot(lab).modes[lab] = generation, mode

    def subscribe(self, lab: str) -> Subscription:
        """Return a new reader of the lab's stream; raise LabUnknown."""
        slot = self._slot(lab)
        subscription = Subscription(
            lab, lambda kind, stream: self._tell(slot, lab, kind, stream), slot.drop_stream
        )
        slot.add_stream(subscription)
        if self._ending.is_set():
            subscription.end()
        try:
            with self.lock(lab):
                self._send(lab, Message("subscribe", lab, body={"stream": subscription.id}))
        except WorkerLost:
            pass  # the worker is being started again, and will be given this reader
        except LabUnknown:
            slot.drop_stream(subscription)
            raise
        return subscription

    def discard(self, lab: str) -> None:
        """Drop the worker's copy of a lab, which is rebuilt from the journal when it is next wanted."""
        slot = self._slot(lab)
        with self.lock(lab):
            self._forget(lab)
            self._tell(slot, lab, "close", "")
            for subscription in slot.streams_of(lab):
                with suppress(WorkerLost):
                    self._send(lab, Message("subscribe", lab, body={"stream": subscription.id}))

    def drop(self, lab: str) -> None:
        """Drop the worker's copy of a lab that is not kept any more, and end its streams."""
        slot = self._slot(lab)
        with self.lock(lab):
            self._forget(lab)
            self._tell(slot, lab, "close", "")
            for subscription in slot.streams_of(lab):
                subscription.end()

    # Requests

    def _slot(self, lab: str) -> Slot:
        return self._slots[zlib.crc32(lab.encode()) % len(self._slots)]

    def _send(self, lab: str, message: Message) -> Future[Message]:
        """Send a request, opening the lab on the worker first if need be; the caller holds the lab's lock."""
        slot, connection = self._slot(lab), self._connected(lab)
        if lab not in connection.opened:
            record = self._journal.load(lab)
            if record is None:
                raise LabUnknown(lab)
            connection.opened.add(lab)
            connection.request(slot.as_it_was(record).to_message())
        return connection.request(message)

    def _connected(self, lab: str) -> Connection:
        """Return the lab's worker if it can be asked something."""
        connection = self._slot(lab).live(RESTART_SECONDS)
        if connection is None:
            raise WorkerLost("the worker is being started again")
        if connection.waiting() >= MAX_WAITING:
            raise Overloaded("the worker has too many requests to answer")
        return connection

    def _ask(self, lab: str, message: Message, seconds: float | None) -> JsonObject:
        with self.lock(lab):
            future = self._send(lab, message)
        if seconds is None:
            self._slot(lab).ready.wait(START_SECONDS)
        return self._answer(future, CALL_SECONDS if seconds is None else seconds)

    def _forget(self, lab: str) -> None:
        connection = self._slot(lab).connection
        if connection is not None:
            connection.opened.discard(lab)

    def _tell(self, slot: Slot, lab: str, kind: str, stream: str) -> None:
        """Send a request that needs no answer; a dead worker needs none."""
        connection = slot.connection
        if connection is not None:
            with suppress(WorkerLost):
                connection.notify(Message(kind, lab, body={"stream": stream}))

    def _answer(self, future: Future[Message], seconds: float) -> JsonObject:
        try:
            reply = future.result(timeout=seconds)
        except TimeoutError:
            raise Overloaded("the worker did not answer in time") from None
        if reply.kind == "error":
            raise CallFailed(reply.body)
        return reply.body

    # Workers

    def _launch(self, slot: Slot) -> None:
        connection = Connection(
            self._command,
            on_notice=lambda message: self._notice(slot, message),
            on_death=lambda: self._revive(slot),
        )
        slot.put(connection)
        connection.start()

    def _notice(self, slot: Slot, message: Message) -> None:
        if message.kind == "publish":
            slot.deliver(str(message.body.get("stream")), message.blobs)
        elif message.kind == "hello":
            slot.ready.set()
        elif message.kind == "progress":
            generation = int(message.body["generation"])
            slot.modes[message.lab] = generation, cast("Mode", message.body["mode"])
            with self._guard:
                self._positions[message.lab, generation] = Stand(*message.body["stand"])

    def _revive(self, slot: Slot) -> None:
        """Start a dead worker again and give it back the labs that were running or watched."""
        dead = slot.connection
        if self._closing.is_set() or dead is None:
            return
        print(f"worker {dead.pid} died; starting another", file=sys.stderr)
        slot.ready.clear()
        slot.put(None)
        if self._closing.wait(self._pause_before_restart(slot, dead)):
            return
        self.flush_positions()
        self._launch(slot)
        for lab in slot.wanted_labs():
            with suppress(WorkerLost, LabUnknown, Overloaded):
                self._reopen(slot, lab)

    def _pause_before_restart(self, slot: Slot, dead: Connection) -> float:
        """Return 0, or longer and longer for a worker that keeps dying right after its start."""
        if dead.age() > QUICK_DEATH_SECONDS:
            slot.quick_deaths = 0
            return 0.0
        slot.quick_deaths += 1
        return min(5.0, 0.05 * 2**slot.quick_deaths)

    def _reopen(self, slot: Slot, lab: str) -> None:
        """Open a lab on a new worker and give it its readers again."""
        with self.lock(lab):
            if not slot.streams_of(lab):
                self._send(lab, Message("ready", lab, body={"stream": ""}))
            for subscription in slot.streams_of(lab):
                self._send(lab, Message("subscribe", lab, body={"stream": subscription.id}))

    def _save_positions(self) -> None:
        while not self._closing.wait(SAVE_SECONDS):
            self.flush_positions()
            self._kill_stuck()
        self.flush_positions()

    def flush_positions(self) -> None:
        """Write the positions that the workers have reported to the journal."""
        with self._flushing:  # so that an older position is never written after a newer one
            with self._guard:
                positions, self._positions = self._positions, {}
            if positions:
                self._journal.save_positions(positions)

    def _kill_stuck(self) -> None:
        """End a worker that has left a request unanswered for minutes; it will be started again."""
        for slot in self._slots:
            if slot.connection is not None and slot.connection.longest_wait() > STUCK_SECONDS:
                slot.connection.kill()
