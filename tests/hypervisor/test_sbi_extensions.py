"""Counters, steal time and suspension that guests ask the SBI for are real."""

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.hypervisor import sbi
from emulator.hypervisor.sbi_pmu import COUNTERS, Pmu, call
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import VmState
from emulator.state import HART
from tests.hypervisor.bench import Bench

EXTENSIONS = f".equ PMU, {sbi.PMU}\n.equ SUSP, {sbi.SUSP}\n.equ STA, {sbi.STA}\n"
WORDS = st.sampled_from([0, 1, 2, 4, 0xF_0006, (1 << 64) - 1]) | st.integers(0, (1 << 64) - 1)

COUNTING = (
    EXTENSIONS
    + """
    li a0, 0
    li a1, 0x3FF
    li a2, 4
    li a3, 0xF0005
    sbi PMU, 2
    mv s0, a1
    li s1, 3
1:  li a0, -1
    sbi TIME, 0
    addi s1, s1, -1
    bnez s1, 1b
    mv a0, s0
    sbi PMU, 5
    mv s2, a1
    li a0, 0
    li a1, 0x3FF
    li a2, 0
    li a3, 2
    sbi PMU, 2
    mv a0, a1
    li a1, 1
    li a2, 1
    li a3, 1000
    sbi PMU, 3
    csrr s3, instret
    nop
    nop
    csrr s4, instret
    shutdown
"""
)

STEAL = (
    EXTENSIONS
    + """
    la s0, record
    mv a0, s0
    li a1, 0
    li a2, 0
    sbi STA, 0
1:  j 1b
    .data
    .balign 64
record: .skip 64
"""
)

SUSPEND = (
    EXTENSIONS
    + """
    li t0, 1 << 5
    csrs sie, t0
    rdtime a0
    li t0, 1000
    add a0, a0, t0
    csrw stimecmp, a0
    li a0, 0
    la a1, resumed
    li a2, 'r'
    sbi SUSP, 0
    shutdown
resumed:
    mv s0, a0
    mv a0, a1
    putchar
    shutdown
"""
)


def registers_at_the_end(bench: Bench, vcpu: Vcpu) -> list[int]:
    return list(bench.hypervisor.registers(vcpu).x)


def test_firmware_and_hardware_counters_count_what_happened(bench: Bench) -> None:
    vm = bench.vm(COUNTING)
    bench.hypervisor.exit_watch = lambda vcpu, _: vcpu.vm.lifecycle is VmState.SHUT_OFF
    bench.run(200_000)
    x = registers_at_the_end(bench, vm.vcpus[0])
    assert vm.lifecycle is VmState.SHUT_OFF
    assert x[18] == 3, "three timers were set"
    assert 1000 <= x[19] < 1010, "the counter went on from its initial value"
    assert x[20] - x[19] == 3


def test_steal_time_is_the_time_spent_ready(bench: Bench) -> None:
    vms = [bench.vm(STEAL, name) for name in "abc"]
    bench.run(3_000_000)
    told: list[int] = []
    for vm in vms:
        vcpu = vm.vcpus[0]
        gpa = bench.hypervisor.registers(vcpu).x[8]
        record = bench.hypervisor.read_guest(vm, gpa, 64)
        sequence, told_ns = (
            int.from_bytes(record[at : at + size], "little") for at, size in ((0, 4), (8, 8))
        )
        assert sequence % 2 == 0
        assert vcpu.steal is not None
        assert vcpu.steal.ready_cycles <= 110_000, "it may have waited for one timeslice before it asked"
        assert told_ns == (vcpu.ready_cycles - vcpu.steal.ready_cycles) * 10, "10 ns a cycle"
        assert record[16] == (vcpu.pcpu is None)
        told.append(told_ns)
    assert sum(told) > 5_000_000, "three busy vCPUs share two pCPUs for 15 ms"


def test_a_suspended_machine_resumes_where_it_asked_to(bench: Bench) -> None:
    vm = bench.vm(SUSPEND)
    bench.run(15_000)
    assert vm.vcpus[0].state.value == "suspended"
    bench.run(200_000)
    assert vm.console.text() == "r"


def test_suspend_is_denied_while_another_vcpu_runs(bench: Bench) -> None:
    source = (
        EXTENSIONS
        + """
        li a0, 1
        la a1, second
        sbi HSM, 0
        li a0, 0
        la a1, second
        sbi SUSP, 0
        mv s0, a0
second: wfi
        j second
    """
    )
    vm = bench.vm(source, vcpus=2)
    bench.run(50_000)
    assert bench.hypervisor.registers(vm.vcpus[0]).x[8] == sbi.DENIED & sbi.ALL_ONES


def test_legacy_fence_reads_its_mask_from_guest_memory(bench: Bench) -> None:
    vm = bench.vm("la a0, mask\n li a7, 5\n ecall\n 1: wfi\n j 1b\n.data\n .balign 8\nmask: .dword 1")
    bench.run(20_000)
    assert vm.vcpus[0].pmu.events[8:10] == [1, 1]


@given(st.lists(st.tuples(st.integers(0, 8), st.tuples(WORDS, WORDS, WORDS, WORDS, WORDS)), max_size=30))
@settings(max_examples=200)
def test_any_sequence_of_counter_calls_gets_an_answer(
    script: list[tuple[int, tuple[int, int, int, int, int]]],
) -> None:
    pmu, hart = Pmu(), HART.struct()
    for function, arguments in script:
        error, value = call(pmu, hart, function, arguments)
        assert error in (0, -2, -3, -7, -8, -9)
        assert 0 <= value < 1 << 64
    assert len(pmu.counters) == COUNTERS
