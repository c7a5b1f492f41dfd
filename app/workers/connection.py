"""The web process's end of one worker process: start it, send requests, match replies, notice its death."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO, cast

from app.workers.protocol import Message, ProtocolError, read, write


class WorkerLost(Exception):
    """The worker process died before it answered; what it was asked may or may not have happened in it."""


class Connection:
    """One worker process, from its start to its death."""

    def __init__(
        self, command: list[str], on_notice: Callable[[Message], None], on_death: Callable[[], None]
    ) -> None:
        """Start the process and a thread that reads what it says.

        `on_notice` gets what is not a reply, `on_death` is called once, both in that thread.
        """
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._requests = cast("BinaryIO", self._process.stdin)
        self._replies = cast("BinaryIO", self._process.stdout)
        self._on_notice = on_notice
        self._on_death = on_death
        self._started = time.monotonic()
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._pending: dict[int, tuple[Future[Message], float]] = {}
        self._next_call = 1
        self._dead = False
        self.opened: set[str] = set()
        self._reader = threading.Thread(target=self._read_replies, name=f"worker-{self.pid}", daemon=True)

    def start(self) -> None:
        """Begin to read; from now on notices arrive."""
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id of the worker."""
        return self._process.pid

    def alive(self) -> bool:
        """Return whether the worker can still be asked."""
        return not self._dead

    def age(self) -> float:
        """Return the seconds since the process was started."""
        return time.monotonic() - self._started

    def waiting(self) -> int:
        """Return how many requests have no answer yet."""
        return len(self._pending)

    def longest_wait(self) -> float:
        """Return for how many seconds the oldest request has been waiting."""
        with self._guard:
            oldest = min((sent for _, sent in self._pending.values()), default=None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def request(self, message: Message) -> Future[Message]:
        """Send a request and return the future of its reply; raise WorkerLost."""
        future: Future[Message] = Future()
        with self._guard:
            if self._dead:
                raise WorkerLost("the worker has died")
            call, self._next_call = self._next_call, self._next_call + 1
            self._pending[call] = (future, time.monotonic())
        self.notify(replace(message, call=call))
        return future

    def notify(self, message: Message) -> None:
        """Send a request that is not answered; raise WorkerLost."""
        try:
            with self._writing:
                write(self._requests, message)
        except (OSError, ValueError) as error:
            raise WorkerLost("the worker has died") from error

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self) -> None:
        """Let the process end by closing its input, and make sure that it does."""
        with suppress(OSError):
            self._requests.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader.is_alive() and self._reader is not threading.current_thread():
            self._reader.join(timeout=5)

    def _read_replies(self) -> None:
        try:
            while (message := read(self._replies)) is not None:
                self._take(message)
        except (OSError, ProtocolError) as error:
            print(f"worker {self.pid}: {error}", file=sys.stderr)
        self._bury()
        self._on_death()

    def _take(self, message: Message) -> None:
        if message.kind not in ("reply", "error"):
            self._on_notice(message)
            return
        with self._guard:
            waiting = self._pending.pop(message.call, None)
        if waiting is not None:
            waiting[0].set_result(message)

    def _bury(self) -> None:
        """Tell everybody who waits that the worker is gone, and take its exit status."""
        self._process.kill()
        with self._guard:
            self._dead = True
            pending, self._pending = self._pending, {}
        for future, _ in pending.values():
            future.set_exception(WorkerLost("the worker died before it answered"))
        self._process.wait()
        with suppress(OSError):
            self._requests.close()
        self._replies.close()
