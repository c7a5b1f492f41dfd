"""Hostile guests of the hypervisor: calls with any arguments, page tables that point anywhere, noise as code.

The kernels keep to their memory, the neighbour keeps its memory and its time.
"""

import random
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.hypervisor.sbi import BASE, EXTENSION_NAMES, HSM, LEGACY_SHUTDOWN, SRST
from emulator.hypervisor.vm import VmState
from emulator.machine.elf import Executable, Segment
from emulator.state import RAM_BASE
from tests.core.hostile import entry, word
from tests.hypervisor.bench import Bench, executable

BYTES = 64 << 10
END = RAM_BASE + BYTES
CALLS, CALL_BYTES = 48, 64
TABLE, TRAP = RAM_BASE + 0x8000, RAM_BASE + 0x4000
SEEDS = st.integers(0, (1 << 64) - 1)
fuzz = settings(
    max_examples=max(settings().max_examples // 2, 1),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
CALLER = f"""
    li s0, {TABLE}
    li s1, {TABLE + CALLS * CALL_BYTES}
next:
    ld a0, 0(s0)
    ld a1, 8(s0)
    ld a2, 16(s0)
    ld a3, 24(s0)
    ld a4, 32(s0)
    ld a6, 48(s0)
    ld a7, 56(s0)
    ecall
    addi s0, s0, {CALL_BYTES}
    bltu s0, s1, next
1:  j 1b
"""
# Turn on translation by tables at TABLE, then go on with what follows.
PAGER = f"""
    li t0, {TRAP}
    csrw stvec, t0
    li t0, {{mode}} << 60 | {TABLE} >> 12
    csrw satp, t0
    sfence.vma
"""


def number(chance: random.Random) -> int:
    """Return an argument: small, an address at an edge of the VM's memory, or anything."""
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randrange(9)
    if kind == 1:
        return chance.getrandbits(64)
    base = chance.choice((0, RAM_BASE, TABLE, END, END, 1 << 63, (1 << 64) - 1, 1 << 41, (1 << 56) - 1))
    return (base + chance.choice((0, 1, 3, -1, -2, -8, -63, -64, 64, -4096, 0xFFF))) & (1 << 64) - 1


def call(chance: random.Random) -> bytes:
    """Return a0 to a7 of one call."""
    extension = chance.choice((*EXTENSION_NAMES, number(chance)))
    if extension in (LEGACY_SHUTDOWN, SRST):
        extension = BASE  # turning the VM off is no test
    arguments = [number(chance) for _ in range(6)]
    function = chance.choice((*range(9), number(chance)))
    if chance.random() < 0.1:
        # The other vCPU starts anywhere in memory; or this one goes on there after a suspension.
        place = RAM_BASE + chance.randrange(BYTES) | chance.getrandbits(1)
        extension, function = HSM, chance.choice((0, 3))
        arguments[:2] = [1 if function == 0 else 0x8000_0000, chance.choice((place, place | 0xFFF))]
    return struct.pack("<8Q", *arguments, function, extension)


def with_neighbour(make_bench: Callable[..., Bench], guest: Executable, **more: Any) -> Bench:
    """Run a guest for a while beside one that waits, and look at that afterwards."""
    bench = make_bench(timeslice=10_000, memory=1 << 20)
    neighbour = bench.vm("1: addi s0, s0, 1\n j 1b", "neighbour")
    loud = bench.vm("nop", "loud", executable=guest, memory=BYTES, vcpus=2, **more)
    before = bench.host.digest_frames(neighbour.frames)
    bench.run(200_000)
    assert bench.host.digest_frames(neighbour.frames) == before
    assert neighbour.state is VmState.RUNNING
    assert neighbour.vcpus[0].run_cycles > 30_000
    assert loud.state in (VmState.CRASHED, VmState.RUNNING, VmState.IDLE, VmState.SHUT_OFF, VmState.PAUSED)
    return bench


def with_memory(source: str, address: int, content: bytes) -> Executable:
    """Assemble a guest and put more into its memory."""
    guest = executable(source)
    return replace(guest, segments=(*guest.segments, Segment(address, content, len(content), 7)))


@fuzz
@given(seed=SEEDS)
def test_calls_with_any_arguments(make_bench: Callable[..., Bench], seed: int) -> None:
    chance = random.Random(seed)
    table = b"".join(call(chance) for _ in range(CALLS))
    on_fault = chance.choice(("crash", "skip", "inject"))
    bench = with_neighbour(make_bench, with_memory(CALLER, TABLE, table), on_fault=on_fault)
    assert bench.hypervisor.vms["loud"].exits.get("sbi", 0) > 0


@fuzz
@given(seed=SEEDS)
def test_page_tables_that_point_anywhere(make_bench: Callable[..., Bench], seed: int) -> None:
    chance = random.Random(seed)
    tables: list[int] = []
    for _ in range(4):
        tables += ([entry(chance) for _ in range(chance.randrange(1, 6))] * 512)[:512]
    words = [word(chance) for _ in range(200)]
    content = struct.pack(f"<{len(tables)}Q", *tables)
    pager = PAGER.format(mode=chance.choice((8, 8, 9, 10)))
    lines = "\n".join(f".word {each:#x}" for each in words)
    trap = "\n".join(f".word {word(chance):#x}" for _ in range(16))
    source = f"{pager}{lines}\n1: j 1b\n.org 0x4000\n{trap}\n2: j 2b"
    guest = with_memory(source, TABLE, content)
    with_neighbour(make_bench, guest, on_fault=chance.choice(("crash", "skip", "inject")))
