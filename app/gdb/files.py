"""The one file that a stub offers to gdb: the symbols of its VM's program, read as if it lay on the target.

Source: Debugging with GDB (13.1), appendix "GDB Remote Serial Protocol", sections "Host I/O Packets" and
"File-I/O Remote Protocol Extension" (struct stat). gdb asks for the name of what runs there
(`qXfer:exec-file:read`) and reads it in pieces. Nothing can be written, and no other name is there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from app.gdb.packets import escape

PIECE_BYTES = 4096  # every byte of a reply may need two
ENOENT, EBADF, EINVAL = 2, 9, 22
HANDLE = 1
REGULAR_READABLE = 0o100444
# st_dev, ino, mode, nlink, uid, gid, rdev; size, blksize, blocks; three times. Big-endian.
STAT = struct.Struct(">7I3Q3I")


class Files:
    """What `vFile` packets find: a file `name` whose content is asked for when it is opened."""

    def __init__(self, name: str, content: Callable[[], bytes]) -> None:
        """Offer one file."""
        self.name = name
        self._read = content
        self._content = b""

    def answer(self, rest: str) -> str | bytes:
        """Return the reply to a packet `vFile:` + rest; raise ValueError for one that is none."""
        verb, _, text = rest.partition(":")
        match verb:
            case "setfs" | "close":
                return "F0"
            case "open":
                wanted = bytes.fromhex(text.partition(",")[0]).decode("utf-8", "replace")
                return self._open(wanted)
            case "fstat":
                return self._reply(
                    STAT.pack(0, 1, REGULAR_READABLE, 1, 0, 0, 0, len(self._content), 512, 1, 0, 0, 0)
                )
            case "pread":
                handle, length, offset = (int(part, 16) for part in text.split(","))
                if handle != HANDLE:
                    return f"F-1,{EBADF:x}"
                if length < 0 or offset < 0:
                    return f"F-1,{EINVAL:x}"
                return self._reply(self._content[offset : offset + min(length, PIECE_BYTES)])
            case _:
                return ""

    def _open(self, name: str) -> str:
        self._content = self._read() if name.removeprefix("/") == self.name else b""
        return f"F{HANDLE:x}" if self._content else f"F-1,{ENOENT:x}"

    def _reply(self, data: bytes) -> bytes:
        return f"F{len(data):x};".encode() + escape(data)
