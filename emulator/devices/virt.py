"""The bare machine as a board: the memory map of QEMU's `virt`, its devices, boot ROM and device tree.

Left out: PCIe, flash, fw_cfg.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emulator.devices.aclint import Aclint
from emulator.devices.board_tree import board_tree
from emulator.devices.finisher import Finisher
from emulator.devices.htif import Htif
from emulator.devices.plic import Plic
from emulator.devices.rom import ROM_PAGES, Rom, boot_code, dynamic_info
from emulator.devices.rtc import EPOCH_NS, Rtc
from emulator.devices.uart import Uart
from emulator.devices.virtio.mmio import VirtioDevice, VirtioMmio
from emulator.errors import VmLabError
from emulator.isa.extensions import DEFAULT_ISA, Isa
from emulator.machine.bare import BareMachine
from emulator.machine.elf import Executable
from emulator.machine.engine import Engine
from emulator.machine.fdt import flatten
from emulator.state import PAGE_BYTES, RAM_BASE, ROM_BASE

FINISHER, RTC, CLINT, PLIC = 0x10_0000, 0x10_1000, 0x200_0000, 0xC00_0000
UART, VIRTIO, VIRTIO_STRIDE, VIRTIO_SLOTS = 0x1000_0000, 0x1000_1000, 0x1000, 8
RTC_IRQ, UART_IRQ, VIRTIO_IRQ = 11, 10, 1
KERNEL_OFFSET = 0x20_0000
TREE_ALIGNMENT = 0x20_0000
TREE_SLACK = 0x4000  # firmware adds nodes to the tree where it lies
MAX_HARTS = 8


class BoardError(VmLabError):
    """A program, or a size, does not fit the board; the message says what does."""


@dataclass(frozen=True, slots=True)
class BoardConfig:
    """What the board is made of. `epoch_ns` is the real-time clock's start, `seed` feeds `rng-seed`."""

    harts: int = 1
    memory_bytes: int = 128 << 20
    bootargs: str = ""
    epoch_ns: int = EPOCH_NS
    seed: int = 0
    isa: Isa = DEFAULT_ISA


class Board:
    """A machine with its devices; `console` takes what the UART and HTIF send."""

    def __init__(
        self,
        config: BoardConfig,
        engine: Engine,
        console: Callable[[bytes], None],
        virtio: Sequence[VirtioDevice] = (),
    ) -> None:
        """Power on.

        `virtio` are the devices of the virtio slots, in their order. Raises BoardError."""
        if not 1 <= config.harts <= MAX_HARTS:
            raise BoardError(f"harts is {config.harts}; must be from 1 to {MAX_HARTS}")
        if len(virtio) > VIRTIO_SLOTS:
            raise BoardError(f"{len(virtio)} virtio devices; the board has {VIRTIO_SLOTS} slots")
        if config.memory_bytes % 4096 or not 1 << 20 <= config.memory_bytes <= 2 << 30:
            raise BoardError(
                f"memory is {config.memory_bytes} bytes; must be a multiple of 4 KiB from 1 MiB to 2 GiB"
            )
        self.config = config
        self.machine = BareMachine(config.harts, config.memory_bytes, engine, config.isa, ROM_PAGES)
        self.reset_asked = False
        self._console = console
        self._loaded = RAM_BASE  # the end of what is in RAM
        self._initrd: tuple[int, int] | None = None
        self._htif: Htif | None = None
        self._attach(virtio)

    def _attach(self, virtio: Sequence[VirtioDevice]) -> None:
        machine, bus = self.machine, self.machine.bus
        bus.attach(ROM_BASE, Rom(machine.host))
        self.plic = Plic(self.config.harts, machine.set_line)
        self.uart = Uart(self._console, self.plic.source(UART_IRQ))
        rtc = Rtc(self.config.epoch_ns, lambda: machine.now_ns, self.plic.source(RTC_IRQ))
        machine.timed.append(rtc)
        bus.attach(FINISHER, Finisher(machine.stop, self._reset))
        bus.attach(RTC, rtc)
        bus.attach(CLINT, Aclint(machine.mtimecmp, machine.mtime, machine.set_line))
        bus.attach(PLIC, self.plic)
        bus.attach(UART, self.uart)
        self.virtio = [
            VirtioMmio(device, machine.host, self.plic.source(VIRTIO_IRQ + slot))
            for slot, device in enumerate(virtio)
        ]
        for slot, transport in enumerate(self.virtio):
            bus.attach(VIRTIO + slot * VIRTIO_STRIDE, transport)

    def _reset(self) -> None:
        self.reset_asked = True
        self.machine.stop(0)

    def load(self, executable: Executable) -> None:
        """Copy a program into RAM. Raises BoardError."""
        end = RAM_BASE + self.config.memory_bytes
        for segment in executable.segments:
            if segment.address < RAM_BASE or segment.address + segment.size > end:
                raise BoardError(
                    f"{executable.name}: wants {segment.address:#x} to"
                    f" {segment.address + segment.size - 1:#x}; RAM is {RAM_BASE:#x} to {end - 1:#x}"
                )
            self.machine.host.write(segment.address, segment.data)
            self._loaded = max(self._loaded, segment.address + segment.size)

    def load_bytes(self, data: bytes, address: int, name: str) -> None:
        """Copy raw bytes into RAM. Raises BoardError."""
        end = RAM_BASE + self.config.memory_bytes
        if address < RAM_BASE or address + len(data) > end:
            raise BoardError(
                f"{name}: {len(data)} bytes do not fit at {address:#x}; RAM ends at {end - 1:#x}"
            )
        self.machine.host.write(address, data)
        self._loaded = max(self._loaded, address + len(data))

    def load_initrd(self, data: bytes, name: str) -> None:
        """Put an initial RAM disk where QEMU puts it: at half of RAM, 128 MiB at most. Raises BoardError."""
        start = RAM_BASE + min(self.config.memory_bytes // 2, 128 << 20)
        self.load_bytes(data, start, name)
        self._initrd = start, start + len(data)

    def enable_htif(self, tohost: int, fromhost: int | None) -> None:
        """Serve a program's `tohost`. Raises BoardError if it is not in RAM."""
        end = RAM_BASE + self.config.memory_bytes
        for name, address in (("tohost", tohost), ("fromhost", fromhost or tohost)):
            if not RAM_BASE <= address <= end - 8:
                raise BoardError(f"{name} is at {address:#x}; RAM is {RAM_BASE:#x} to {end - 1:#x}")
        self._htif = Htif(self.machine.host, tohost, fromhost, self._console, self.machine.stop)
        self.machine.after_quantum.append(self._htif.poll)

    def receive(self, data: bytes) -> None:
        """Take what was typed: for the program that asks HTIF for it, else at the serial port."""
        if self._htif is not None and self._htif.asks:
            self._htif.receive(data)
        else:
            self.uart.receive(data)

    def start(self, entry: int, next_entry: int = 0) -> None:
        """Write device tree and boot ROM, which sends every hart to `entry`. Raises BoardError."""
        tree = flatten(board_tree(self.config, self._initrd, len(self.virtio)))
        end = RAM_BASE + self.config.memory_bytes
        room = len(tree) + TREE_SLACK
        address = (end - room) & -TREE_ALIGNMENT
        if address < max(RAM_BASE + KERNEL_OFFSET, self._loaded):
            address = (end - room) & -PAGE_BYTES
        if address < self._loaded:
            needed = self._loaded + room + PAGE_BYTES - RAM_BASE
            raise BoardError(
                f"memory is {self.config.memory_bytes >> 10} KiB, and with the device tree {needed >> 10} KiB"
                " are needed; give the board more memory"
            )
        self.machine.host.write(address, tree)
        self.machine.host.write_rom(boot_code(entry, address) + dynamic_info(next_entry))

    def run(self, cycles: int) -> bool:
        """Run for `cycles`, rounded up to whole quanta; False if only input can wake the machine."""
        return self.machine.run(cycles)
