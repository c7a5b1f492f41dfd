"""`vmlab bench boot`: Linux from its first instruction to a shell's prompt, in a VM and on the bare machine.

As a VM's guest it is the only VM on a host with one pCPU, with a lab's clock rate and timeslice. On the bare
machine it starts under OpenSBI (where that is installed, in its Debian package's place). QEMU, where it is
installed, boots the same kernel and initramfs under OpenSBI, in turns with ours; all keep their best times.
Beside the VM, QEMU's count from the kernel's first line, as a VM has no firmware; beside the bare machine,
from its process's start. Wall time is what a student waits, CPU time what a busy machine disturbs least.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from emulator.bench import qemu, qemu_boot
from emulator.bench.figures import Figure, figure
from emulator.bench.qemu_boot import Seconds
from emulator.bench.stopwatch import BenchError
from emulator.bench.vm import CLOCK_HZ, HYPERVISOR_BYTES, TIMESLICE_CYCLES
from emulator.build.engine import Engine
from emulator.devices.virt import KERNEL_OFFSET, Board, BoardConfig
from emulator.hypervisor import lifecycle
from emulator.hypervisor.hypervisor import Hypervisor
from emulator.hypervisor.trace import Revision
from emulator.hypervisor.vm import Vm, VmSettings
from emulator.machine import linux
from emulator.machine.host import Host
from emulator.state import RAM_BASE

FIRMWARE = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin")
RAM_BYTES = 64 << 20
COMMAND_LINE = "console=hvc0"
PROMPT = "~ # "
LIMIT_CYCLES = 2_000_000_000
BARE_SLICE_CYCLES = 100_000


def measure(image: Path, repeat: int, engine: Engine, firmware: Path | None = None) -> Iterator[Figure]:
    """Yield `boot.linux.*` and, with a `firmware`, `boot.bare.*`; in each `instructions`, `wall_s`, `cpu_s`.

    Raises BenchError without a prompt.
    """
    peer = qemu.version()
    hosted: list[Seconds] = []
    bare: list[Seconds] = []
    theirs: list[qemu_boot.Boot] = []
    vm, board = None, None
    for _ in range(repeat):
        seconds, vm = _boot_vm(image, engine)
        hosted.append(seconds)
        if firmware:
            seconds, board = _boot_bare(image, engine, firmware)
            bare.append(seconds)
        if peer:
            theirs.append(qemu_boot.run(image, RAM_BYTES, COMMAND_LINE, PROMPT))
    assert vm is not None
    yield figure("boot.linux.instructions", sum(vcpu.retired for vcpu in vm.vcpus), "instructions")
    yield figure("boot.linux.exits", sum(vm.exits.values()), "exits")
    yield from _times("boot.linux", hosted, peer, [boot.from_first_line for boot in theirs])
    if board is not None:
        yield figure("boot.bare.instructions", board.machine.instructions, "instructions")
        yield from _times("boot.bare", bare, peer, [boot.from_start for boot in theirs])


def _times(
    name: str, ours: Sequence[Seconds], peer: str | None, theirs: Sequence[Seconds]
) -> Iterator[Figure]:
    """Yield the best wall and CPU time of ours beside the best of theirs."""
    for index, clock in enumerate(Seconds._fields):
        best = min(times[index] for times in theirs) if theirs else None
        yield figure(f"{name}.{clock}_s", min(times[index] for times in ours), "s", peer, best)


def _now() -> Seconds:
    return Seconds(time.perf_counter(), time.process_time())


def _boot_vm(image: Path, engine: Engine) -> tuple[Seconds, Vm]:
    """Boot once; return how long it took and the VM at its prompt."""
    host = Host(1, RAM_BYTES + HYPERVISOR_BYTES, CLOCK_HZ, engine)
    hypervisor = Hypervisor(host, TIMESLICE_CYCLES, Revision())
    executable = linux.load_bundle(image.read_bytes(), image.name)
    vm = hypervisor.define(VmSettings("linux", 1, RAM_BYTES, executable, append=COMMAND_LINE))
    started = _now()
    lifecycle.start(hypervisor, vm)
    hypervisor.exit_watch = lambda vcpu, reason: reason == "wfi" and PROMPT in vcpu.vm.console.text()
    hypervisor.run_to(LIMIT_CYCLES)
    taken = _now().since(started)
    if PROMPT not in vm.console.text():
        raise _no_prompt(image, vm.state.value, vm.console.text())
    return taken, vm


def _boot_bare(image: Path, engine: Engine, firmware: Path) -> tuple[Seconds, Board]:
    """Boot once under OpenSBI; return how long it took and the board at the prompt."""
    kernel, initrd = linux.unbundle(image.read_bytes(), image.name)
    console = bytearray()
    board = Board(BoardConfig(memory_bytes=RAM_BYTES, bootargs=COMMAND_LINE), engine, console.extend)
    started = _now()
    board.load_bytes(firmware.read_bytes(), RAM_BASE, firmware.name)
    board.load_bytes(kernel, RAM_BASE + KERNEL_OFFSET, image.name)
    board.load_initrd(initrd, image.name)
    board.start(RAM_BASE, RAM_BASE + KERNEL_OFFSET)
    for _ in range(0, LIMIT_CYCLES, BARE_SLICE_CYCLES):
        if PROMPT.encode() in console or not board.run(BARE_SLICE_CYCLES):
            break
    taken = _now().since(started)
    if PROMPT.encode() not in console:
        raise _no_prompt(image, "stopped", console.decode(errors="replace"))
    return taken, board


def _no_prompt(image: Path, state: str, console: str) -> BenchError:
    shown = console[-300:].strip() or "nothing"
    return BenchError(f"bench: {image.name} is {state} without a prompt; its console shows: {shown}")
