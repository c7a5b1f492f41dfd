"""A relay between a browser and a server on this machine that counts what the server sends.

What browsers report of a stream is decoded, or comes late; here every byte counts, headers and all.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

CHUNK_BYTES = 65536


class Relay:
    """Passes connections on to a server."""

    def __init__(self, target: tuple[str, int]) -> None:
        """Listen on a free port of this machine for `target`, a host and a port."""
        self.received = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Take connections until `close`."""
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self._open |= {near, far}
            for source, sink, counted in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pass_on, args=(source, sink, counted), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if counted:
                    with self._guard:
                        self.received += len(data)
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections and end those that are open."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            one.close()


@contextmanager
def relayed(url: str) -> Generator[Relay]:
    """Stand before the server at `url`."""
    place = urlsplit(url)
    relay = Relay((place.hostname or "127.0.0.1", place.port or 80))
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join()
