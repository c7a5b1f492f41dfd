"""Every scheduler shares the pCPUs as it promises, on guests that really run."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from emulator.hypervisor import scheduler as scheduler_package
from emulator.hypervisor.scheduler import POLICIES, RunQueue, Scheduler, SchedulerError, VcpuInfo
from emulator.hypervisor.vcpu import Vcpu, VcpuState
from emulator.hypervisor.vm import CpuSettings, Vm
from tests.hypervisor.bench import Bench
from tests.hypervisor.test_determinism import fill, history

MakeBench = Callable[..., Bench]
SECOND = 100_000_000  # cycles of each pCPU
SPIN = "1: j 1b"
SLEEPER = """
    li t0, 1 << 5
    csrs sie, t0
1:  rdtime a0
    addi a0, a0, 700
    sbi TIME, 0
    wfi
    li t0, 3000
2:  addi t0, t0, -1
    bnez t0, 2b
    j 1b
"""


def held(vcpu: Vcpu) -> int:
    """Return for how long a vCPU has held pCPUs."""
    return vcpu.run_cycles + vcpu.hypervisor_cycles


def weighted(bench: Bench, weights: list[int], **settings: Any) -> list[Vm]:
    """Start a spinning VM of each weight."""
    return [
        bench.vm(SPIN, f"w{index}", cpu=CpuSettings(weight=weight), **settings)
        for index, weight in enumerate(weights)
    ]


def assert_shares(vms: list[Vm], weights: list[int], supply: int, within: float) -> None:
    """Assert that every VM has got its part of `supply` cycles."""
    for vm, weight in zip(vms, weights, strict=True):
        due = supply * weight / sum(weights)
        got = sum(held(vcpu) for vcpu in vm.vcpus)
        assert abs(got - due) <= within * due, (vm.name, got / due)


@pytest.mark.parametrize("scheduler", ["stride", "credit", "fair"])
@given(pcpus=st.integers(1, 2), weights=st.lists(st.integers(100, 800), min_size=2, max_size=6))
@example(pcpus=2, weights=[800, 400, 400, 100, 100])
@settings(
    max_examples=4,
    phases=[Phase.explicit, Phase.generate],  # an example takes a second: too long to shrink
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_weights_are_met_within_2_percent_in_a_second(
    make_bench: MakeBench, scheduler: str, pcpus: int, weights: list[int]
) -> None:
    assume(max(weights) * pcpus < 0.97 * sum(weights))  # nobody can have more than one whole pCPU
    bench = make_bench(pcpus=pcpus, scheduler=scheduler)
    vms = weighted(bench, weights)
    bench.run(SECOND * pcpus)
    assert_shares(vms, weights, SECOND * pcpus, 0.02)


def test_a_lottery_meets_weights_on_average(make_bench: MakeBench) -> None:
    weights = [128, 256, 512]
    bench = make_bench(pcpus=1, scheduler="lottery", timeslice=10_000, seed=7)
    vms = weighted(bench, weights)
    bench.run(SECOND)
    # About 9,250 draws: four standard deviations of the smallest share are 10 % of it.
    assert_shares(vms, weights, SECOND, 0.10)


def test_another_seed_draws_other_tickets(make_bench: MakeBench) -> None:
    spent = []
    for seed in (1, 1, 2):
        bench = make_bench(pcpus=1, scheduler="lottery", timeslice=10_000, seed=seed)
        spent.append(
            [held(vm.vcpus[0]) for vm in weighted(bench, [256, 256]) if bench.run(2_000_000) is None]
        )
    assert spent[0] == spent[1] != spent[2]


@pytest.mark.parametrize("scheduler", ["stride", "credit", "fair"])
def test_a_weight_is_that_of_the_vm_however_many_vcpus_it_has(make_bench: MakeBench, scheduler: str) -> None:
    bench = make_bench(pcpus=1, scheduler=scheduler)
    one = bench.vm(SPIN, "one")
    two = bench.vm(f"bnez a0, 1f\n li a0, 1\n la a1, 1f\n sbi HSM, 0\n{SPIN}", "two", vcpus=2)
    bench.run(SECOND // 2)
    assert_shares([one, two], [1, 1], SECOND // 2, 0.02)


@pytest.mark.parametrize(("scheduler", "within"), [("stride", 0.04), ("credit", 0.08), ("fair", 0.04)])
def test_a_weight_that_asks_for_more_than_a_pcpu_gets_one_and_leaves_the_rest(
    make_bench: MakeBench, scheduler: str, within: float
) -> None:
    bench = make_bench(pcpus=2, scheduler=scheduler)
    vms = weighted(bench, [10_000, 256, 512])
    bench.run(SECOND)
    assert held(vms[0].vcpus[0]) > 0.97 * SECOND / 2
    assert_shares(vms[1:], [256, 512], SECOND // 2, within)


@pytest.mark.parametrize("scheduler", sorted(POLICIES))
@given(
    weights=st.lists(st.integers(64, 1024), min_size=1, max_size=6),
    heaviest=st.integers(1024, 4096),
    sleepers=st.integers(0, 3),
    pcpus=st.integers(1, 2),
)
@example(weights=[256] * 5, heaviest=2560, sleepers=3, pcpus=2)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_starves(
    make_bench: MakeBench, scheduler: str, weights: list[int], heaviest: int, sleepers: int, pcpus: int
) -> None:
    bench = make_bench(pcpus=pcpus, scheduler=scheduler, timeslice=20_000)
    vms = weighted(bench, weights) + [bench.vm(SLEEPER, f"s{index}") for index in range(sleepers)]
    heavy = bench.vm(SPIN, "heavy", cpu=CpuSettings(weight=heaviest))
    bench.run(4_000_000)
    before = [held(vm.vcpus[0]) for vm in [*vms, heavy]]
    bench.run(12_000_000)
    gained = [held(vm.vcpus[0]) - was for vm, was in zip([*vms, heavy], before, strict=True)]
    # A quarter of what the smallest weight is due, or of what a sleeper needs.
    assert min(gained) > min(20_000, 3_000_000 * 64 // (sum(weights) + heaviest)), gained


@pytest.mark.parametrize("scheduler", sorted(POLICIES))
@given(
    chunks=st.lists(st.integers(1, 60_000), min_size=1, max_size=40),
    timeslice=st.sampled_from([900, 7_777, 50_000]),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_run_in_pieces_is_the_run_in_one_piece(
    make_bench: MakeBench, scheduler: str, chunks: list[int], timeslice: int
) -> None:
    def started() -> Bench:
        bench = make_bench(timeslice=timeslice, scheduler=scheduler, period=200_000)
        fill(bench)
        bench.vm(SPIN, "capped", cpu=CpuSettings(cap=30, weight=512))
        bench.vm(SPIN, "pinned", cpu=CpuSettings(affinity=(1,)))
        return bench

    pieces, whole = started(), started()
    for chunk in chunks:
        pieces.run(chunk)
    whole.hypervisor.run_to(pieces.hypervisor.position)
    assert whole.state() == pieces.state()
    assert history(whole) == history(pieces)


@pytest.mark.parametrize("scheduler", sorted(POLICIES))
def test_the_state_of_the_scheduler_is_state(make_bench: MakeBench, scheduler: str) -> None:
    bench = make_bench(scheduler=scheduler)
    fill(bench)
    bench.run(500_000)
    before = bench.state()
    assert bench.state() == before
    bench.hypervisor.scheduler.policy.remembered = 1  # type: ignore[attr-defined]
    assert bench.state() != before


@pytest.mark.parametrize("scheduler", sorted(POLICIES))
def test_every_cycle_of_a_vcpu_is_counted_once(make_bench: MakeBench, scheduler: str) -> None:
    bench = make_bench(scheduler=scheduler, timeslice=7_777)
    fill(bench)
    for _ in range(40):
        bench.run(33_333)
        for vm in bench.hypervisor.vms.values():
            for vcpu in vm.vcpus:
                until = vcpu.since if vcpu.pcpu is None else bench.hypervisor.pcpus[vcpu.pcpu].hart.clock
                waited = vcpu.ready_cycles + vcpu.idle_cycles + vcpu.off_cycles
                assert held(vcpu) + waited == until - vcpu.born


def test_mlfq_lets_a_sleeper_go_before_those_who_compute(make_bench: MakeBench) -> None:
    waits = {}
    for scheduler in ("round-robin", "mlfq"):
        bench = make_bench(pcpus=1, scheduler=scheduler)
        weighted(bench, [256, 256, 256])
        sleeper = bench.vm(SLEEPER, "sleeper").vcpus[0]
        bench.run(SECOND // 4)
        waits[scheduler] = sleeper.ready_cycles / held(sleeper)
    assert waits["mlfq"] < 0.4 * waits["round-robin"], waits


def test_fair_serves_those_who_wake_sooner_than_round_robin(make_bench: MakeBench) -> None:
    waits = {}
    for scheduler in ("round-robin", "fair", "credit"):
        bench = make_bench(pcpus=1, scheduler=scheduler)
        weighted(bench, [256, 256, 256])
        sleeper = bench.vm(SLEEPER, "sleeper").vcpus[0]
        bench.run(SECOND // 4)
        waits[scheduler] = sleeper.ready_cycles / held(sleeper)
    assert waits["fair"] < 0.5 * waits["round-robin"], waits
    assert waits["credit"] < 0.5 * waits["round-robin"], waits


SPIN_TWICE = f"bnez a0, 1f\n li a0, 1\n la a1, 1f\n sbi HSM, 0\n{SPIN}"


def overlap(bench: Bench, vm: str) -> float:
    """Return for what part of the time that vCPU 0 of a VM runs vCPU 1 runs as well."""
    turns: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    for lane in bench.hypervisor.trace.lanes:
        for one in lane:
            if one.vm == vm and one.kind == "run" and one.vcpu is not None:
                turns[one.vcpu].append((one.start, one.end))
    together = sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in turns[0] for b in turns[1])
    return together / sum(end - start for start, end in turns[0])


def test_a_gang_runs_all_its_vcpus_at_the_same_time(make_bench: MakeBench) -> None:
    shares = {}
    for scheduler in ("round-robin", "gang"):
        bench = make_bench(pcpus=2, scheduler=scheduler, timeslice=50_000)
        for name in ("a", "b"):
            bench.vm(SPIN_TWICE, name, vcpus=2)
        bench.vm(SPIN, "c")
        bench.run(10_000_000)
        shares[scheduler] = overlap(bench, "a")
    assert shares["gang"] > 0.95 > shares["round-robin"], shares


class Wrong(Scheduler):
    """Picks somebody of its own making."""

    name = "wrong"

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Break the rule."""
        return VcpuInfo(99, "nobody", 0)


def test_a_policy_that_picks_who_is_not_there_is_told_so(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.vm(SPIN)
    bench.hypervisor.scheduler.policy = Wrong(1_000)
    with pytest.raises(SchedulerError, match=r"wrong picked nobody\.0, which is not in the run queue"):
        bench.run(1_000)


def readme_policies() -> dict[str, type[Scheduler]]:
    """Return the classes that the package's README shows."""
    readme = Path(scheduler_package.__file__).parent / "README.md"
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL):
        exec(code, names)
    return {name: names[name] for name in ("LeastServed", "Owed")}


@pytest.mark.parametrize(("name", "weights"), [("LeastServed", [1, 1, 1]), ("Owed", [1, 3, 2])])
def test_policies_of_the_readme_share_as_they_say(
    make_bench: MakeBench, name: str, weights: list[int]
) -> None:
    bench = make_bench(pcpus=1)
    bench.hypervisor.scheduler.policy = readme_policies()[name](50_000)
    vms = weighted(bench, [256 * weight for weight in weights])
    sleeper = bench.vm(SLEEPER, "sleeper").vcpus[0]
    bench.run(SECOND // 10)
    shared = sum(held(vm.vcpus[0]) for vm in vms)
    assert_shares(vms, weights, shared, 0.02)
    assert held(sleeper) > 0.05 * shared
    assert {vm.vcpus[0].state for vm in vms} <= {VcpuState.READY, VcpuState.RUNNING}
