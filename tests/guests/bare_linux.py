"""Linux on the bare machine under OpenSBI, at its serial console."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulator.devices.virt import KERNEL_OFFSET, Board, BoardConfig
from emulator.devices.virtio.mmio import VirtioDevice
from emulator.machine.linux import unbundle
from emulator.state import RAM_BASE

PROMPT = b"~ # "
SLICE_CYCLES = 200_000
LIMIT_CYCLES = 400_000_000


class BareLinux:
    """A board whose Linux has booted to its shell."""

    def __init__(
        self,
        engine: Any,
        firmware: Path,
        image: bytes,
        virtio: Sequence[VirtioDevice] = (),
        harts: int = 1,
        memory_bytes: int = 64 << 20,
    ) -> None:
        """Boot; fail with what the console shows."""
        self.console = bytearray()
        config = BoardConfig(harts, memory_bytes, "console=ttyS0")
        self.board = Board(config, engine, self.console.extend, virtio)
        kernel, initrd = unbundle(image, "linux")
        self.board.load_bytes(firmware.read_bytes(), RAM_BASE, firmware.name)
        self.board.load_bytes(kernel, RAM_BASE + KERNEL_OFFSET, "Image")
        self.board.load_initrd(initrd, "initramfs")
        self.board.start(RAM_BASE, RAM_BASE + KERNEL_OFFSET)
        self._wait_for(PROMPT, 0)

    def type(self, line: str) -> str:
        """Type a line and return what the console shows up to the next prompt."""
        before = len(self.console)
        self.board.uart.receive(line.encode() + b"\r")
        self._wait_for(PROMPT, before)
        return self.console[before:].decode()

    def _wait_for(self, text: bytes, start: int) -> None:
        for _ in range(0, LIMIT_CYCLES, SLICE_CYCLES):
            if text in self.console[start:] or not self.board.run(SLICE_CYCLES):
                break
        assert text in self.console[start:], self.console[-800:].decode(errors="replace")
