"""Several vCPUs in one VM: starting, stopping, signalling each other."""

from collections.abc import Callable

import pytest

from emulator.hypervisor.vcpu import VcpuState
from emulator.hypervisor.vm import VmState
from emulator.state import RAM_BASE
from tests.hypervisor.bench import Bench

START = """
    bnez a0, second
    li a0, 1
    la a1, second
    li a2, 0x1234
    sbi HSM, 0
    mv s0, a0
"""


def test_only_vcpu_0_runs_until_it_starts_others(bench: Bench) -> None:
    vm = bench.vm("1: j 1b", vcpus=3)
    bench.run(200_000)
    assert [vcpu.state for vcpu in vm.vcpus] == [VcpuState.RUNNING, VcpuState.STOPPED, VcpuState.STOPPED]


def test_started_vcpu_finds_its_number_and_argument(bench: Bench) -> None:
    vm = bench.vm(START + "1: wfi\n j 1b\nsecond: mv s1, a0\n mv s2, a1\n 2: wfi\n j 2b", vcpus=2)
    bench.run(200_000)
    one, two = (bench.hypervisor.registers(vcpu).x for vcpu in vm.vcpus)
    assert one[8] == 0
    assert (two[9], two[18]) == (1, 0x1234)


def test_interprocessor_interrupt_wakes_a_sleeping_vcpu(bench: Bench) -> None:
    vm = bench.vm(
        START
        + """
        li t0, 5000
1:      addi t0, t0, -1
        bnez t0, 1b
        li a0, 2                # vCPU 1
        li a1, 0
        sbi IPI, 0
        mv s1, a0
2:      wfi
        j 2b
second: csrwi sie, 2
3:      wfi
        csrr t0, sip
        andi t0, t0, 2
        beqz t0, 3b
        csrci sip, 2
        csrr s3, sip
        li a0, '!'
        putchar
        shutdown
    """,
        vcpus=2,
    )
    bench.run(400_000)
    assert vm.console.text() == "!"
    assert vm.state is VmState.SHUT_OFF


def test_shared_counter_survives_two_vcpus_that_add_atomically(bench: Bench) -> None:
    vm = bench.vm(
        START
        + """
second: la s4, counter
        li s5, 3000
1:      lr.d t0, (s4)
        addi t0, t0, 1
        sc.d t1, t0, (s4)
        bnez t1, 1b
        addi s5, s5, -1
        bnez s5, 1b
        la t0, done
        li t1, 1
        amoadd.d zero, t1, (t0)
2:      j 2b
        .data
        .balign 8
counter: .dword 0
done:   .dword 0
    """,
        vcpus=2,
    )
    bench.run(600_000)
    symbols = vm.settings.executable.symbols
    values = [
        int.from_bytes(bench.hypervisor.read_guest(vm, symbols[name], 8), "little")
        for name in ("done", "counter")
    ]
    assert values == [2, 6000]


def test_time_of_a_vcpu_never_goes_back_whoever_wakes_it(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(pcpus=3)
    vm = bench.vm(
        """
        bnez a0, partner
        li s1, 1
1:      mv a0, s1               # start vCPUs 1 to 3
        la a1, partner
        sbi HSM, 0
        addi s1, s1, 1
        li t0, 4
        bltu s1, t0, 1b
        li a0, 0
partner:
        mv s0, a0
        addi s0, s0, 1
        andi s0, s0, 3          # whom to wake: the next one
        csrwi sie, 2
        rdtime s2
        li t0, 700
        mul s4, a0, t0          # everybody is busy for another time
2:      mv t0, s4
3:      addi t0, t0, -1
        bgtz t0, 3b
        rdtime s3
        bltu s3, s2, back
        mv s2, s3
        li a0, 1
        sll a0, a0, s0
        li a1, 0
        sbi IPI, 0
        wfi
        csrci sip, 2
        rdtime s3
        bltu s3, s2, back
        mv s2, s3
        addi s5, s5, 1
        j 2b
back:   li a0, '!'
        putchar
        shutdown
    """,
        vcpus=4,
    )
    bench.run(6_000_000)
    assert vm.console.text() == ""
    assert min(bench.hypervisor.registers(vcpu).x[21] for vcpu in vm.vcpus) > 100


def test_vcpu_stops_itself_and_can_be_started_again(bench: Bench) -> None:
    vm = bench.vm(
        START
        + """
1:      li a0, 1
        sbi HSM, 2
        li t0, 1                # STOPPED
        bne a1, t0, 1b
        li a0, 1
        la a1, again
        sbi HSM, 0
        mv s1, a0
2:      wfi
        j 2b
second: sbi HSM, 1
        li a0, 'x'              # never
        putchar
again:  li a0, '2'
        putchar
3:      wfi
        j 3b
    """,
        vcpus=2,
    )
    bench.run(400_000)
    assert vm.console.text() == "2"


def test_guest_can_run_on_more_vcpus_than_there_are_pcpus(bench: Bench) -> None:
    vm = bench.vm(
        """
        bnez a0, second
        li s0, 1
1:      mv a0, s0
        la a1, second
        li a2, 0
        sbi HSM, 0
        addi s0, s0, 1
        li t0, 8
        bltu s0, t0, 1b
        li a0, 0
second: addi a0, a0, '0'
        putchar
2:      j 2b
    """,
        vcpus=8,
    )
    bench.run(4_000_000)
    assert sorted(vm.console.text()) == list("01234567")
    runs = [vcpu.run_cycles for vcpu in vm.vcpus]
    assert max(runs) - min(runs) < 250_000


@pytest.mark.parametrize("offset", [1, 0xFFF])
def test_vcpu_started_at_an_odd_address_begins_at_the_even_one(bench: Bench, offset: int) -> None:
    """At the end of a page, 16 bits from the odd address would reach into another frame."""
    place = RAM_BASE + 0x8000
    vm = bench.vm(f"li a0, 1\n li a1, {place + offset}\n sbi HSM, 0\n 1: wfi\n j 1b", vcpus=2)
    bench.run(200_000)
    registers = bench.hypervisor.registers(vm.vcpus[1])
    # What is there is zero, which is no instruction.
    assert (registers.vsepc, registers.vscause, registers.vstval) == (place + (offset & ~1), 2, 0)
