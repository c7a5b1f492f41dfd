"""U-Boot's own virtio drivers use our devices: it reads and writes a disk and pings across a network."""

import struct
from typing import Any

import pytest

from emulator.devices.virtio.block import SECTOR_BYTES, VirtioBlock
from emulator.devices.virtio.entropy import VirtioEntropy
from emulator.devices.virtio.network import VirtioNetwork
from tests.devices.test_firmware import Boot

GUEST, PEER = b"\x52\x54\x00\x12\x34\x56", b"\x52\x54\x00\x00\x00\x01"
ARP, IPV4, ICMP = 0x0806, 0x0800, 1

pytestmark = pytest.mark.slow


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    total = sum(word for (word,) in struct.iter_unpack(">H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Peer:
    """A host that answers ARP requests and pings."""

    def __init__(self) -> None:
        self.card = VirtioNetwork(GUEST, self.answer)
        self.pings = 0

    def answer(self, frame: bytes) -> None:
        """Reply to a frame."""
        (kind,) = struct.unpack_from(">H", frame, 12)
        header = frame[6:12] + PEER + frame[12:14]
        if kind == ARP:
            addresses = PEER + frame[38:42] + frame[22:32]
            self.card.receive(header + frame[14:20] + b"\0\2" + addresses)
        elif kind == IPV4 and frame[23] == ICMP and frame[34] == 8:
            self.pings += 1
            rest = b"\0\0" + b"\0\0" + frame[38:]
            icmp = rest[:2] + struct.pack(">H", checksum(rest + bytes(len(rest) & 1))) + rest[4:]
            self.card.receive(header + frame[14:26] + frame[30:34] + frame[26:30] + icmp)


@pytest.fixture
def disk() -> VirtioBlock:
    """A disk whose sector n is full of n."""
    return VirtioBlock(b"".join(bytes([number]) * SECTOR_BYTES for number in range(64)))


def test_u_boot_reads_and_writes_the_disk(engine: Any, disk: VirtioBlock) -> None:
    boot = Boot(engine, virtio=[VirtioEntropy(0), disk])
    boot.prompt()
    assert b"Capacity: 0.0 MB = 0.0 GB (64 x 512)" in boot.command("virtio scan; virtio info")
    assert b"2 blocks read: OK" in boot.command("virtio read 0x84000000 5 2")
    shown = boot.command("md.b 0x840001f0 20")
    assert b"840001f0: 05 05" in shown
    assert b"84000200: 06 06" in shown
    boot.command("mw.b 0x84000000 5a 200; virtio write 0x84000000 7 1")
    assert disk.state.changed == {7: b"\x5a" * SECTOR_BYTES}


def test_u_boot_pings_its_neighbour(engine: Any) -> None:
    peer = Peer()
    boot = Boot(engine, virtio=[peer.card])
    boot.prompt()
    assert b"host 10.0.0.1 is alive" in boot.command("setenv ipaddr 10.0.0.2; ping 10.0.0.1")
    assert peer.pings == 1
