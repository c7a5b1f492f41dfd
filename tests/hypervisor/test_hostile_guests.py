"""Guests that are noise: whatever they do, they do it to themselves."""

import random
from collections.abc import Callable

import pytest

from emulator.hypervisor.vm import VmState
from emulator.machine.elf import Executable, Segment
from emulator.state import RAM_BASE
from tests.hypervisor.bench import Bench

BYTES = 64 << 10


def noise(seed: int) -> Executable:
    """Return a memory full of random bytes, half of them made to look like 32-bit instructions."""
    chance = random.Random(seed)
    words = bytearray(chance.randbytes(BYTES))
    if seed % 2:
        for at in range(0, BYTES, 4):
            words[at] |= 3
    return Executable(RAM_BASE, (Segment(RAM_BASE, bytes(words), BYTES, 7),))


@pytest.mark.parametrize("seed", range(24))
def test_random_bytes_as_code_harm_nobody(make_bench: Callable[..., Bench], seed: int) -> None:
    bench = make_bench(timeslice=5_000)
    quiet = bench.vm('la s0, secret\n 1: wfi\n j 1b\n .data\n secret: .ascii "keep"', "quiet")
    busy = bench.vm("1: addi s0, s0, 1\n j 1b", "busy")
    bench.run(20_000)
    digest, code = bench.host.digest_frames(quiet.frames), bench.host.digest_frames(busy.frames)
    on_fault = ("crash", "skip", "inject")[seed % 3]
    loud = bench.vm("nop", "loud", vcpus=2, executable=noise(seed), on_fault=on_fault)
    before = bench.hypervisor.position
    bench.run(1_000_000)
    assert bench.hypervisor.position >= before + 1_000_000
    assert bench.host.digest_frames(quiet.frames) == digest == quiet.start_digest
    assert bench.host.digest_frames(busy.frames) == code
    assert quiet.state is VmState.IDLE
    assert busy.state is VmState.RUNNING
    assert busy.vcpus[0].run_cycles > 300_000
    assert loud.state in (VmState.CRASHED, VmState.RUNNING, VmState.IDLE, VmState.SHUT_OFF)
