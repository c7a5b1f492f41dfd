"""The boot ROM at 0x1000: the reset vector's instructions and the record that OpenSBI's fw_dynamic reads.

Source: QEMU's `virt` reset vector; OpenSBI, "fw_dynamic" (struct fw_dynamic_info, version 2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from emulator.isa.assembler import assemble
from emulator.machine.bus import BusFault
from emulator.machine.host import Host
from emulator.state import PAGE_BYTES

ROM_PAGES = 15
FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, NEXT_MODE_S = 0x4942534F, 2, 1

RESET_VECTOR = """
    auipc t0, 0
    addi a2, t0, 40
    csrr a0, mhartid
    ld a1, 32(t0)
    ld t0, 24(t0)
    jr t0
    .dword {entry}
    .dword {device_tree}
"""


@dataclass
class RomState:
    """The ROM's content is written once, at power-on."""


class Rom:
    """What loads and stores find at the ROM; instructions are fetched from the host's frames themselves."""

    size = ROM_PAGES * PAGE_BYTES

    def __init__(self, host: Host) -> None:
        self.state = RomState()
        self._host = host

    def read(self, offset: int, size: int) -> int:
        """Read bytes."""
        return int.from_bytes(self._host.read_rom(offset, size), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Refuse."""
        raise BusFault


def boot_code(entry: int, device_tree: int) -> bytes:
    """Return the reset vector: it loads a0 to a2 and jumps to `entry`."""
    program = assemble(RESET_VECTOR.format(entry=entry, device_tree=device_tree))
    return b"".join(segment.data for segment in program.segments)


def dynamic_info(next_entry: int) -> bytes:
    """Return what fw_dynamic wants to know: the next stage runs at `next_entry` in S-mode, boot hart 0."""
    return struct.pack("<6Q", FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, next_entry, NEXT_MODE_S, 0, 0)
