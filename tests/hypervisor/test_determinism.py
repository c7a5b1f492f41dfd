"""The same start gives the same history, however the run is cut into pieces and in whatever process."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hypervisor.bench import Bench

BUSY = """
    la s0, data
1:  ld t0, (s0)
    addi t0, t0, 3
    mul t1, t0, t0
    sd t1, 8(s0)
    lr.d t3, (s0)
    sc.d t4, t0, (s0)
    add t5, t5, t4
    li t2, 1023
    and t2, t0, t2
    bnez t2, 1b
    li a0, '.'
    putchar
    j 1b
    .data
    .balign 8
data: .dword 1, 2
"""
SLEEPY = """
    li t0, 1 << 5
    csrs sie, t0
1:  rdtime a0
    addi a0, a0, 700
    sbi TIME, 0
    wfi
    li a0, 'z'
    putchar
    j 1b
"""
CHATTY = """
    bnez a0, second
    li a0, 1
    la a1, second
    sbi HSM, 0
    li s1, 1
    j 1f
second:
    li s1, 0
1:  csrwi sie, 2
2:  li t0, 400
3:  addi t0, t0, -1
    bnez t0, 3b
    li t0, 1
    sll a0, t0, s1
    li a1, 0
    sbi IPI, 0
    wfi
    csrci sip, 2
    rdtime t1
    add s2, s2, t1
    j 2b
"""
PROBING = "li a0, 0x90000000\n 1: ld a1, (a0)\n addi a0, a0, 8\n rdtime s1\n j 1b"


def fill(bench: Bench) -> None:
    """Start one VM of each temper: more vCPUs than pCPUs."""
    bench.vm(BUSY, "busy")
    bench.vm(SLEEPY, "sleepy")
    bench.vm(CHATTY, "chatty", vcpus=2)
    bench.vm(PROBING, "probing", on_fault="skip")


def history(bench: Bench) -> list[Any]:
    """Return what a reader would see: lanes, and the log."""
    trace = bench.hypervisor.trace
    lanes = [[(s.vm, s.vcpu, s.kind, s.start, s.end) for s in lane] for lane in trace.lanes]
    events = [(e.id, e.position, e.clock, e.text, e.pcpu) for e in trace.events_since(-1)]
    return [lanes, events, sorted(trace.together)]


@given(
    chunks=st.lists(st.integers(1, 40_000), min_size=1, max_size=60),
    timeslice=st.sampled_from([900, 7_777, 100_000]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_run_in_pieces_is_the_run_in_one_piece(
    make_bench: Callable[..., Bench], chunks: list[int], timeslice: int
) -> None:
    pieces, whole = make_bench(timeslice=timeslice), make_bench(timeslice=timeslice)
    fill(pieces)
    fill(whole)
    for chunk in chunks:
        pieces.run(chunk)
    whole.hypervisor.run_to(pieces.hypervisor.position)
    assert whole.hypervisor.position == pieces.hypervisor.position
    assert whole.state() == pieces.state()
    assert history(whole) == history(pieces)


def test_single_steps_are_the_run_in_one_piece(make_bench: Callable[..., Bench]) -> None:
    pieces, whole = make_bench(timeslice=3_000), make_bench(timeslice=3_000)
    fill(pieces)
    fill(whole)
    for _ in range(8_000):
        pieces.run(1)
    whole.hypervisor.run_to(pieces.hypervisor.position)
    assert whole.state() == pieces.state()


def test_stopping_at_exits_is_the_run_in_one_piece(make_bench: Callable[..., Bench]) -> None:
    pieces, whole = make_bench(), make_bench()
    fill(pieces)
    fill(whole)
    pieces.hypervisor.exit_watch = lambda _vcpu, _reason: True
    for _ in range(300):
        pieces.run(1_000_000)
    whole.hypervisor.run_to(pieces.hypervisor.position)
    assert whole.state() == pieces.state()


def test_idle_time_is_skipped_to_the_same_state(make_bench: Callable[..., Bench]) -> None:
    pieces, whole = make_bench(), make_bench()
    for bench in (pieces, whole):
        bench.vm(SLEEPY.replace("addi a0, a0, 700", "li t0, 300000\n add a0, a0, t0"))
    for _ in range(400):
        pieces.run(33_333)
    whole.hypervisor.run_to(pieces.hypervisor.position)
    assert whole.state() == pieces.state()
    assert history(whole) == history(pieces)


SCRIPT = """
import hashlib, sys
from emulator.build.engine import load_engine
from tests.hypervisor.bench import Bench
from tests.hypervisor.test_determinism import fill
bench = Bench(load_engine(), timeslice=50_000)
fill(bench)
bench.run(int(sys.argv[1]))
print(hashlib.blake2b(bench.state()).hexdigest(), sum(v.retired for vm in bench.hypervisor.vms.values() for
v in vm.vcpus))
"""


def digest_in_new_process(cycles: int, hash_seed: str) -> tuple[str, int]:
    """Return state digest and retired instructions of a run in a process of its own."""
    import os

    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(cycles)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    digest, retired = result.stdout.split()
    return digest, int(retired)


def test_two_processes_reach_the_same_state(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(timeslice=50_000)
    fill(bench)
    bench.run(3_000_000)
    here = hashlib.blake2b(bench.state()).hexdigest()
    assert digest_in_new_process(3_000_000, "1")[0] == here
    assert digest_in_new_process(3_000_000, "2")[0] == here


@pytest.mark.slow
def test_two_processes_agree_after_100_million_instructions() -> None:
    one, two = (digest_in_new_process(230_000_000, seed) for seed in "34")
    assert one == two
    assert one[1] >= 100_000_000


def test_when_nothing_is_left_to_run_what_happened_last_is_past_for_every_pcpu(bench: Bench) -> None:
    bench.vm("li s0, 3000\n1: addi s0, s0, -1\n bnez s0, 1b\n shutdown")
    hypervisor = bench.hypervisor
    hypervisor.run_to(9_000)  # the guest is off by then, the other pCPU still behind
    assert (hypervisor.position, hypervisor.finished) == (9_000, False)
    hypervisor.run_to(1_000_000)
    assert hypervisor.finished
    clocks = {pcpu.hart.clock for pcpu in hypervisor.pcpus}
    assert clocks == {hypervisor.mean_clock}
    assert hypervisor.trace.events[-1].clock == hypervisor.mean_clock
