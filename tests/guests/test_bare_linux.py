"""Linux, built from Debian's source, boots on the bare machine under OpenSBI and uses its devices."""

from pathlib import Path
from typing import Any

import pytest

from emulator.devices.virtio.block import VirtioBlock
from emulator.devices.virtio.entropy import VirtioEntropy
from tests.guests.bare_linux import BareLinux

DISK_BYTES = 4 << 20

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def disk() -> VirtioBlock:
    return VirtioBlock(bytes(DISK_BYTES))


@pytest.fixture(scope="module")
def machine(engine: Any, opensbi: Path, linux_image: bytes, disk: VirtioBlock) -> BareLinux:
    return BareLinux(engine, opensbi, linux_image, [disk, VirtioEntropy(0)])


def test_the_shell_answers(machine: BareLinux) -> None:
    assert "answer=42\r\n" in machine.type("echo answer=$((6*7))")
    assert "0.125\r\n" in machine.type("awk 'BEGIN { print 1 / 8 }'")


def test_it_knows_its_firmware_and_its_devices(machine: BareLinux) -> None:
    log = machine.type("dmesg")
    assert "SBI implementation ID=0x1" in log  # OpenSBI
    assert "virtio_blk virtio0" in log
    assert "virtio_rng" in machine.type("cat /sys/class/misc/hw_random/rng_current")


def test_a_file_written_to_the_disk_is_there_after_a_reboot(
    machine: BareLinux, disk: VirtioBlock, engine: Any, opensbi: Path, linux_image: bytes
) -> None:
    machine.type("mke2fs /dev/vda && mount -t ext2 /dev/vda /mnt && seq 10000 > /mnt/numbers; umount /mnt")
    expected = machine.type("seq 10000 | sha256sum").split()[-4]
    later = BareLinux(engine, opensbi, linux_image, [VirtioBlock(disk.contents())])
    assert expected in later.type("mount -t ext2 /dev/vda /mnt && sha256sum /mnt/numbers")


def test_poweroff_ends_the_run_with_status_0(engine: Any, opensbi: Path, linux_image: bytes) -> None:
    machine = BareLinux(engine, opensbi, linux_image)
    machine.board.uart.receive(b"poweroff -f\r")
    machine.board.run(200_000_000)
    assert machine.board.machine.stop_code == 0


def test_every_hart_runs_programs(engine: Any, opensbi: Path, linux_image: bytes) -> None:
    machine = BareLinux(engine, opensbi, linux_image, harts=4)
    assert "\n4\r\n" in machine.type("nproc")
    for cpu in range(4):
        before = machine.board.machine.host.harts[cpu].minstret
        assert "\n1000\r\n" in machine.type(f"taskset {1 << cpu:x} seq 1000")
        assert machine.board.machine.host.harts[cpu].minstret - before > 1_000_000
