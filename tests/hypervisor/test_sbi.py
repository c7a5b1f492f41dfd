"""The calls that guests make, with honest and with hostile arguments."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.hypervisor import sbi
from emulator.hypervisor.vcpu import VcpuState
from emulator.hypervisor.vm import VmState
from emulator.state import RAM_BASE
from tests.hypervisor.bench import Bench

ALL_ONES = (1 << 64) - 1
# Calls with whatever stands in the registers, then waits.
CALL = "ecall\n 1: wfi\n j 1b"
VALUES = st.one_of(
    st.sampled_from(
        [0, 1, 2, 7, RAM_BASE, RAM_BASE + 0xFFFF, RAM_BASE + 0x10000, 1 << 63, ALL_ONES, ALL_ONES - 7]
    ),
    st.integers(0, ALL_ONES),
)


def call(bench: Bench, *registers: int) -> tuple[int, int]:
    """Let a guest call with a7, a6, a0, a1, ...; return error (signed) and value."""
    vm = bench.vm(CALL, vcpus=2)
    x = vm.vcpus[0].context.x
    x[17], x[16] = registers[:2]
    for number, value in enumerate(registers[2:]):
        x[10 + number] = value & ALL_ONES
    bench.run(100_000)
    x = bench.hypervisor.registers(vm.vcpus[0]).x
    return (x[10] ^ 1 << 63) - (1 << 63), x[11]


@pytest.mark.parametrize(
    ("registers", "answer"),
    [
        ((sbi.BASE, 0), (0, 2 << 24)),
        ((sbi.BASE, 1), (0, sbi.IMPLEMENTATION_ID)),
        ((sbi.BASE, 3, sbi.DBCN), (0, 1)),
        ((sbi.BASE, 3, 0x12345), (0, 0)),
        ((sbi.BASE, 4), (0, 0)),
        ((sbi.BASE, 7), (-2, 0)),
        ((0xDEAD, 0), (-2, 0)),
        ((ALL_ONES, ALL_ONES), (-2, 0)),
        ((sbi.TIME, 1), (-2, 0)),
        ((sbi.IPI, 0, 0b100, 0), (-3, 0)),
        ((sbi.IPI, 0, 1, ALL_ONES - 1), (-3, 0)),
        ((sbi.IPI, 0, 0, ALL_ONES), (0, 0)),
        ((sbi.IPI, 0, ALL_ONES, 1), (-3, 0)),
        ((sbi.RFENCE, 1, 0b11, 0, 0, 0), (0, 0)),
        ((sbi.RFENCE, 7, 0b11, 0), (-2, 0)),
        ((sbi.HSM, 0, 2, RAM_BASE, 0), (-3, 0)),
        ((sbi.HSM, 0, 1, 0, 0), (-5, 0)),
        ((sbi.HSM, 0, 1, ALL_ONES, 0), (-5, 0)),
        ((sbi.HSM, 0, 0, RAM_BASE, 0), (-6, 0)),
        ((sbi.HSM, 2, 0), (0, 0)),
        ((sbi.HSM, 2, 1), (0, 1)),
        ((sbi.HSM, 2, ALL_ONES), (-3, 0)),
        ((sbi.HSM, 3, 0x8000_0000, 0, 0), (-5, 0)),
        ((sbi.SUSP, 0, 0, 0, 0), (-5, 0)),
        ((sbi.SUSP, 0, 1, RAM_BASE, 0), (-3, 0)),
        ((sbi.SUSP, 1), (-2, 0)),
        ((sbi.STA, 0, RAM_BASE + 64, 0, 0), (0, 0)),
        ((sbi.STA, 0, RAM_BASE + 8, 0, 0), (-3, 0)),
        ((sbi.STA, 0, RAM_BASE, 0, 1), (-3, 0)),
        ((sbi.STA, 0, RAM_BASE, 1, 0), (-5, 0)),
        ((sbi.STA, 0, RAM_BASE + 0x10000, 0, 0), (-5, 0)),
        ((sbi.STA, 0, ALL_ONES, ALL_ONES, 0), (0, 0)),
        ((sbi.PMU, 0), (0, 10)),
        ((sbi.PMU, 1, 1), (0, 63 << 12 | 0xC02)),
        ((sbi.PMU, 1, 2), (0, 1 << 63 | 63 << 12)),
        ((sbi.PMU, 1, 10), (-3, 0)),
        ((sbi.PMU, 2, 0, 0x3FF, 0, 1), (0, 0)),
        ((sbi.PMU, 2, 0, 0x3FF, 4, 0xF0006), (0, 2)),
        ((sbi.PMU, 2, 0, 0x3FF, 0, 0xF0016), (-2, 0)),
        ((sbi.PMU, 2, 0, 0x7FF, 0, 1), (-3, 0)),
        ((sbi.PMU, 2, ALL_ONES, ALL_ONES, 0, 1), (-3, 0)),
        ((sbi.PMU, 3, 0, 1, 0, 0), (-3, 0)),
        ((sbi.PMU, 4, 0, 1, 0), (-8, 0)),
        ((sbi.PMU, 4, 0, 1, 2), (-9, 0)),
        ((sbi.PMU, 5, 0), (-3, 0)),
        ((sbi.PMU, 7, RAM_BASE, 0, 0), (-2, 0)),
        ((sbi.LEGACY_SEND_IPI, 0, 1 << 40, 0), (-5, 0)),
        ((sbi.HSM, 3, 5, 0, 0), (-3, 0)),
        ((sbi.SRST, 0, 3, 0), (-3, 0)),
        ((sbi.SRST, 0, 0, 7), (-3, 0)),
        ((sbi.SRST, 1), (-2, 0)),
        ((sbi.DBCN, 0, 0, RAM_BASE, 0), (0, 0)),
        ((sbi.DBCN, 0, 5, RAM_BASE, 0), (0, 5)),
        ((sbi.DBCN, 0, 5, RAM_BASE + 0xFFFC, 0), (-3, 0)),
        ((sbi.DBCN, 0, 5, RAM_BASE, 1), (-3, 0)),
        ((sbi.DBCN, 0, ALL_ONES, RAM_BASE, 0), (-3, 0)),
        ((sbi.DBCN, 0, 8, ALL_ONES - 3, 0), (-3, 0)),
        ((sbi.DBCN, 1, 8, ALL_ONES, ALL_ONES), (-3, 0)),
        ((sbi.DBCN, 0, 0x10000, RAM_BASE, 0), (0, 4096)),
        ((sbi.DBCN, 3), (-2, 0)),
    ],
)
def test_answers(bench: Bench, registers: tuple[int, ...], answer: tuple[int, int]) -> None:
    assert call(bench, *registers) == answer


@given(
    st.tuples(st.sampled_from(sorted(sbi.EXTENSION_NAMES)) | VALUES, st.integers(0, 8) | VALUES),
    st.lists(VALUES, min_size=6, max_size=6),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_arguments_hurt_the_hypervisor_or_a_neighbour(
    make_bench: Callable[..., Bench], which: tuple[int, int], arguments: list[int]
) -> None:
    bench = make_bench()
    neighbour = bench.vm('la t0, secret\n 1: wfi\n j 1b\n.data\nsecret: .ascii "secret"', "b")
    bench.run(50_000)
    before = bench.host.digest_frames(neighbour.frames)
    error, _ = call(bench, *which, *arguments)
    vm = bench.hypervisor.vms["a"]
    never_returned = vm.lifecycle is VmState.SHUT_OFF or vm.vcpus[0].state is VcpuState.STOPPED
    assert error <= 0 or which[0] in sbi.LEGACY or never_returned
    assert bench.host.digest_frames(neighbour.frames) == before
    assert neighbour.state is VmState.IDLE


def test_console_read_takes_what_was_typed(bench: Bench) -> None:
    vm = bench.vm("""
1:      li a0, 16
        la a1, buffer
        li a2, 0
        sbi DBCN, 1
        beqz a1, 1b
        mv a0, a1
        la a1, buffer
        sbi DBCN, 0
        shutdown
        .data
buffer: .skip 16
    """)
    bench.run(20_000)
    vm.console.type("héllo")
    bench.run(40_000)
    assert vm.console.text() == "héllo"


def test_legacy_console_reads_minus_one_when_nothing_was_typed(bench: Bench) -> None:
    assert call(bench, sbi.LEGACY_GETCHAR, 0)[0] == -1


def test_legacy_call_leaves_a1_alone(bench: Bench) -> None:
    assert call(bench, sbi.LEGACY_PUTCHAR, 0, ord("x"), 77) == (0, 77)
    assert bench.hypervisor.vms["a"].console.text() == "x"


def test_guest_that_reboots_itself_begins_again_with_fresh_memory(bench: Bench) -> None:
    vm = bench.vm("""
        la t0, mark
        ld t1, (t0)
        li t2, 1
        sd t2, (t0)
        addi a0, t1, '0'
        putchar
        li a0, 1
        li a1, 0
        sbi SRST, 0
        .data
mark:   .dword 5
    """)
    bench.run(10_000)
    assert vm.console.history().startswith("555")
    assert vm.starts > 2


def test_suspended_vcpu_goes_on_behind_the_call_when_an_interrupt_is_pending(bench: Bench) -> None:
    vm = bench.vm("""
        li t0, 1 << 5
        csrs sie, t0
        rdtime a0
        li t0, 1000
        add a0, a0, t0
        sbi TIME, 0
        li a0, 0
        sbi HSM, 3
        bnez a0, bad
        li a0, 'k'
        putchar
bad:    shutdown
    """)
    bench.run(5_000)
    assert vm.vcpus[0].state.value == "suspended"
    bench.run(100_000)
    assert vm.console.text() == "k"
