"""Floating-point registers belong to a vCPU: a world switch carries them, and a guest's FS decides for it."""

from collections.abc import Callable

from emulator.hypervisor.vm import VmState
from tests.hypervisor.bench import Bench

ROUNDS = 3000
# Adds one to fa0 and to a0 and compares; fcsr holds a rounding mode that only this guest has set.
COUNTING = f"""
    li t0, 0x6000
    csrs sstatus, t0
    fsrmi {{mode}}
    li t0, {{start}}
    fcvt.d.l fa0, t0
    fcvt.d.l ft11, t0
    li t1, 1
    fcvt.d.l fa1, t1
    li t2, {ROUNDS}
1:  fadd.d fa0, fa0, fa1
    addi t0, t0, 1
    fcvt.l.d t3, fa0
    bne t0, t3, 2f
    addi t2, t2, -1
    bnez t2, 1b
    frrm t3
    li t4, {{mode}}
    bne t3, t4, 2f
    shutdown
2:  unimp
"""


def test_guests_that_take_turns_keep_their_registers(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(pcpus=1, timeslice=1000)
    vms = [bench.vm(COUNTING.format(mode=mode, start=mode << 40), f"vm{mode}") for mode in range(4)]
    bench.run(2_000_000)
    assert [vm.state for vm in vms] == [VmState.SHUT_OFF] * 4


def test_guest_without_fs_may_not_use_them(bench: Bench) -> None:
    vm = bench.vm("""
        la t0, trap
        csrw stvec, t0
        fadd.d fa0, fa0, fa0
        shutdown
        .balign 4
trap:   csrr t0, scause
        addi a0, t0, '0'
        putchar
        shutdown
    """)
    bench.run()
    assert vm.console.text() == "2"


def test_state_hash_sees_them(make_bench: Callable[..., Bench]) -> None:
    source = "li t0, 0x6000\n csrs sstatus, t0\n li t0, {value}\n fmv.d.x fa0, t0\n li t0, 0\n 1: j 1b"
    states = set[bytes]()
    for value in (5, 5, 6):
        bench = make_bench()
        vm = bench.vm(source.format(value=5))
        bench.run(1000)
        bench.hypervisor.registers(vm.vcpus[0]).f[10] = value
        states.add(bench.state())
    assert len(states) == 2
