"""Each virtio device does what its driver asks."""

import struct

from emulator.devices.virtio.balloon import VirtioBalloon
from emulator.devices.virtio.block import VirtioBlock
from emulator.devices.virtio.console import VirtioConsole
from emulator.devices.virtio.entropy import VirtioEntropy
from emulator.devices.virtio.network import Link, VirtioNetwork
from emulator.machine.host import Host
from tests.devices.virtio.driver import FEATURES_OK, Driver

F_RO = 1 << 5


def test_the_transport_identifies_itself(host: Host) -> None:
    driver = Driver(host, VirtioEntropy(1))
    assert [driver.read(offset) for offset in (0, 4, 8, 0x34)] == [0x74726976, 2, 4, 128]
    driver.write(0x30, 7)
    assert driver.read(0x34) == 0


def test_features_that_were_not_offered_are_refused(host: Host) -> None:
    driver = Driver(host, VirtioEntropy(1))
    driver.start(1 << 40)
    assert not driver.read(0x70) & FEATURES_OK


def test_version_1_is_required(host: Host) -> None:
    driver = Driver(host, VirtioEntropy(1))
    driver.write(0x70, 0)
    driver.write(0x70, 3 | FEATURES_OK)
    assert not driver.read(0x70) & FEATURES_OK


def test_console_sends_and_receives(host: Host) -> None:
    sent = bytearray()
    console = VirtioConsole(sent.extend)
    driver = Driver(host, console)
    driver.request(1, b"hello", 0)
    assert sent == b"hello"
    target = driver.request(0, b"", 4, first=2)
    assert driver.used(0) == []
    console.receive(b"typed")
    assert driver.used(0) == [(2, 4)]
    assert host.read(target, 4) == b"type"
    assert driver.level
    driver.write(0x64, driver.read(0x60))
    assert not driver.level


def test_the_driver_can_do_without_interrupts(host: Host) -> None:
    driver = Driver(host, VirtioConsole(bytearray().extend))
    host.write(driver.rings(1)[1], b"\1\0")
    driver.request(1, b"quiet", 0)
    assert (driver.used(1), driver.level) == ([(0, 0)], False)


def block_request(driver: Driver, kind: int, sector: int, data: bytes, room: int) -> tuple[int, bytes]:
    """Make a request; return status and what was read."""
    target = driver.request(0, struct.pack("<IIQ", kind, 0, sector) + data, room + 1)
    answer = driver.host.read(target, room + 1)
    return answer[-1], answer[:-1]


def test_block_reads_writes_and_identifies(host: Host) -> None:
    base = bytes(range(256)) * 8
    disk = VirtioBlock(base, serial="disk-1")
    driver = Driver(host, disk)
    assert driver.read(0x100) == 4
    assert block_request(driver, 0, 1, b"", 1024) == (0, base[512:1536])
    assert block_request(driver, 1, 3, b"x" * 512, 0)[0] == 0
    assert block_request(driver, 0, 3, b"", 512) == (0, b"x" * 512)
    assert block_request(driver, 8, 0, b"", 20) == (0, b"disk-1".ljust(20, b"\0"))
    assert disk.contents() == base[:1536] + b"x" * 512


def test_block_refuses_what_is_not_there(host: Host) -> None:
    driver = Driver(host, VirtioBlock(bytes(1024)))
    assert block_request(driver, 0, 2, b"", 512)[0] == 1
    assert block_request(driver, 0, (1 << 64) - 1, b"", 512)[0] == 1
    assert block_request(driver, 1, 1, b"x" * 1024, 0)[0] == 1
    assert block_request(driver, 0, 0, b"", 100)[0] == 1
    assert block_request(driver, 99, 0, b"", 0)[0] == 2
    assert not driver.needs_reset


def test_a_read_only_disk_stays_as_it_is(host: Host) -> None:
    driver = Driver(host, VirtioBlock(bytes(512), read_only=True), F_RO)
    assert block_request(driver, 1, 0, b"x" * 512, 0)[0] == 1


def test_frames_cross_the_link(host: Host) -> None:
    link = Link()
    sender = Driver(host, link.card(b"\2\0\0\0\0\1"))
    heard: list[bytes] = []
    other = link.card(b"\2\0\0\0\0\2")
    other.kick = lambda queue: heard.append(other.state.waiting[-1])
    frame = b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0payload"
    sender.request(1, bytes(12) + frame, 0)
    assert heard == [frame]
    assert sender.read(0x100) == 2


def test_a_frame_is_delivered_with_its_header(host: Host) -> None:
    card = VirtioNetwork(b"\2\0\0\0\0\1", lambda frame: None)
    driver = Driver(host, card)
    target = driver.request(0, b"", 1526)
    card.receive(b"f" * 60)
    assert driver.used(0) == [(0, 72)]
    assert host.read(target, 72) == bytes(10) + b"\1\0" + b"f" * 60


def test_frames_without_room_are_lost_and_counted(host: Host) -> None:
    card = VirtioNetwork(b"\2\0\0\0\0\1", lambda frame: None)
    driver = Driver(host, card)
    driver.request(0, b"", 20)
    card.receive(b"f" * 60)
    card.receive(b"short")
    assert (card.state.lost, card.state.received) == (2, 0)


def test_entropy_repeats_with_its_seed(host: Host) -> None:
    def drawn(seed: int) -> bytes:
        driver = Driver(host, VirtioEntropy(seed))
        return host.read(driver.request(0, b"", 100), 100)

    assert drawn(1) == drawn(1) != drawn(2)


def test_the_balloon_asks_and_takes(host: Host) -> None:
    released: list[int] = []
    balloon = VirtioBalloon(range(100, 200), released.extend)
    driver = Driver(host, balloon)
    balloon.ask(2)
    assert driver.read(0x100) == 2
    assert driver.level
    driver.request(0, struct.pack("<4I", 100, 199, 200, 0xFFFF_FFFF), 0)
    assert released == [100, 199]
    driver.request(1, struct.pack("<I", 100), 0, first=2)
    assert balloon.state.pages == {199}
