"""The guest's clock and timer: exact to the tick, asleep or awake."""

from emulator.hypervisor.vm import VmState
from tests.hypervisor.bench import Bench

# Sets an alarm `{ticks}` ahead and waits as `{wait}` says. s0 is when it was set for, s1 when the handler
# ran.
ALARM = """
    la t0, handler
    csrw stvec, t0
    li t0, 1 << 5
    csrs sie, t0
    csrsi sstatus, 2
    rdtime s0
    li t0, {ticks}
    add s0, s0, t0
    mv a0, s0
    sbi TIME, 0
1:  {wait}
    j 1b
    .balign 4
handler:
    rdtime s1
    csrr s2, scause
    li a0, -1
    sbi TIME, 0
    csrr s3, sip
    li t0, 1 << 5
    csrc sie, t0
    wfi
"""


def test_timer_interrupt_comes_when_it_was_asked_for(bench: Bench) -> None:
    for wait in ("nop", "wfi"):
        vm = bench.vm(ALARM.format(ticks=12_345, wait=wait), wait)
        bench.run(1_000_000)
        x = bench.hypervisor.registers(vm.vcpus[0]).x
        # A tick is 10 cycles, and entering the guest again may cost up to 100 of them.
        assert 0 <= x[9] - x[8] <= 100, wait
        assert x[18] == 1 << 63 | 5
        assert x[19] & 1 << 5 == 0, "set_timer withdraws the pending interrupt"


def test_waiting_vcpu_gives_its_pcpu_away(bench: Bench) -> None:
    vm = bench.vm(ALARM.format(ticks=20_000, wait="wfi"))
    bench.run(600_000)
    vcpu = vm.vcpus[0]
    assert vm.exits["wfi"] == 2
    assert vcpu.idle_cycles > 190_000
    assert vcpu.run_cycles < 200


def test_timer_of_a_busy_guest_is_an_exit_of_its_own(bench: Bench) -> None:
    vm = bench.vm(ALARM.format(ticks=1_000, wait="nop"))
    bench.run(300_000)
    assert vm.exits["timer"] == 1


def test_time_in_the_past_interrupts_at_once(bench: Bench) -> None:
    vm = bench.vm(ALARM.format(ticks=0, wait="nop"))
    bench.run(100_000)
    x = bench.hypervisor.registers(vm.vcpus[0]).x
    assert 0 < x[9] - x[8] < 200


def test_guest_time_begins_at_zero_and_never_goes_back(bench: Bench) -> None:
    bench.vm("1: j 1b", "busy")
    bench.run(500_000)
    source = """
        rdtime s0
        mv s1, s0
1:      rdtime t0
        bltu t0, s1, bad
        mv s1, t0
        li a0, '.'
        putchar
        j 1b
bad:    shutdown
    """
    vms = [bench.vm(source, name) for name in ("b", "c", "d")]
    bench.run(3_000_000)
    for vm in vms:
        assert vm.state is VmState.RUNNING
        assert bench.hypervisor.registers(vm.vcpus[0]).x[8] < 100_000


def test_two_alarms_ring_in_order_of_time(bench: Bench) -> None:
    bench.vm(ALARM.format(ticks=9_000, wait="wfi"), "late")
    bench.vm(ALARM.format(ticks=7_000, wait="wfi"), "early")
    bench.run(400_000)
    woken = [one.vm for lane in bench.hypervisor.trace.lanes for one in lane if one.kind == "run"]
    late = [one.start for lane in bench.hypervisor.trace.lanes for one in lane if one.vm == "late"]
    early = [one.start for lane in bench.hypervisor.trace.lanes for one in lane if one.vm == "early"]
    assert max(early) < max(late)
    assert {"late", "early"} <= set(woken)
