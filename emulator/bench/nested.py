"""`vmlab bench nested`: Linux on the bare machine as a KVM host, which starts a second Linux with a monitor.

OpenSBI and the host's kernel boot, a command is typed at the host's serial console, and the nested guest
boots to its shell's prompt. Counted are instructions of the emulated machine, the guest's included.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from emulator.bench.figures import Figure, figure
from emulator.bench.stopwatch import BenchError
from emulator.build.engine import Engine
from emulator.devices.virt import KERNEL_OFFSET, Board, BoardConfig
from emulator.machine.linux import unbundle
from emulator.state import RAM_BASE

COMMAND_LINE = "console=ttyS0"
PROMPT = b"~ # "
SLICE_CYCLES = 500_000
LIMIT_CYCLES = 1_000_000_000


def measure(image: bytes, command: str, memory: int, engine: Engine, firmware: Path) -> Iterator[Figure]:
    """Yield instructions and wall time to the host's prompt, and from `command` to the nested guest's.

    `image` is a FIT image, `memory` is in bytes. Raises BenchError without a prompt.
    """
    console = bytearray()
    board = Board(BoardConfig(memory_bytes=memory, bootargs=COMMAND_LINE), engine, console.extend)
    kernel, initrd = unbundle(image, "linux")
    board.load_bytes(firmware.read_bytes(), RAM_BASE, firmware.name)
    board.load_bytes(kernel, RAM_BASE + KERNEL_OFFSET, "Image")
    board.load_initrd(initrd, "initramfs")
    board.start(RAM_BASE, RAM_BASE + KERNEL_OFFSET)
    instructions = 0
    for name, typed in (("host", ""), ("guest", command + "\r")):
        begun, shown = time.perf_counter(), len(console)
        board.uart.receive(typed.encode())
        _run_to_prompt(board, console, shown)
        yield figure(f"nested.{name}.instructions", board.machine.instructions - instructions, "instructions")
        yield figure(f"nested.{name}.wall_s", time.perf_counter() - begun, "s")
        instructions = board.machine.instructions


def _run_to_prompt(board: Board, console: bytearray, start: int) -> None:
    for _ in range(0, LIMIT_CYCLES, SLICE_CYCLES):
        if PROMPT in console[start:] or not board.run(SLICE_CYCLES):
            break
    if PROMPT not in console[start:]:
        shown = console[-300:].decode(errors="replace").strip() or "nothing"
        raise BenchError(f"bench: no prompt; the console shows: {shown}")
