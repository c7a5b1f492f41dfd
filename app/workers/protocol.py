"""The messages between the web process and a worker, and how they cross a pipe.

A frame is `u32 header length, u32 blobs length, header, blobs` (little-endian). The header is JSON:

    {"kind": "apply", "lab": "...", "call": 7, "body": {...}, "blobs": [["state", 412], ...]}

Nothing is ever unpickled, so the worst a confused or subverted worker can send is a message that is
refused. Bytes travel behind the header as they are; observations are blobs of finished JSON that the web
process passes on without reading.

Requests, web to worker (`call` 0 asks for no reply):

| kind | body | blobs |
|---|---|---|
| open | the fields of a LabRecord | its ELF images |
| close | | |
| apply | `action` | |
| control | `verb` and its fields, see control.py | |
| observe, state, run, config | | |
| lend | | |
| hash, line | | |
| verify | `claim`: `digest hash mode`; unless the worker knows the digest, a LabRecord | its ELF images |
| inspect | `view` (registers, memory, ...), `args` | |
| examine | passed to the examiner given to the SessionHost | |
| subscribe, ready, unsubscribe | `stream` | |
| ping | | |

Replies and notices, worker to web:

| kind | body | blobs |
|---|---|---|
| reply | the result | |
| error | `fault` (`user`, `missing`, `rebuilding`, `lent`, `bug`), `message`, `where`, `diagnostics` | |
| publish | `stream` | one finished JSON text per event |
| progress | `stand` (Stand), `mode` (Mode): to be saved | |
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

HEADER = struct.Struct("<II")
MAX_HEADER_BYTES = 16 << 20
MAX_BLOBS_BYTES = 64 << 20

JsonObject = dict[str, Any]


class ProtocolError(Exception):
    """The other side sent something that is not a message; the connection cannot be used any more."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `call` pairs a request with its reply."""

    kind: str
    lab: str = ""
    call: int = 0
    body: JsonObject = field(default_factory=dict[str, Any])
    blobs: tuple[tuple[str, bytes], ...] = ()


def encode(message: Message) -> bytes:
    """Return the frame of `message`."""
    header = json.dumps(
        {
            "kind": message.kind,
            "lab": message.lab,
            "call": message.call,
            "body": message.body,
            "blobs": [(name, len(data)) for name, data in message.blobs],
        },
        separators=(",", ":"),
    ).encode()
    blobs = b"".join(data for _, data in message.blobs)
    return HEADER.pack(len(header), len(blobs)) + header + blobs


def read(stream: BinaryIO) -> Message | None:
    """Return the next message, None at the end of the stream; raise ProtocolError."""
    prefix = stream.read(HEADER.size)
    if len(prefix) < HEADER.size:
        return None
    header_length, blobs_length = HEADER.unpack(prefix)
    if header_length > MAX_HEADER_BYTES or blobs_length > MAX_BLOBS_BYTES:
        raise ProtocolError(f"a frame of {header_length} + {blobs_length} bytes is too long")
    payload = stream.read(header_length + blobs_length)
    if len(payload) < header_length + blobs_length:
        return None
    return _decode(payload[:header_length], payload[header_length:])


def write(stream: BinaryIO, message: Message) -> None:
    """Send `message` now; raise OSError when the other side is gone."""
    stream.write(encode(message))
    stream.flush()


def _decode(header: bytes, blobs: bytes) -> Message:
    try:
        table = cast("JsonObject", json.loads(header))
        message = Message(str(table["kind"]), str(table["lab"]), int(table["call"]), dict(table["body"]))
        sizes = [(str(name), int(size)) for name, size in table["blobs"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ProtocolError(f"a header that is not a message: {error}") from error
    if any(size < 0 for _, size in sizes) or sum(size for _, size in sizes) != len(blobs):
        raise ProtocolError("the blobs do not fill the frame")
    return Message(message.kind, message.lab, message.call, message.body, _split(blobs, sizes))


def _split(blobs: bytes, sizes: list[tuple[str, int]]) -> tuple[tuple[str, bytes], ...]:
    parts: list[tuple[str, bytes]] = []
    start = 0
    for name, size in sizes:
        parts.append((name, blobs[start : start + size]))
        start += size
    return tuple(parts)
