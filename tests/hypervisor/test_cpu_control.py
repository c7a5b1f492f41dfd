"""Caps, reservations and affinity are kept, pCPUs and vCPUs come and go, promises are not made in vain."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.hypervisor import lifecycle
from emulator.hypervisor.admission import AdmissionError
from emulator.hypervisor.scheduler import POLICIES
from emulator.hypervisor.vcpu import VcpuState
from emulator.hypervisor.vm import CpuSettings, Vm
from tests.hypervisor.bench import Bench
from tests.hypervisor.test_determinism import CHATTY, PROBING

MakeBench = Callable[..., Bench]
PERIOD = 1_000_000
SPIN = "1: j 1b"
SPIN_ON_ALL = """
    bnez a0, 2f
    li s0, 1
1:  mv a0, s0
    la a1, 2f
    sbi HSM, 0
    addi s0, s0, 1
    li t0, 8
    bltu s0, t0, 1b
2:  j 2b
"""
# Writes 4096 characters with each call: the longest exits there are.
TALK = """
1:  li a0, 4096
    li a1, 0x80000000
    li a2, 0
    sbi DBCN, 0
    j 1b
"""
GUESTS = {"spin": SPIN, "talk": TALK, "chatty": CHATTY, "probing": PROBING, "all": SPIN_ON_ALL}


def held_in(bench: Bench, vm: str, start: int, end: int, vcpu: int | None = None) -> int:
    """Return for how long a VM, or one of its vCPUs, has held pCPUs between two clocks."""
    slices = [one for lane in bench.hypervisor.trace.lanes for one in lane if one.vm == vm]
    if vcpu is not None:
        slices = [one for one in slices if one.vcpu == vcpu]
    return sum(max(0, min(one.end, end) - max(one.start, start)) for one in slices)


def change(bench: Bench, vm: Vm, **cpu: Any) -> None:
    """Change what a running VM may have."""
    bench.hypervisor.reconfigure_cpu(vm, replace(vm.settings, cpu=replace(vm.settings.cpu, **cpu)))


def offline(bench: Bench, *pcpus: int) -> None:
    """Unplug these pCPUs, and plug all others in."""
    host = bench.hypervisor.scheduler
    bench.hypervisor.reconfigure_host(host.policy.name, host.policy.timeslice_cycles, host.period, pcpus)


@pytest.mark.parametrize("scheduler", sorted(POLICIES))
@given(
    guest=st.sampled_from(sorted(GUESTS)),
    cap=st.sampled_from([4, 10, 35, 90, 130]),
    pcpus=st.integers(1, 3),
    others=st.integers(0, 3),
    timeslice=st.sampled_from([7_777, 100_000]),
)
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cap_is_never_exceeded_in_any_period(
    make_bench: MakeBench, scheduler: str, guest: str, cap: int, pcpus: int, others: int, timeslice: int
) -> None:
    bench = make_bench(pcpus=pcpus, scheduler=scheduler, timeslice=timeslice)
    vcpus = 1 if scheduler == "gang" and guest != "chatty" else min(2, pcpus)
    bench.vm(GUESTS[guest], "capped", vcpus=vcpus, cpu=CpuSettings(cap=cap), on_fault="skip")
    for index in range(others):
        bench.vm(SPIN, f"other{index}")
    for period in range(4):
        bench.hypervisor.run_to(bench.hypervisor.position_of((period + 1) * PERIOD + 30_000))
        held = held_in(bench, "capped", period * PERIOD, (period + 1) * PERIOD)
        assert held <= cap * PERIOD // 100, (period, held)


@pytest.mark.parametrize("cap", [10, 50, 150])
def test_a_busy_vm_gets_what_its_cap_allows(make_bench: MakeBench, cap: int) -> None:
    bench = make_bench()
    vm = bench.vm(SPIN_ON_ALL, "capped", vcpus=2, cpu=CpuSettings(cap=cap))
    bench.run(20 * PERIOD)
    held = sum(vcpu.run_cycles + vcpu.hypervisor_cycles for vcpu in vm.vcpus)
    assert 0.9 * cap / 100 < held / (10 * PERIOD) <= cap / 100
    assert sum(vcpu.ready_cycles for vcpu in vm.vcpus) > 0.8 * (200 - cap) / 100 * 10 * PERIOD


def test_a_cap_can_be_set_and_taken_away_while_the_vm_runs(make_bench: MakeBench) -> None:
    bench = make_bench(pcpus=1)
    vm = bench.vm(SPIN)
    spent = []
    for cap in (0, 20, 60, 0):
        change(bench, vm, cap=cap)
        bench.run(PERIOD)  # the period in which it was changed
        before = vm.vcpus[0].run_cycles
        bench.run(4 * PERIOD)
        spent.append((vm.vcpus[0].run_cycles - before) / (4 * PERIOD))
    assert spent == [pytest.approx(1, abs=0.02), *(pytest.approx(c, abs=0.05) for c in (0.2, 0.6, 1))]


@given(
    shares=st.lists(st.integers(5, 45), min_size=1, max_size=4),
    periods=st.lists(st.sampled_from([500_000, 1_000_000, 1_700_000]), min_size=4, max_size=4),
    pcpus=st.integers(1, 2),
    guest=st.sampled_from(["spin", "talk"]),
    timeslice=st.sampled_from([20_000, 100_000]),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reservations_are_met_in_every_period(
    make_bench: MakeBench, shares: list[int], periods: list[int], pcpus: int, guest: str, timeslice: int
) -> None:
    bench = make_bench(pcpus=pcpus, scheduler="edf", timeslice=timeslice)
    reserved: list[tuple[Vm, int, int]] = []
    for index, share in enumerate(shares):
        cpu = CpuSettings(reservation=share * periods[index] // 100, period=periods[index])
        vm = bench.vm(SPIN, f"r{index}", start=False, cpu=cpu)
        try:
            lifecycle.start(bench.hypervisor, vm)
        except AdmissionError:
            continue
        reserved.append((vm, cpu.reservation, cpu.period))
    for index in range(3):
        bench.vm(GUESTS[guest], f"greedy{index}")
    bench.hypervisor.run_to(bench.hypervisor.position_of(6_000_000))
    for vm, budget, period in reserved:
        for start in range(0, 6_000_000 - period, period):
            assert held_in(bench, vm.name, start, start + period) >= budget, (vm.name, start)


def test_time_that_nobody_has_reserved_goes_to_all(make_bench: MakeBench) -> None:
    bench = make_bench(pcpus=1, scheduler="edf")
    bench.vm(SPIN, "a", cpu=CpuSettings(reservation=500_000))
    bench.vm(SPIN, "b")
    bench.run(20 * PERIOD)
    a, b = (vm.vcpus[0].run_cycles / (20 * PERIOD) for vm in bench.hypervisor.vms.values())
    assert 0.65 < a < 0.75
    assert 0.25 < b < 0.35


def test_a_sleeper_cannot_take_more_than_it_reserved_from_others(make_bench: MakeBench) -> None:
    bench = make_bench(pcpus=1, scheduler="edf")
    sleeper = """
        li t0, 1 << 5
        csrs sie, t0
    1:  rdtime a0
        li t0, 61000
        add a0, a0, t0
        sbi TIME, 0
        wfi
        li t0, 120000
    2:  addi t0, t0, -1
        bnez t0, 2b
        j 1b
    """
    bench.vm(sleeper, "sleeper", cpu=CpuSettings(reservation=450_000))
    bench.vm(SPIN, "steady", cpu=CpuSettings(reservation=450_000))
    bench.run(12 * PERIOD)
    assert all(held_in(bench, "steady", k * PERIOD, (k + 1) * PERIOD) >= 450_000 for k in range(11))


def test_a_vm_runs_only_where_its_affinity_allows(make_bench: MakeBench) -> None:
    bench = make_bench(pcpus=3)
    for name in "abc":
        bench.vm(SPIN, name, cpu=CpuSettings(affinity=(1,)))
    free = bench.vm(SPIN, "free")
    bench.run(6 * PERIOD)
    lanes = bench.hypervisor.trace.lanes
    pinned = [{one.vm for one in lane} & {"a", "b", "c"} for lane in lanes]
    assert pinned == [set(), {"a", "b", "c"}, set()]
    assert free.vcpus[0].ready_cycles < 2_000


def test_affinity_changes_while_a_vm_runs(make_bench: MakeBench) -> None:
    bench = make_bench()
    vm = bench.vm(SPIN)
    bench.run(100_000)
    for pcpu in (1, 0, 1):
        change(bench, vm, affinity=(pcpu,))
        bench.run(100_000)
        assert vm.vcpus[0].pcpu == pcpu


@pytest.mark.parametrize("scheduler", sorted(POLICIES))
def test_a_pcpu_is_unplugged_and_plugged_in_while_vms_run(make_bench: MakeBench, scheduler: str) -> None:
    bench = make_bench(pcpus=2, scheduler=scheduler)
    vms = [bench.vm(SPIN, name) for name in "abc"]
    bench.run(2 * PERIOD)
    offline(bench, 1)
    since = max(pcpu.hart.clock for pcpu in bench.hypervisor.pcpus)
    before = [vm.vcpus[0].run_cycles for vm in vms]
    bench.run(10 * PERIOD)
    used = [one for one in bench.hypervisor.trace.lanes[1] if one.kind == "run" and one.start > since]
    assert used == []
    gained = [vm.vcpus[0].run_cycles - was for vm, was in zip(vms, before, strict=True)]
    fair = sum(gained) / 3
    assert all(abs(one - fair) < (0.6 if scheduler == "lottery" else 0.15) * fair for one in gained)
    offline(bench)
    idle = bench.hypervisor.pcpus[1].idle_cycles
    bench.run(4 * PERIOD)
    assert bench.hypervisor.pcpus[1].idle_cycles - idle < 150_000


def test_a_guest_starts_a_vcpu_that_was_added_while_it_ran(make_bench: MakeBench) -> None:
    bench = make_bench()
    vm = bench.vm("""
        bnez a0, second
1:      li a0, 1
        la a1, second
        li a2, 0
        sbi HSM, 0              # an invalid parameter, as long as there is no such hart
        bnez a0, 1b
2:      wfi
        j 2b
second: li a0, '+'
        putchar
        sbi HSM, 1
    """)
    bench.run(300_000)
    assert vm.console.text() == ""
    bench.hypervisor.reconfigure_cpu(vm, replace(vm.settings, vcpus=2))
    bench.run(300_000)
    assert vm.console.text() == "+"
    assert vm.vcpus[1].state is VcpuState.STOPPED
    bench.hypervisor.reconfigure_cpu(vm, replace(vm.settings, vcpus=1))
    assert len(vm.vcpus) == 1


def test_a_vcpu_that_runs_cannot_be_taken_away(make_bench: MakeBench) -> None:
    bench = make_bench()
    vm = bench.vm(SPIN_ON_ALL, vcpus=8)
    bench.run(300_000)
    with pytest.raises(AdmissionError, match=r"vCPU 4 of a is \w+ and cannot be taken away"):
        bench.hypervisor.reconfigure_cpu(vm, replace(vm.settings, vcpus=4))
    assert len(vm.vcpus) == 8


def refused(bench: Bench, act: Callable[[], None], key: str, words: str) -> None:
    """Assert that an act is refused for `key` with these words, and that nothing has changed."""
    before = bench.state()
    with pytest.raises(AdmissionError, match=words) as caught:
        act()
    assert caught.value.key == key
    assert bench.state() == before


def test_what_cannot_be_kept_is_refused_and_the_reason_said(make_bench: MakeBench) -> None:
    bench = make_bench(pcpus=2, scheduler="edf", period=500_000)
    vm = bench.vm(SPIN, "a", cpu=CpuSettings(reservation=600_000))
    pinned = bench.vm(SPIN, "b", cpu=CpuSettings(affinity=(1,)))
    refused(
        bench, lambda: change(bench, pinned, cap=1), "cap", r"5000 cycles .* can take 6996; cap it at 2 %"
    )
    refused(bench, lambda: change(bench, vm, cap=50), "reservation", r"reserves 60\.0 % .* capped at 50 %")
    refused(bench, lambda: change(bench, vm, affinity=(5,)), "affinity", "pCPU 5 only, and the host has 2")
    refused(bench, lambda: change(bench, vm, reservation=960_000), "reservation", r"reserves 96\.0 %")
    refused(bench, lambda: offline(bench, 1), "affinity", "b may run on pCPU 1 only")
    change(bench, pinned, reservation=900_000)
    change(bench, pinned, affinity=())
    refused(bench, lambda: offline(bench, 1), "reservation", r"vCPU a\.0 reserves 60\.0 %")
    swap = bench.hypervisor.reconfigure_host
    refused(bench, lambda: swap("fair", 100_000, PERIOD, ()), "reservation", "fair cannot guarantee one")


def test_a_gang_needs_as_many_pcpus_as_it_has_vcpus(make_bench: MakeBench) -> None:
    bench = make_bench(pcpus=2, scheduler="gang")
    vm = bench.vm(SPIN_ON_ALL, "wide", vcpus=2)
    refused(bench, lambda: change(bench, vm, affinity=(0,)), "vcpus", "wide has 2 vCPUs, and the gang")
    refused(bench, lambda: offline(bench, 0), "vcpus", "wide has 2 vCPUs, and the gang")
    wider = bench.vm(SPIN_ON_ALL, "wider", start=False, vcpus=3)
    refused(bench, lambda: lifecycle.start(bench.hypervisor, wider), "vcpus", "wider has 3 vCPUs")


def test_schedulers_change_while_vms_run_and_weights_hold_from_then_on(make_bench: MakeBench) -> None:
    bench = make_bench(pcpus=1)
    vms = [bench.vm(SPIN, name) for name in "ab"]
    change(bench, vms[0], weight=768)
    for scheduler in ("round-robin", "stride", "mlfq", "credit", "edf", "fair", "gang", "round-robin"):
        bench.hypervisor.reconfigure_host(scheduler, 50_000, PERIOD, ())
        before = [vm.vcpus[0].run_cycles for vm in vms]
        bench.run(10 * PERIOD)
        gained = [vm.vcpus[0].run_cycles - was for vm, was in zip(vms, before, strict=True)]
        expected = 3 if POLICIES[scheduler].uses_weight else 1
        assert gained[0] / gained[1] == pytest.approx(expected, rel=0.08), scheduler


@pytest.mark.parametrize("scheduler", sorted(POLICIES))
@given(data=st.data())
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changes_on_the_way_do_not_make_pieces_differ_from_the_whole(
    make_bench: MakeBench, scheduler: str, data: st.DataObject
) -> None:
    pieces, whole = (make_bench(pcpus=2, scheduler=scheduler, timeslice=30_000) for _ in range(2))
    for bench in (pieces, whole):
        for name in "abc":
            bench.vm(SPIN, name)
        bench.vm(CHATTY, "chatty", vcpus=2)
    for _ in range(4):
        for chunk in data.draw(st.lists(st.integers(1, 60_000), min_size=1, max_size=8)):
            pieces.run(chunk)
        whole.hypervisor.run_to(pieces.hypervisor.position)
        settings_drawn = data.draw(
            st.fixed_dictionaries(
                {"weight": st.integers(1, 2_000), "cap": st.sampled_from([0, 20, 90]), "out": st.booleans()}
            )
        )
        for bench in (pieces, whole):
            vm = bench.hypervisor.vms["a"]
            change(bench, vm, weight=settings_drawn["weight"], cap=settings_drawn["cap"])
            if scheduler != "gang":
                offline(bench, *([1] if settings_drawn["out"] else []))
        assert whole.state() == pieces.state()


# The first five are runs that would overdraw if a turn that such a change ends were not booked to its end.
@pytest.mark.parametrize("seed", [25, 50, 61, 63, 81, 0, 1])
def test_a_cap_is_not_exceeded_when_the_host_changes_in_the_middle_of_turns(
    make_bench: MakeBench, seed: int
) -> None:
    random = Random(seed)
    bench = make_bench(pcpus=2, scheduler="stride")
    cap, guest = random.choice([4, 5, 10, 35]), random.choice([TALK, SPIN, CHATTY])
    bench.vm(guest, "capped", cpu=CpuSettings(cap=cap), on_fault="skip")
    bench.vm(SPIN, "other")
    for _ in range(random.randrange(1, 40)):
        bench.run(random.randrange(1, 60_000))
        scheduler, timeslice = random.choice(["stride", "fair"]), random.choice([7777, 50_000, 100_000])
        bench.hypervisor.reconfigure_host(scheduler, timeslice, PERIOD, ())
    bench.run(2 * PERIOD)
    last = min(pcpu.hart.clock for pcpu in bench.hypervisor.pcpus) // PERIOD
    for period in range(last):
        held = held_in(bench, "capped", period * PERIOD, (period + 1) * PERIOD)
        assert held <= cap * PERIOD // 100, (period, held)
