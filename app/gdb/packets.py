"""Packets of the gdb remote serial protocol: bytes from a connection become packets, packets become bytes.

Source: Debugging with GDB (13.1), appendix "GDB Remote Serial Protocol", sections "Overview" and "Packet
Acknowledgment". Left out: run-length encoding in what is sent, and notifications.
"""

from __future__ import annotations

from collections.abc import Iterator

PACKET_BYTES = 0x4000
INTERRUPT = b"\x03"
_ESCAPE, _FLIP = 0x7D, 0x20
_ESCAPED = frozenset(b"$#}*")


class Packets:
    """What has come in and is no whole packet yet; acknowledges until it is told not to."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._buffer = bytearray()
        self.acknowledges = True
        self.refused = 0

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Take bytes; yield "packet" with its payload, "interrupt", "resend", and "ack" with b"+" or b"-".

        Bytes that belong to no packet are dropped, and so is a packet longer than PACKET_BYTES.
        """
        self._buffer += data
        while self._buffer:
            first = bytes(self._buffer[:1])
            if first == b"$":
                end = self._buffer.find(b"#")
                if end < 0 or len(self._buffer) < end + 3:
                    if len(self._buffer) > PACKET_BYTES:
                        self.refused += 1
                        self._buffer.clear()
                    return
                yield from self._packet(bytes(self._buffer[1:end]), bytes(self._buffer[end + 1 : end + 3]))
                continue
            del self._buffer[0]
            if first == INTERRUPT:
                yield "interrupt", b""
            elif first == b"-" and self.acknowledges:
                yield "resend", b""

    def _packet(self, payload: bytes, checksum: bytes) -> Iterator[tuple[str, bytes]]:
        del self._buffer[: len(payload) + 4]
        good = checksum.lower() == f"{sum(payload) & 0xFF:02x}".encode()
        self.refused += not good
        if self.acknowledges:
            yield "ack", b"+" if good else b"-"
        if good:
            yield "packet", payload


def encode(payload: bytes) -> bytes:
    """Return the packet of a payload, whose binary parts are escaped already."""
    return b"$" + payload + f"#{sum(payload) & 0xFF:02x}".encode()


def escape(data: bytes) -> bytes:
    """Return binary data as it travels in a packet."""
    return b"".join(bytes((_ESCAPE, byte ^ _FLIP)) if byte in _ESCAPED else bytes((byte,)) for byte in data)


def unescape(data: bytes) -> bytes:
    """Return what `escape` was given."""
    out = bytearray()
    flip = 0
    for byte in data:
        if byte == _ESCAPE and not flip:
            flip = _FLIP
            continue
        out.append(byte ^ flip)
        flip = 0
    return bytes(out)
