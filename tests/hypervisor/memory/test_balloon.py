"""Balloons: guests give pages, the host gets their frames, and nothing that was not given is taken."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.hypervisor import lifecycle
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.memory.ballooning import FreePages, HostMemory, Proportional, VmMemory
from emulator.hypervisor.memory.daemon import balloon_of, balloon_pages
from emulator.hypervisor.memory.settings import MemorySettings
from emulator.hypervisor.vm import Vm
from emulator.state import PAGE_BYTES, RAM_BASE
from tests.hypervisor.bench import Bench
from tests.hypervisor.memory.guests import GIVEN_FROM, balloon_driver, resident, touch

MIB = 1 << 20
WILLING = 100


def ask(vm: Vm, pages: int) -> None:
    balloon = balloon_of(vm)
    assert balloon is not None
    balloon.ask(pages)


@pytest.fixture
def inflated(bench: Bench) -> tuple[Bench, Vm]:
    """A VM of 256 pages under a static partition that has given 40."""
    vm = bench.vm(balloon_driver(WILLING), memory=MIB, balloon=True)
    ask(vm, 40)
    bench.run()
    return bench, vm


def test_the_host_gets_the_frames_that_a_guest_gives(inflated: tuple[Bench, Vm]) -> None:
    bench, vm = inflated
    assert balloon_pages(vm) == 40
    assert resident(vm) == vm.backing.resident == 256 - 40
    free = [hfn for hfn, code in enumerate(bench.hypervisor.partition.codes) if code == 0]
    assert len(free) == bench.hypervisor.partition.free_count
    assert all(bench.host.frame_is_zero(hfn) for hfn in free)


def test_a_page_that_comes_back_gets_a_frame_when_it_is_touched(inflated: tuple[Bench, Vm]) -> None:
    bench, vm = inflated
    ask(vm, 10)
    bench.run()
    assert balloon_pages(vm) == 10
    assert resident(vm) == 256 - 10
    assert vm.exits["demand paging"] == 30
    page = bench.hypervisor.read_guest(vm, RAM_BASE + (GIVEN_FROM + 39) * PAGE_BYTES, PAGE_BYTES)
    assert page == (7).to_bytes(8, "little") + bytes(PAGE_BYTES - 8)


def test_a_guest_gives_no_more_than_it_will(bench: Bench) -> None:
    vm = bench.vm(balloon_driver(WILLING), memory=MIB, balloon=True)
    ask(vm, 256)
    bench.run()
    assert balloon_pages(vm) == WILLING
    assert resident(vm) == 256 - WILLING


def test_what_one_vm_gives_another_can_have(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(pcpus=1, memory=MIB, memory_settings=MemorySettings(overcommit=400))
    giver = bench.vm(balloon_driver(WILLING), "giver", memory=MIB, balloon=True)
    for page in range(GIVEN_FROM, GIVEN_FROM + WILLING):
        bench.hypervisor.write_guest(giver, RAM_BASE + page * PAGE_BYTES, b"secret")
    taker = bench.vm(touch(200), "taker", memory=MIB)
    bench.run()
    assert taker.backing.refused
    ask(giver, WILLING)
    bench.run()
    lifecycle.resume(bench.hypervisor, taker)
    bench.run()
    assert not taker.backing.refused
    held = b"".join(bench.host.read_frame(hfn) for hfn in taker.frames if hfn != ABSENT)
    assert b"secret" not in held


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(targets=st.lists(st.integers(0, 256), max_size=6), willing=st.integers(0, 120))
def test_a_balloon_never_takes_what_the_guest_did_not_give(
    make_bench: Callable[..., Bench], targets: list[int], willing: int
) -> None:
    bench = make_bench(pcpus=1, memory=2 * MIB)
    vm = bench.vm(balloon_driver(willing), memory=MIB, balloon=True)
    marked = range(8, 256)  # behind the driver's own code and data
    for page in marked:
        bench.hypervisor.write_guest(vm, RAM_BASE + page * PAGE_BYTES + 8, page.to_bytes(8, "little"))
    balloon = balloon_of(vm)
    assert balloon is not None
    given = set(
        range(GIVEN_FROM, GIVEN_FROM + min(willing, max(targets, default=0)))
    )  # at one time or another
    for target in targets:
        ask(vm, target)
        bench.run(400_000)
        assert {number - (RAM_BASE >> 12) for number in balloon.state.pages} <= given
        absent = {page for page, hfn in enumerate(vm.frames) if hfn == ABSENT}
        assert absent <= given
        assert vm.backing.resident == 256 - len(absent)
    for page in set(marked) - given:
        kept = bench.hypervisor.read_guest(vm, RAM_BASE + page * PAGE_BYTES + 8, 8)
        assert int.from_bytes(kept, "little") == page


def test_the_proportional_policy_makes_room_by_itself(make_bench: Callable[..., Bench]) -> None:
    memory = MemorySettings(balloon_policy="proportional", balloon_every=50_000)
    bench = make_bench(pcpus=2, memory=MIB, memory_settings=memory)
    vms = [bench.vm(balloon_driver(WILLING), name, memory=120 * PAGE_BYTES, balloon=True) for name in "ab"]
    assert bench.hypervisor.partition.free_count < 256 // 10
    bench.run(3_000_000)
    assert bench.hypervisor.partition.free_count >= 256 // 10
    sizes = [balloon_pages(vm) for vm in vms]
    assert min(sizes) > 0
    assert abs(sizes[0] - sizes[1]) <= 1
    assert sum(pcpu.hypervisor_cycles for pcpu in bench.hypervisor.pcpus) > sum(
        vcpu.hypervisor_cycles for vm in vms for vcpu in vm.vcpus
    )


VM = VmMemory("a", memory=100 << 12, resident=100 << 12, balloon=0, target=0, reservation=0, free=None)


def test_proportional_takes_nothing_of_what_is_reserved() -> None:
    host = HostMemory(memory=200 << 12, free=0)
    vms = [VM, replace(VM, name="b", reservation=100 << 12)]
    assert Proportional().targets(vms, host) == {"a": 40 << 12}


def test_proportional_gives_back_when_more_than_enough_is_free() -> None:
    vms = [replace(VM, balloon=40 << 12, resident=60 << 12)]
    assert Proportional().targets(vms, HostMemory(memory=200 << 12, free=60 << 12)) == {"a": 20 << 12}
    assert Proportional().targets(vms, HostMemory(memory=200 << 12, free=30 << 12)) == {}


def test_free_pages_takes_what_guests_do_not_use() -> None:
    vms = [replace(VM, free=50 << 12), replace(VM, name="b", free=4 << 12), replace(VM, name="c")]
    targets = FreePages().targets(vms, HostMemory(memory=300 << 12, free=0))
    assert targets == {"a": 40 << 12, "b": 0, "c": 0}
