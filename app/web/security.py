"""Who may ask for what: cross-site requests, response headers, and how fast one student may go.

Cross-site request forgery is stopped without tokens: browsers say where a request comes from (Fetch
Metadata Request Headers, `Sec-Fetch-Site`; for older ones `Origin`, RFC 6454), and scripts cannot change
that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask, Response, request

from app.desk.problem import Problem
from app.texts import gettext as _

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# The engine's worker: what runs there reaches the engine's files and nothing else. `{origin}` is this server.
ENGINE_POLICY = (
    "default-src 'none'; script-src {origin}/static/engine/ 'wasm-unsafe-eval';"
    " connect-src {origin}/static/engine/ {origin}/engine/"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
IMMUTABLE = "public, max-age=31536000, immutable"


def add_security(app: Flask) -> None:
    """Check where every unsafe request comes from, and set the headers of every response."""
    app.before_request(refuse_cross_site)
    app.after_request(set_headers)


def refuse_cross_site() -> None:
    """Raise a 403 Problem for an unsafe request that another site's page may have made."""
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        allowed = site in ("same-origin", "none")
    else:
        allowed = urlsplit(request.headers.get("Origin", "")).netloc == request.host
    if not allowed:
        raise Problem(403, _("Only VM Lab's own pages may do this. Open the lesson and try it there."))


def set_headers(response: Response) -> Response:
    """Set the security headers, and how long a response may be kept."""
    if request.path.startswith("/static/engine/"):
        policy = ENGINE_POLICY.format(origin=request.host_url.rstrip("/"))
        response.headers["Content-Security-Policy"] = policy
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path == "/static/service-worker.js":
        response.headers["Service-Worker-Allowed"] = "/"
    if request.endpoint == "static":
        response.headers["Cache-Control"] = IMMUTABLE if _never_changes(request.path) else "no-cache"
    else:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _never_changes(path: str) -> bool:
    """Return whether a URL names its content: by `?v=<hash>`, or by a file name that the bundler hashed."""
    return "v" in request.args or "/fonts/" in path


class Limiter:
    """Token buckets: each key may spend `burst` at once and `rate` per second."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        """Begin with full buckets; `clock` gives seconds."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._guard = threading.Lock()

    def spend(self, key: str, cost: float = 1.0) -> None:
        """Take `cost` from the bucket of `key`; raise a 429 Problem when there is not enough."""
        with self._guard:
            now = self._clock()
            tokens, then = self._buckets.get(key, (self._burst, now))
            tokens = min(self._burst, tokens + (now - then) * self._rate)
            enough = tokens >= cost
            self._buckets[key] = (tokens - cost if enough else tokens, now)
            self._forget_full(now)
        if not enough:
            wait = max(1, round((cost - tokens) / self._rate))
            raise Problem(429, _("That was too fast; wait %(n)s s and go on.", n=wait), retry_after=wait)

    def _forget_full(self, now: float) -> None:
        """Drop the buckets that have filled up again, when there are many."""
        if len(self._buckets) > 10_000:
            full = self._burst / self._rate
            self._buckets = {key: entry for key, entry in self._buckets.items() if now - entry[1] < full}
