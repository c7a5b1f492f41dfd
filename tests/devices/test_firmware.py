"""Firmware that nobody here wrote boots unmodified: OpenSBI and U-Boot from Debian's packages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from emulator.devices.virt import KERNEL_OFFSET, Board, BoardConfig
from emulator.devices.virtio.mmio import VirtioDevice
from emulator.machine.elf import load
from emulator.state import RAM_BASE
from tests.conftest import lack

OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic")
U_BOOT = Path("/usr/lib/u-boot/qemu-riscv64_smode")
SLICE = 1_000_000
BANNER_CYCLES, PROMPT_CYCLES = 20_000_000, 150_000_000

pytestmark = pytest.mark.slow


def firmware(path: Path, package: str) -> bytes:
    """Return a file of a Debian package; without it skip the test, or fail it where CI=true."""
    if not path.exists():
        lack(f"{path} is missing (Debian package {package})")
    return path.read_bytes()


class Boot:
    """A board under OpenSBI with what its console has shown."""

    def __init__(
        self, engine: Any, harts: int = 1, virtio: Sequence[VirtioDevice] = (), memory: int = 128 << 20
    ) -> None:
        """Load fw_dynamic as a raw image."""
        self.console = bytearray()
        self.board = Board(BoardConfig(harts, memory), engine, self.console.extend, virtio)
        self.board.load_bytes(firmware(OPENSBI / "fw_dynamic.bin", "opensbi"), RAM_BASE, "fw_dynamic.bin")

    def until(self, text: bytes, cycles: int) -> bool:
        """Run until the console shows `text`."""
        for _ in range(0, cycles, SLICE):
            if text in self.console or not self.board.run(SLICE):
                break
        return text in self.console

    def prompt(self) -> None:
        """Start U-Boot and stop it at its prompt."""
        next_stage = RAM_BASE + KERNEL_OFFSET
        self.board.load_bytes(firmware(U_BOOT / "u-boot.bin", "u-boot-qemu"), next_stage, "u-boot.bin")
        self.board.start(RAM_BASE, next_stage)
        assert self.until(b"Hit any key", PROMPT_CYCLES), self.console.decode()
        assert b"Unknown" not in self.command("")

    def command(self, text: str) -> bytes:
        """Type a command and return what the console shows up to the next prompt."""
        self.console.clear()
        self.board.uart.receive(text.encode() + b"\r")
        assert self.until(b"=> ", PROMPT_CYCLES), self.console.decode()
        return bytes(self.console)


@pytest.mark.parametrize(("harts", "memory"), [(1, 1 << 20), (4, 128 << 20)])
def test_opensbi_shows_its_banner(engine: Any, harts: int, memory: int) -> None:
    boot = Boot(engine, harts, memory=memory)
    boot.board.start(RAM_BASE, RAM_BASE + KERNEL_OFFSET)
    assert boot.until(b"Boot HART MEDELEG", BANNER_CYCLES), boot.console.decode()
    text = boot.console.decode()
    assert f"Platform HART Count       : {harts}" in text
    assert "Platform Name             : riscv-virtio,vmlab" in text
    assert "Boot HART PMP Count       : 16" in text
    assert "Platform Shutdown Device  : sifive_test" in text


def test_opensbi_runs_as_an_elf_file(engine: Any) -> None:
    console = bytearray()
    board = Board(BoardConfig(), engine, console.extend)
    image = load(firmware(OPENSBI / "fw_jump.elf", "opensbi"), "fw_jump.elf", relocatable=True)
    board.load(image)
    board.start(image.entry)
    board.run(BANNER_CYCLES)
    assert b"OpenSBI v" in console


def test_u_boot_reaches_its_prompt_and_obeys(engine: Any) -> None:
    boot = Boot(engine)
    boot.prompt()
    boot.command("setenv seven 7")
    assert b"six times 7" in boot.command("echo six times ${seven}")
    boot.board.uart.receive(b"poweroff\r")
    boot.until(b"never shown", PROMPT_CYCLES)
    assert boot.board.machine.stop_code == 0
