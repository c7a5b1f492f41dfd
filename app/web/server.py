"""The HTTP server under the application: gunicorn's threaded worker, or werkzeug's where that cannot run.

One web process with many threads, because a stream holds a thread and costs little else (300 streams at 5
messages a second: 11 % of one core). Everything that starts threads or processes is started after gunicorn
has forked.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

from flask import Flask

from app.web import create_app
from app.web.context import Context
from app.web.settings import Settings

THREADS = 800
CONNECTIONS = 2000
GRACE_SECONDS = 3
READY_SECONDS = 120.0

Announce = Callable[[], None]


def serve_with_gunicorn(settings: Settings, host: str, port: int, announce: Announce) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is called when the workers are ready. Not for Windows."""
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):
        """The application as gunicorn wants to be given it."""

        def load_config(self) -> None:
            """Set gunicorn up."""
            for name, value in _gunicorn_settings(host, port, announce).items():
                self.cfg.set(name, value)

        def load(self) -> Flask:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Create the application, in the process that will serve it."""
            return create_app(settings)

    Application().run()


def serve_with_werkzeug(settings: Settings, host: str, port: int, announce: Announce) -> None:
    """Serve until interrupted, on any platform."""
    from werkzeug.serving import make_server

    app = create_app(settings)
    server = make_server(host, port, app, threaded=True)
    _announce_when_ready(_context(app), announce)
    try:
        server.serve_forever()
    finally:
        server.server_close()
        _context(app).close()


def _gunicorn_settings(host: str, port: int, announce: Announce) -> dict[str, Any]:
    def post_worker_init(worker: Any) -> None:
        parts = _context(worker.wsgi)
        _end_streams_on_sigterm(parts)
        _announce_when_ready(parts, announce)

    def worker_int(worker: Any) -> None:
        if worker.wsgi is not None:
            _context(worker.wsgi).close()

    def worker_exit(_server: Any, worker: Any) -> None:
        worker_int(worker)

    return {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "workers": 1,
        "worker_class": "gthread",
        "threads": THREADS,
        "worker_connections": CONNECTIONS,
        "graceful_timeout": GRACE_SECONDS,
        "timeout": 60,
        "keepalive": 15,
        "control_socket_disable": True,
        "loglevel": "warning",
        "post_worker_init": post_worker_init,
        "worker_int": worker_int,
        "worker_exit": worker_exit,
    }


def _context(app: object) -> Context:
    return cast("Context", cast("Flask", app).extensions["vmlab"])


def _announce_when_ready(parts: Context, announce: Announce) -> None:
    def wait() -> None:
        if parts.pool.wait_ready(READY_SECONDS):
            announce()

    threading.Thread(target=wait, name="announce", daemon=True).start()


def _end_streams_on_sigterm(parts: Context) -> None:
    """Let streams end when the server is asked to, so that it need not wait for readers who never leave."""
    before = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=parts.pool.end_streams, daemon=True).start()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, handle)
