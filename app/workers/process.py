"""The inside of a worker process: requests on standard input, replies on standard output, labs in between.

The main thread owns the labs. A second thread only reads requests, so that the end of the pipe (the web
process is gone, however it died) ends this process at once, even in the middle of a long run. Diagnostics
go to standard error.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from typing import BinaryIO

from app.workers.host import Examine, SessionHost
from app.workers.memory import worker_limit
from app.workers.protocol import Message, ProtocolError, read, write
from app.workers.repetition import BuildLab

NICE = 10


def serve(build: BuildLab, examine: Examine, requests: BinaryIO, replies: BinaryIO) -> None:
    """Serve labs until `requests` ends; never returns normally."""
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    host = SessionHost(
        build, examine, time.monotonic, lambda message: _send(replies, message), worker_limit()
    )
    threading.Thread(target=_read_requests, args=(requests, inbox), name="requests", daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICE)  # labs give way to the page; only the start-up before this was urgent
    _send(replies, Message("hello", body={"pid": os.getpid()}))
    delay = 0.0
    while True:
        _handle_waiting(host, inbox, delay)
        delay = host.work()


def leave_interrupts_to_parent() -> None:
    """Ignore Ctrl-C, which a terminal sends to every process: the web process decides when to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the request and reply streams, and send stray prints to standard error from now on."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return requests, replies


def _handle_waiting(host: SessionHost, inbox: queue.SimpleQueue[Message], delay: float) -> None:
    """Handle everything that has arrived; wait up to `delay` seconds for the first request."""
    try:
        host.handle(inbox.get(timeout=delay) if delay > 0 else inbox.get_nowait())
        while True:
            host.handle(inbox.get_nowait())
    except queue.Empty:
        return


def _read_requests(requests: BinaryIO, inbox: queue.SimpleQueue[Message]) -> None:
    try:
        while (message := read(requests)) is not None:
            inbox.put(message)
    except (OSError, ProtocolError) as error:
        print(f"worker {os.getpid()}: {error}", file=sys.stderr)
    os._exit(0)


def _send(replies: BinaryIO, message: Message) -> None:
    try:
        write(replies, message)
    except OSError:
        os._exit(0)
