"""What a page makes of the view `layer`."""

import zlib
from base64 import b64decode
from typing import Any


def unpacked(answer: dict[str, Any], before: bytes = b"") -> bytes:
    """Return the codes of an answer; `before` are those of the answer that it names as its base."""
    data = zlib.decompress(b64decode(answer["data"]))
    assert len(data) == answer["count"]
    if not answer["base"]:
        return data
    mixed = int.from_bytes(before, "little") ^ int.from_bytes(data, "little")
    return mixed.to_bytes(len(data), "little")
