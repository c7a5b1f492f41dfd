"""What it costs to keep, put back and clone a running VM, of `vmlab bench hypervisor`.

The VM has written all of its memory and runs on: `snapshot` keeps it, `linked_clone` makes another VM of it,
`restore` takes it back after it has written a sixteenth of its memory again. Each is the median of several:
wall time, and CPU time. `snapshot_*.kept` is the memory that a snapshot then holds beside the VM, and
`linked_clone_*.kept` what a clone has added when it and its source have written so much again.

Where QEMU is installed it does savevm and loadvm of a machine of the same size, whose memory is full as well,
to an image file in a temporary directory.
"""

import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TypeVar

from emulator.bench import qemu
from emulator.bench.figures import Figure, figure
from emulator.bench.stopwatch import BenchError
from emulator.bench.vm import CLOCK_HZ, TIMESLICE_CYCLES
from emulator.build.engine import Engine
from emulator.hypervisor import image, lifecycle
from emulator.hypervisor.hypervisor import Hypervisor
from emulator.hypervisor.trace import Revision
from emulator.hypervisor.vm import Vm, VmSettings
from emulator.isa.assembler import assemble
from emulator.machine.elf import Executable, Segment
from emulator.machine.host import Host

T = TypeVar("T")
SIZES = {"s": (16,), "m": (16, 64, 256)}
MEBIBYTE = 1 << 20
LEAST = 5  # operations of each kind
SPARE_BYTES = 4 * MEBIBYTE
PEER = "QEMU savevm, loadvm"
# Writes every page but the first 16 once, then a sixteenth of them again and again.
WRITER = """
        li s0, 0x80010000
        li s1, 0x80000000 + {size}
        mv t0, s0
1:      sd t0, (t0)
        addi t0, t0, 1024
        bltu t0, s1, 1b
        li t3, {size} / 16
        add t3, t3, s0
2:      mv t0, s0
3:      sd t1, (t0)
        addi t1, t1, 1
        li t2, 4096
        add t0, t0, t2
        bltu t0, t3, 3b
        j 2b
"""


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one operation."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Times:
    """What each operation costs; bytes that a snapshot holds, and those that a clone added."""

    snapshot: Cost
    linked_clone: Cost
    restore: Cost
    snapshot_kept: int
    clone_kept: int


def measure_size(engine: Engine, mebibytes: int, repeat: int) -> Times:
    """Return what it costs to keep a VM of this size."""
    hypervisor, vm = _written_vm(engine, mebibytes * MEBIBYTE)
    rewriting = mebibytes * MEBIBYTE // 16 // 4096 * 8
    snapshots: list[Cost] = []
    clones: list[Cost] = []
    restores: list[Cost] = []
    snapshot_kept = clone_kept = 0
    for _ in range(repeat):
        before = hypervisor.host.store_bytes
        clones.append(_timed(lambda: _clone(hypervisor, vm, "clone"))[1])
        hypervisor.run_to(hypervisor.position + 2 * rewriting)
        clone_kept = hypervisor.host.store_bytes - before
        _drop(hypervisor, hypervisor.vms["clone"])
        taken, spent = _timed(lambda: image.take(hypervisor, vm))
        snapshots.append(spent)
        hypervisor.run_to(hypervisor.position + rewriting)
        snapshot_kept = image.sizes(taken)[0]
        restores.append(_timed(lambda taken=taken: image.put_back(hypervisor, vm, taken, "went back"))[1])
    return Times(_median(snapshots), _median(clones), _median(restores), snapshot_kept, clone_kept)


def _median(costs: list[Cost]) -> Cost:
    return Cost(median(one.wall for one in costs), median(one.cpu for one in costs))


def _written_vm(engine: Engine, size: int) -> tuple[Hypervisor, Vm]:
    """Return a running VM that has written all of its memory."""
    host = Host(1, 2 * size + SPARE_BYTES, CLOCK_HZ, engine)
    hypervisor = Hypervisor(host, TIMESLICE_CYCLES, Revision())
    program = assemble(WRITER.format(size=size))
    segments = tuple(Segment(one.address, one.data, len(one.data), 7) for one in program.segments)
    vm = hypervisor.define(VmSettings("vm", 1, size, Executable(program.entry, segments)))
    lifecycle.start(hypervisor, vm)
    hypervisor.run_to(size // 1024 * 8)
    if host.store_used_bytes < size * 15 // 16:
        raise BenchError("bench: the guest has not written its memory")
    return hypervisor, vm


def _clone(hypervisor: Hypervisor, vm: Vm, name: str) -> None:
    taken = image.take(hypervisor, vm)
    clone = hypervisor.define(replace(vm.settings, name=name))
    image.put_back(hypervisor, clone, replace(taken, settings=clone.settings), "was cloned")


def _drop(hypervisor: Hypervisor, vm: Vm) -> None:
    lifecycle.destroy(hypervisor, vm)
    lifecycle.undefine(hypervisor, vm)


def _timed(act: Callable[[], T]) -> tuple[T, Cost]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = act()
    return result, Cost((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000)


def figures_of(engine: Engine, size: str, repeat: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """Yield `hypervisor.<what>_<n>MiB.ms`, `.cpu_ms` and, but for restore, `.kept`."""
    peer = qemu.version()
    for mebibytes in SIZES[size]:
        say(f"hypervisor: a VM of {mebibytes} MiB")
        times = measure_size(engine, mebibytes, max(repeat, LEAST))
        saved, loaded = savevm_loadvm(mebibytes) if peer else (None, None)
        peers = {"snapshot": saved, "linked_clone": None, "restore": loaded}
        for what, theirs in peers.items():
            cost: Cost = getattr(times, what)
            name = f"hypervisor.{what}_{mebibytes}MiB"
            yield figure(f"{name}.ms", cost.wall, "ms", peer, theirs)
            yield figure(f"{name}.cpu_ms", cost.cpu, "ms")
        yield figure(f"hypervisor.snapshot_{mebibytes}MiB.kept", times.snapshot_kept / MEBIBYTE, "MiB")
        yield figure(f"hypervisor.linked_clone_{mebibytes}MiB.kept", times.clone_kept / MEBIBYTE, "MiB")


def savevm_loadvm(mebibytes: int) -> tuple[float, float]:
    """Return the milliseconds that QEMU takes to save and to load a machine whose memory is full."""
    with tempfile.TemporaryDirectory() as directory:
        filling, disk = Path(directory, "filling"), Path(directory, "disk.qcow2")
        filling.write_bytes(os.urandom((mebibytes - 8) * MEBIBYTE))
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "1G"], check=True, timeout=60)
        arguments = f"-machine virt -smp 1 -m {mebibytes}M -display none -serial none -monitor stdio"
        load = f"loader,file={filling},addr={0x8040_0000:#x},force-raw=on"
        drive = f"file={disk},if=none,id=d,format=qcow2"
        with subprocess.Popen(
            [
                qemu.NAME,
                *arguments.split(),
                "-device",
                load,
                "-drive",
                drive,
                "-device",
                "virtio-blk-device,drive=d",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                _answered(process, "info status")
                return _answered(process, "savevm a"), _answered(process, "loadvm a")
            finally:
                process.kill()


def _answered(process: subprocess.Popen[bytes], command: str, timeout_s: float = 120) -> float:
    """Give the monitor a command; return the milliseconds until it asks for the next one."""
    assert process.stdin is not None
    assert process.stdout is not None
    started = time.perf_counter()
    process.stdin.write(f"{command}\nprint 41+1\n".encode())
    process.stdin.flush()
    seen = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while b"\n0x2a" not in seen.replace(b"\r", b""):
            if not selector.select(timeout_s):
                raise BenchError(f"bench: QEMU did not answer {command!r}")
            data = os.read(process.stdout.fileno(), 4096)
            if not data or b"Error" in seen:
                raise BenchError(f"bench: QEMU refused {command!r}: {seen[-200:]!r}")
            seen += data
    return (time.perf_counter() - started) * 1000
