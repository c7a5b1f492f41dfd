"""One connection of a debugger: a socket between gdb and a stub, until either ends it or nothing happens."""

from __future__ import annotations

import socket
import time

from app.gdb.stub import Stub

IDLE_SECONDS = 1800.0
POLL_SECONDS = 0.02
RECEIVE_BYTES = 65536


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that one debugger can connect to. Raise OSError."""
    return socket.create_server((host, port), backlog=1)


def serve(connection: socket.socket, stub: Stub, idle_seconds: float = IDLE_SECONDS) -> None:
    """Answer a debugger until it leaves, or has said nothing for `idle_seconds` while the lab stood.

    Whoever does not begin as a debugger does is sent away at once.
    """
    heard, begun = time.monotonic(), False
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not stub.closed:
            connection.settimeout(POLL_SECONDS if stub.running else 1.0)
            try:
                data = connection.recv(RECEIVE_BYTES)
            except TimeoutError:
                data = None
            except OSError:
                return
            if data == b"" or (data and not begun and data[:1] not in b"+$\x03"):
                return
            begun = begun or data is not None
            if data is not None or stub.running:
                heard = time.monotonic()
            reply = stub.poll() if data is None else stub.feed(data)
            if time.monotonic() - heard > idle_seconds or not _sent(connection, reply):
                return


def _sent(connection: socket.socket, reply: bytes) -> bool:
    try:
        connection.settimeout(10.0)
        connection.sendall(reply)
    except OSError:
        return False
    return True
