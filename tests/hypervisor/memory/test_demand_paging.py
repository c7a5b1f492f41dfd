"""Frames given at the first touch, what limits and reservations do, and what happens without any left."""

from collections.abc import Callable

import pytest

from emulator.hypervisor import lifecycle
from emulator.hypervisor.costs import WORLD_SWITCH, Costs
from emulator.hypervisor.lifecycle import LifecycleError
from emulator.hypervisor.memory.settings import MemorySettings, RamSettings
from emulator.hypervisor.vm import DiskSettings, VmState
from emulator.state import PAGE_BYTES, RAM_BASE
from tests.hypervisor.bench import Bench
from tests.hypervisor.memory.guests import numbers, resident, touch

MIB = 1 << 20
PAGES = 100  # that the guests here touch
HOST_PAGES = 256


@pytest.fixture
def host(make_bench: Callable[..., Bench]) -> Bench:
    """A host of 1 MiB and one pCPU that promises four times as much."""
    return make_bench(pcpus=1, memory=MIB, memory_settings=MemorySettings(overcommit=400))


def test_a_page_gets_its_frame_when_it_is_first_touched(host: Bench) -> None:
    vm = host.vm(touch(PAGES), memory=2 * MIB)
    assert resident(vm) == vm.backing.resident == 1  # the program
    host.run(10_000_000)
    assert vm.vcpus[0].context.x[18] == numbers(PAGES)
    assert vm.exits["demand paging"] == PAGES
    assert resident(vm) == vm.backing.resident == vm.backing.given == PAGES + 1
    assert vm.gstage is not None
    assert host.hypervisor.partition.free_count == HOST_PAGES - PAGES - 1 - len(vm.gstage.frames)


def test_the_first_touch_costs_what_the_table_of_costs_says(host: Bench) -> None:
    vm = host.vm(touch(PAGES), memory=2 * MIB)
    host.run(10_000_000)
    vcpu = vm.vcpus[0]
    others = sum(
        count * Costs().of(reason) for reason, count in vm.exits.items() if reason != "demand paging"
    )
    assert vcpu.hypervisor_cycles == PAGES * 1500 + others + WORLD_SWITCH


def test_vms_together_may_have_more_memory_than_the_host(host: Bench) -> None:
    a, b = (host.vm(touch(PAGES), name, memory=2 * MIB) for name in "ab")
    host.run(10_000_000)
    assert a.vcpus[0].context.x[18] == b.vcpus[0].context.x[18] == numbers(PAGES)
    assert not {*a.frames} & {*b.frames} - {-1}


def test_no_more_than_the_overcommit_ratio_is_promised(host: Bench) -> None:
    host.vm(touch(1), "a", memory=2 * MIB)
    with pytest.raises(
        LifecycleError, match=r"2052 KiB and the 2048 KiB.*4096 KiB that an overcommit ratio of 4"
    ):
        host.vm(touch(1), "b", memory=2 * MIB + PAGE_BYTES)


def test_a_vm_is_paused_when_the_host_has_no_frame_and_goes_on_when_it_has(host: Bench) -> None:
    a, b = (host.vm(touch(200), name, memory=MIB) for name in "ab")
    host.run(10_000_000)
    paused = a if a.lifecycle is VmState.PAUSED else b
    other = b if paused is a else a
    assert paused.lifecycle is VmState.PAUSED
    assert paused.backing.refused == "the host has no free frame"
    lifecycle.resume(host.hypervisor, paused)
    host.run(10_000_000)
    assert {a.lifecycle, b.lifecycle} == {VmState.PAUSED}
    lifecycle.destroy(host.hypervisor, other)
    lifecycle.resume(host.hypervisor, paused)
    host.run(10_000_000)
    assert paused.vcpus[0].context.x[18] == numbers(200)
    assert paused.backing.refused == ""


def test_a_vm_never_has_more_than_its_limit(host: Bench) -> None:
    vm = host.vm(touch(PAGES), memory=MIB, ram=RamSettings(limit=64 * PAGE_BYTES))
    host.run(10_000_000)
    assert vm.lifecycle is VmState.PAUSED
    assert resident(vm) == 64
    assert vm.backing.refused == "it has the 64 frames that its memory_limit allows"


def test_a_reservation_is_kept_from_others(host: Bench) -> None:
    kept = host.vm(touch(PAGES), "kept", memory=MIB, ram=RamSettings(reservation=101 * PAGE_BYTES))
    lifecycle.suspend(host.hypervisor, kept)
    greedy = host.vm(touch(240), "greedy", memory=MIB)
    host.run(10_000_000)
    assert greedy.lifecycle is VmState.PAUSED
    assert "reserved for other VMs" in greedy.backing.refused
    lifecycle.resume(host.hypervisor, kept)
    host.run(10_000_000)
    assert kept.vcpus[0].context.x[18] == numbers(PAGES)


def test_reservations_beyond_the_host_are_refused(host: Bench) -> None:
    host.vm(touch(1), "a", memory=MIB, ram=RamSettings(reservation=MIB // 2))
    with pytest.raises(LifecycleError, match=r"takes 134 host frames.*134 are promised.*has 256"):
        host.vm(touch(1), "b", memory=MIB, ram=RamSettings(reservation=MIB // 2))


def test_what_is_read_without_a_frame_is_zero_and_takes_none(host: Bench) -> None:
    vm = host.vm(touch(1), memory=MIB)
    before = resident(vm)
    assert host.hypervisor.read_guest(vm, RAM_BASE + 50 * PAGE_BYTES + 100, 8000) == bytes(8000)
    assert resident(vm) == before


def test_a_vm_whose_device_finds_no_frame_is_stopped_before_it_runs_on(host: Bench) -> None:
    vm = host.vm(touch(1), memory=MIB, ram=RamSettings(limit=PAGE_BYTES))
    host.hypervisor.write_guest(vm, RAM_BASE + 50 * PAGE_BYTES, b"lost")
    host.run(1_000)
    assert vm.lifecycle is VmState.CRASHED
    assert vm.vcpus[0].retired == 0


def test_a_reset_gives_the_frames_back(host: Bench) -> None:
    vm = host.vm(touch(PAGES), memory=MIB)
    host.run(10_000_000)
    lifecycle.reset(host.hypervisor, vm)
    assert resident(vm) == vm.backing.resident == 1
    host.run(10_000_000)
    assert vm.vcpus[0].context.x[18] == numbers(PAGES)


def test_a_disk_reads_into_pages_that_were_never_touched(host: Bench) -> None:
    vm = host.vm(touch(1), memory=MIB, disk=DiskSettings(4096, b"sector"))
    assert vm.board is not None
    memory = vm.board.virtio[0]._memory
    memory.write(RAM_BASE + 60 * PAGE_BYTES - 3, b"sector")
    assert memory.read(RAM_BASE + 60 * PAGE_BYTES - 3, 6) == b"sector"
    assert vm.lifecycle is VmState.RUNNING
    assert resident(vm) == 3
