"""Guests print, share pCPUs, sleep, and are cut short, and all of it is counted."""

from collections.abc import Callable

from emulator.hypervisor.vm import VmState
from tests.hypervisor.bench import Bench

HELLO = """
    la s0, text
1:  lbu a0, (s0)
    beqz a0, 2f
    putchar
    addi s0, s0, 1
    j 1b
2:  shutdown
    .data
text: .asciz "Hello\\n"
"""
SPIN = "1: j 1b"


def test_guest_prints_and_switches_itself_off(bench: Bench) -> None:
    vm = bench.vm(HELLO)
    bench.run()
    assert vm.console.text() == "Hello\n"
    assert vm.state is VmState.SHUT_OFF
    assert vm.exits == {"sbi": 7}


def test_vm_that_is_off_has_given_all_frames_back_zeroed(bench: Bench) -> None:
    bench.vm(HELLO)
    bench.run()
    assert bench.hypervisor.partition.free_count == bench.host.frames
    assert all(bench.host.frame_is_zero(hfn) for hfn in range(bench.host.frames))


def test_guest_starts_in_vs_mode_with_its_number_and_nothing_else(bench: Bench) -> None:
    vm = bench.vm("""
        bnez a0, fail
        bnez a1, fail
        csrr t0, satp
        bnez t0, fail
        csrr t0, sstatus        # SPP and SIE are 0: interrupts are off
        andi t0, t0, 0x122
        bnez t0, fail
        li a0, 'y'
        putchar
fail:   shutdown
    """)
    bench.run()
    assert vm.console.text() == "y"


def test_two_busy_vms_have_a_pcpu_each(bench: Bench) -> None:
    a, b = bench.vm(SPIN, "a"), bench.vm(SPIN, "b")
    bench.run(2_000_000)
    for vm in (a, b):
        assert vm.vcpus[0].run_cycles > 980_000
        assert vm.vcpus[0].ready_cycles < 2_000
    assert bench.hypervisor.trace.together == {("a", "b")}


def test_three_busy_vms_share_two_pcpus_evenly(bench: Bench) -> None:
    vms = [bench.vm(SPIN, name) for name in "abc"]
    bench.run(12_000_000)
    shares = [vm.vcpus[0].run_cycles / 12_000_000 for vm in vms]
    assert all(0.31 < share < 0.34 for share in shares), shares
    assert all(vm.vcpus[0].ready_cycles > 1_500_000 for vm in vms)


def test_two_vms_on_one_pcpu_never_run_at_the_same_time(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(pcpus=1)
    a, b = bench.vm(SPIN, "a"), bench.vm(SPIN, "b")
    bench.run(2_000_000)
    assert bench.hypervisor.trace.together == set()
    assert abs(a.vcpus[0].run_cycles - b.vcpus[0].run_cycles) < 110_000
    assert a.exits["budget"] > 8


def test_time_of_every_pcpu_is_accounted_for_to_the_cycle(bench: Bench) -> None:
    vms = [bench.vm(SPIN, "a"), bench.vm(HELLO, "b")]
    bench.run(777_777)
    for pcpu in bench.hypervisor.pcpus:
        spent = pcpu.run_cycles + pcpu.hypervisor_cycles + pcpu.idle_cycles
        assert spent == pcpu.hart.clock
    in_guests = sum(pcpu.run_cycles for pcpu in bench.hypervisor.pcpus)
    assert in_guests == sum(vcpu.run_cycles for vm in vms for vcpu in vm.vcpus)


def test_lanes_are_gapless(bench: Bench) -> None:
    bench.vm(SPIN, "a")
    bench.vm(HELLO, "b")
    bench.run(500_000)
    for pcpu, lane in zip(bench.hypervisor.pcpus, bench.hypervisor.trace.lanes, strict=True):
        assert lane[0].start == 0
        assert lane[-1].end == pcpu.hart.clock
        assert all(one.end == other.start for one, other in zip(lane, list(lane)[1:], strict=False))


def test_endless_loop_is_only_a_busy_guest(bench: Bench) -> None:
    vm = bench.vm(SPIN)
    bench.run(400_000)
    assert vm.state is VmState.RUNNING


def test_endless_trap_loop_uses_up_time_like_any_other_loop(bench: Bench) -> None:
    vm = bench.vm("""
        la t0, handler
        csrw stvec, t0
        .balign 4
handler: .word 0                # an illegal instruction: its handler is itself
    """)
    before = bench.hypervisor.position
    bench.run(400_000)
    assert bench.hypervisor.position >= before + 400_000
    assert vm.state is VmState.RUNNING


def test_nothing_happens_once_all_guests_wait_for_ever(bench: Bench) -> None:
    vm = bench.vm("1: wfi\n j 1b")
    bench.run()
    stopped_at = bench.hypervisor.position
    assert vm.state is VmState.IDLE
    assert not bench.hypervisor.can_progress()
    bench.run()
    assert bench.hypervisor.position == stopped_at


def test_position_grows_with_every_exit(bench: Bench) -> None:
    bench.vm(HELLO)
    positions = []
    bench.hypervisor.exit_watch = lambda _vcpu, _reason: True
    for _ in range(6):
        bench.run()
        positions.append(bench.hypervisor.position)
    assert positions == sorted(set(positions))
