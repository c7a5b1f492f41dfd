"""Captures as pcap files with nanoseconds, which Wireshark and tcpdump open.

IETF draft-ietf-opsawg-pcap-04: a file header, then a header of 16 bytes before each frame. Left out: pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from emulator.hypervisor.network.state import Captured

MAGIC_NANOSECONDS = 0xA1B2_3C4D
LINKTYPE_ETHERNET = 1
SNAP_BYTES = 262_144
NS_PER_SECOND = 1_000_000_000


def pcap(frames: Iterable[Captured]) -> bytes:
    """Return a capture file; its times are virtual, from 1970 on."""
    parts = [struct.pack("<IHHiIII", MAGIC_NANOSECONDS, 2, 4, 0, 0, SNAP_BYTES, LINKTYPE_ETHERNET)]
    for one in sorted(frames, key=lambda frame: frame.at_ns):
        seconds, rest = divmod(one.at_ns, NS_PER_SECOND)
        parts.append(struct.pack("<IIII", seconds & 0xFFFF_FFFF, rest, len(one.frame), len(one.frame)))
        parts.append(one.frame)
    return b"".join(parts)
