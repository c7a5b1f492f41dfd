"""Guests that are small kernels: page tables, user programs, counters, all without the hypervisor's help."""

from collections.abc import Callable

from emulator.hypervisor.vm import VmState
from tests.hypervisor.bench import Bench

# Builds an Sv39 table: the GiB at 0x8000_0000 onto itself, and a 4 KiB page at GVA 0x4000_0000, entry `leaf`.
PAGING = """
    .macro enable_paging
        la t0, root
        li t1, (0x80000000 >> 12) * 1024 + 0xCF
        sd t1, 16(t0)
        la t1, middle
        srli t1, t1, 2
        ori t1, t1, 1
        sd t1, 8(t0)
        la t2, leaf
        srli t1, t2, 2
        ori t1, t1, 1
        la t2, middle
        sd t1, (t2)
        srli t0, t0, 12
        li t1, 8 << 60
        or t0, t0, t1
        csrw satp, t0
        sfence.vma
    .endm
    .macro point_to page, flags
        la t0, \\page
        srli t0, t0, 2
        ori t0, t0, \\flags
        la t1, leaf
        sd t0, (t1)
    .endm
"""
TABLES = """
    .data
    .balign 4096
one: .dword 1
    .balign 4096
two: .dword 2
    .balign 4096
    .bss
    .balign 4096
root: .skip 4096
middle: .skip 4096
leaf: .skip 4096
"""
REMAP = (
    "j main\n"
    + PAGING
    + """
    .macro dawdle
        li t0, 60
1:      addi t0, t0, -1
        bnez t0, 1b
    .endm
main:
    enable_paging
    li s0, 0x40000000
    li s3, 0
again:
    point_to one, 0xC7
    sfence.vma s0
    dawdle                      # on another pCPU by now?
    ld s1, (s0)
    point_to two, 0xC7
    sfence.vma s0
    dawdle
    ld s2, (s0)
    li t0, 1
    bne s1, t0, stale
    li t0, 2
    bne s2, t0, stale
    addi s3, s3, 1
    j again
stale:
    li a0, '!'
    putchar
    shutdown
"""
    + TABLES
)


def test_translations_of_an_earlier_stay_on_a_pcpu_are_never_used(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(timeslice=1_000)
    vm = bench.vm(REMAP)
    for name in "bc":
        bench.vm("1: j 1b", name)
    bench.run(4_000_000)
    assert vm.state is VmState.RUNNING
    assert vm.console.text() == ""
    assert bench.hypervisor.registers(vm.vcpus[0]).x[19] > 1_000
    for lane in bench.hypervisor.trace.lanes:
        assert any(one.vm == "a" for one in lane), "it has been on every pCPU"


def test_remote_fence_reaches_a_vcpu_on_another_pcpu(bench: Bench) -> None:
    vm = bench.vm(
        "j main\n"
        + PAGING
        + """
main:
    bnez a0, second
    enable_paging
    point_to one, 0xC7
    li a0, 1
    la a1, second
    sbi HSM, 0
    li s5, 9000
1:  addi s5, s5, -1
    bnez s5, 1b
    point_to two, 0xC7
    li a0, 2
    li a1, 0
    li a2, 0
    li a3, 0x1000
    sbi 0x52464E43, 1           # RFENCE: remote sfence.vma
    mv s6, a0
2:  j 2b
second:
    enable_paging
    li s0, 0x40000000
3:  ld s1, (s0)
    li t0, 2
    bne s1, t0, 3b
    li a0, '2'
    putchar
4:  wfi
    j 4b
"""
        + TABLES,
        vcpus=2,
    )
    bench.run(400_000)
    assert vm.console.text() == "2"
    assert bench.hypervisor.registers(vm.vcpus[0]).x[22] == 0


def test_guest_handles_its_own_page_faults_without_an_exit(bench: Bench) -> None:
    vm = bench.vm(
        "j main\n"
        + PAGING
        + """
main:
    la t0, handler
    csrw stvec, t0
    enable_paging
    li s0, 0x40000000
    ld s1, (s0)                 # not mapped yet
1:  wfi
    j 1b
    .balign 4
handler:
    csrr s2, scause
    csrr s3, stval
    point_to two, 0xC7
    sfence.vma
    sret
"""
        + TABLES,
    )
    bench.run(100_000)
    x = bench.hypervisor.registers(vm.vcpus[0]).x
    assert (x[9], x[18], x[19]) == (2, 13, 0x4000_0000)
    assert vm.exits == {"wfi": 1}


def test_user_program_calls_its_kernel_without_an_exit(bench: Bench) -> None:
    vm = bench.vm("""
        la t0, handler
        csrw stvec, t0
        la t0, user
        csrw sepc, t0
        li t0, 0x100
        csrc sstatus, t0        # SPP = 0: to user mode
        sret
user:   li a0, 5
        ecall
1:      j 1b
        .balign 4
handler:
        csrr s1, scause
        csrr s2, sstatus
        mv s3, a0
2:      wfi
        j 2b
    """)
    bench.run(100_000)
    x = bench.hypervisor.registers(vm.vcpus[0]).x
    assert (x[9], x[19]) == (8, 5)
    assert x[18] & 0x100 == 0
    assert vm.exits == {"wfi": 1}


def test_user_program_cannot_call_the_hypervisor_or_wait(bench: Bench) -> None:
    vm = bench.vm("""
        la t0, handler
        csrw stvec, t0
        la t0, user
        csrw sepc, t0
        li t0, 0x100
        csrc sstatus, t0
        sret
user:   wfi
        .balign 4
handler:
        csrr s1, scause
1:      wfi
        j 1b
    """)
    bench.run(100_000)
    assert bench.hypervisor.registers(vm.vcpus[0]).x[9] == 2
    assert vm.exits["virtual instruction"] == 1


def test_guest_counts_only_its_own_instructions(bench: Bench) -> None:
    for name in "abc":
        bench.vm("1: j 1b", name)
    bench.run(1_000_000)
    vm = bench.vm(
        """
        rdinstret s0
        rdcycle s1
        li t0, 10000
1:      addi t0, t0, -1
        bnez t0, 1b
        rdinstret s2
        sub s2, s2, s0
2:      j 2b
    """,
        "d",
    )
    bench.run(3_000_000)
    x = bench.hypervisor.registers(vm.vcpus[0]).x
    assert x[8] == 0
    assert x[9] == 1
    assert x[18] == 20_004
