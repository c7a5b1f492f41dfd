"""`vmlab run --bare`: a program or firmware on the bare machine, with its console here.

Options follow Spike's (riscv-isa-sim) where harnesses for test programs use them: `--isa=`, `-m`, `-p`,
`+signature=`, `+signature-granularity=`, `--misaligned`.

Exit status: what the program reports (HTIF `tohost`, test finisher), 124 when it used up --max-instructions,
3 when every hart waits for an interrupt that cannot come.
"""

import argparse
import os
import select
import sys
import termios
import tty
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.errors import VmLabError
from emulator.state import RAM_BASE

if TYPE_CHECKING:
    from emulator.devices.virt import Board, BoardConfig
    from emulator.devices.virtio.block import VirtioBlock
    from emulator.machine.engine import Engine

SLICE_CYCLES = 2_000_000
INPUT_BYTES = 1024
GRANULARITIES = (1, 2, 4, 8, 16)
OUT_OF_INSTRUCTIONS, NEVER_WAKES = 124, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a bare run."""
    group = parser.add_argument_group("bare machine")
    group.add_argument("--bare", action="store_true", help="run an ELF file on a bare machine, no lesson")
    group.add_argument("--bios", type=Path, metavar="FILE", help="firmware at 0x80000000, like OpenSBI's")
    group.add_argument("--kernel", type=Path, metavar="FILE", help="ELF file, or raw image for 0x80200000")
    group.add_argument("--initrd", type=Path, metavar="FILE", help="initial RAM disk")
    group.add_argument("--append", default="", metavar="TEXT", help="the kernel's command line")
    group.add_argument("--disk", type=Path, metavar="FILE", help="virtio disk; changes are saved at the end")
    group.add_argument("--harts", "-p", type=int, default=1, metavar="N", help="CPUs (default 1)")
    group.add_argument("--isa", metavar="STRING", help="extensions, like rv64imac_sstc (default: all)")
    group.add_argument("--memory", default="128 MiB", metavar="SIZE", help="RAM (default 128 MiB)")
    group.add_argument(
        "-m", dest="memory", type=_mebibytes, metavar="MIB", help="RAM in MiB, or as 0x80000000:BYTES"
    )
    group.add_argument("--max-instructions", type=int, metavar="N", help="stop after so many cycles")
    group.add_argument(
        "--signature",
        "+signature",
        type=Path,
        metavar="FILE",
        help="write what lies from begin_signature to end_signature",
    )
    group.add_argument(
        "--signature-granularity",
        "+signature-granularity",
        type=int,
        default=16,
        choices=GRANULARITIES,
        help="bytes per line (default 16)",
    )
    group.add_argument(
        "--misaligned", action="store_true", help="nothing: misaligned loads and stores always work"
    )


def _mebibytes(text: str) -> str:
    """Return a size for --memory from what `-m` of Spike and QEMU takes. Raises ArgumentTypeError."""
    base, colon, size = text.partition(":")
    try:
        if colon and int(base, 0) == RAM_BASE:
            return str(int(size, 0))
        if not colon:
            return f"{int(text)} MiB"
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not MiB, like 128, nor {RAM_BASE:#x}:BYTES")


def run_bare(args: argparse.Namespace, program: Path | None, engine: "Engine") -> int:
    """Run until the machine stops; return the exit status."""
    from emulator.devices.virt import Board
    from emulator.devices.virtio.block import VirtioBlock
    from emulator.devices.virtio.entropy import VirtioEntropy

    config = _config(args)
    disk = VirtioBlock(_content(args.disk)) if args.disk else None
    left: int | None = args.max_instructions
    while True:
        devices = [*([disk] if disk else []), VirtioEntropy(0)]
        board = Board(config, engine, _print, devices)
        symbols = _load(board, args, program)
        with _keyboard() as keyboard:
            status, used = _run(board, left, keyboard)
        if not board.reset_asked:
            break
        left = None if left is None else left - used
    if args.signature:
        _write_signature(board, symbols, args.signature, args.signature_granularity)
    if disk is not None:
        _save_disk(disk, args.disk)
    return status


def _config(args: argparse.Namespace) -> "BoardConfig":
    from emulator.devices.virt import BoardConfig
    from emulator.isa.extensions import DEFAULT_ISA, IsaError, parse_isa
    from emulator.lab.quantities import SIZE_UNITS, parse_quantity

    try:
        memory = parse_quantity(args.memory, SIZE_UNITS, "128 MiB")
    except ValueError as error:
        raise VmLabError(f"--memory: {error}") from error
    isa = DEFAULT_ISA
    if args.isa is not None:
        try:
            isa = parse_isa(args.isa)
        except IsaError as error:
            raise VmLabError(f"--isa: {error}") from error
    return BoardConfig(args.harts, memory, args.append, isa=isa)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VmLabError(f"{path}: {error.strerror}") from error


def _load(board: "Board", args: argparse.Namespace, program: Path | None) -> dict[str, int]:
    """Load everything that was named and start; return the program's symbols."""
    from emulator.devices.virt import KERNEL_OFFSET
    from emulator.machine.elf_symbols import symbols

    if (program is None) == (args.bios is None and args.kernel is None):
        raise VmLabError("--bare needs one program: an ELF file, or --bios and --kernel")
    if program is not None:
        entry = _place(board, program, RAM_BASE)
        found = symbols(_content(program))
        if "tohost" in found:
            board.enable_htif(found["tohost"], found.get("fromhost"))
        board.start(entry)
        return found
    next_entry = RAM_BASE + KERNEL_OFFSET
    if args.kernel:
        next_entry = _place(board, args.kernel, next_entry)
    entry = _place(board, args.bios, RAM_BASE) if args.bios else next_entry
    if args.initrd:
        board.load_initrd(_content(args.initrd), str(args.initrd))
    board.start(entry, next_entry)
    return {}


def _place(board: "Board", path: Path, address: int) -> int:
    """Load an ELF file where it wants to be, anything else at `address`; return the entry point."""
    from emulator.machine.elf import load

    data = _content(path)
    if data[:4] != b"\x7fELF":
        board.load_bytes(data, address, str(path))
        return address
    executable = load(data, str(path), relocatable=True)
    board.load(executable)
    return executable.entry


def _run(board: "Board", limit: int | None, keyboard: bool) -> tuple[int, int]:
    """Run until something ends it; return the exit status and the cycles used."""
    used = 0
    machine = board.machine
    while machine.stop_code is None:
        cycles = SLICE_CYCLES if limit is None else min(SLICE_CYCLES, limit - used)
        if cycles <= 0:
            print("vmlab: --max-instructions are used up", file=sys.stderr)
            return OUT_OF_INSTRUCTIONS, used
        awake = board.run(cycles)
        used += cycles
        if keyboard and machine.stop_code is None:
            board.receive(_typed(None if not awake else 0))
        elif not awake and machine.stop_code is None:
            print("vmlab: every hart waits for an interrupt that cannot come", file=sys.stderr)
            return NEVER_WAKES, used
    # A status has eight bits; a failure must not become 0.
    return machine.stop_code & 0xFF or int(machine.stop_code != 0), used


@contextmanager
def _keyboard() -> Generator[bool]:
    """Read single keys while this is entered, if standard input is a terminal; Ctrl-C still interrupts."""
    if not sys.stdin.isatty():
        yield False
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _typed(timeout: float | None) -> bytes:
    ready, _, _ = select.select([sys.stdin], [], [], timeout)
    return os.read(sys.stdin.fileno(), INPUT_BYTES) if ready else b""


def _print(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _write_signature(board: "Board", symbols: dict[str, int], path: Path, granularity: int) -> None:
    """Write the signature as Spike does: one number a line, in hexadecimal, the last filled with zeros."""
    missing = [name for name in ("begin_signature", "end_signature") if name not in symbols]
    if missing:
        raise VmLabError(f"--signature: the program has no symbol {' and no '.join(missing)}")
    start, end = symbols["begin_signature"], symbols["end_signature"]
    data = board.machine.host.read(start, max(end - start, 0))
    data += bytes(-len(data) % granularity)
    lines = [data[at : at + granularity][::-1].hex() for at in range(0, len(data), granularity)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def _save_disk(disk: "VirtioBlock", path: Path) -> None:
    if disk.state.changed:
        path.write_bytes(disk.contents())
