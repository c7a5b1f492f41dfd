"""A lab's stream of server-sent events (HTML Living Standard, "Server-sent events").

One thread of the server per stream; the worker sends nothing while nothing changes, so an open page costs
a comment now and then, which is also how a reader who has gone away is noticed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from flask import Blueprint, Response, request

from app.web.context import context, own_lab
from app.workers.subscription import Blobs, Subscription

blueprint = Blueprint("stream", __name__)

HEARTBEAT_SECONDS = 15.0
GZIP = 16 + zlib.MAX_WBITS
LEVEL = 6


@blueprint.get("/labs/<lab>/stream")
def stream(lab: str) -> Response:
    """Send the lab's observations as they happen."""
    row = own_lab(lab)
    parts = context()
    parts.streams.enter(row.student)
    try:
        subscription = parts.pool.subscribe(row.id)
    except BaseException:
        parts.streams.leave(row.student)
        raise
    response = Response(mimetype="text/event-stream")
    response.response = _events(subscription)
    if request.accept_encodings["gzip"]:
        response.response = squeezed(response.response)
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.call_on_close(lambda: parts.streams.leave(row.student))
    response.call_on_close(subscription.close)
    response.headers["Cache-Control"] = "no-store, no-transform"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _events(subscription: Subscription) -> Iterator[bytes]:
    yield b"retry: 1000\n\n"
    while not subscription.ended:
        yield _next(subscription)


def _next(subscription: Subscription) -> bytes:
    message = subscription.take(HEARTBEAT_SECONDS)
    return b": still here\n\n" if message is None else frame(message)


def frame(message: Blobs) -> bytes:
    """Return one observation as named events."""
    return b"".join(b"event: " + name.encode() + b"\ndata: " + data + b"\n\n" for name, data in message)


def squeezed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces as one gzip stream in which each can be read as soon as it has come."""
    squeezer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    for piece in pieces:
        yield squeezer.compress(piece) + squeezer.flush(zlib.Z_SYNC_FLUSH)
