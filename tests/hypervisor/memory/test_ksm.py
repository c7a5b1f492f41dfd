"""Merging of equal pages: what is saved, who still sees what, what a write costs."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.hypervisor import lifecycle
from emulator.hypervisor.memory.ksm import Ksm
from emulator.hypervisor.memory.settings import MemorySettings
from emulator.hypervisor.vm import Vm
from emulator.state import PAGE_BYTES, RAM_BASE
from tests.hypervisor.bench import Bench
from tests.hypervisor.memory.guests import FIRST_PAGE, numbers, touch

MIB = 1 << 20
KSM = MemorySettings(overcommit=400, ksm=True, ksm_pages=200, ksm_every=50_000)
PAGES = 50


@pytest.fixture
def host(make_bench: Callable[..., Bench]) -> Bench:
    """A host of 1 MiB that merges."""
    return make_bench(pcpus=1, memory=MIB, memory_settings=KSM)


def scanner(host: Bench) -> Ksm:
    return host.hypervisor.pager.ksm


def twins(host: Bench, **settings: Any) -> list[Vm]:
    vms = [host.vm(touch(PAGES), name, memory=MIB, **settings) for name in "ab"]
    host.run(3_000_000)
    return vms


def used(host: Bench) -> int:
    return host.host.frames - host.hypervisor.partition.free_count


def test_two_guests_with_the_same_pages_share_them(host: Bench) -> None:
    a, b = twins(host)
    assert a.frames == b.frames
    assert scanner(host).pages_shared == PAGES + 1
    assert scanner(host).pages_sharing == PAGES + 1
    assert (a.backing.resident, len(a.backing.shared)) == (0, PAGES + 1)
    assert host.hypervisor.partition.codes.count(255) == PAGES + 1
    assert used(host) == PAGES + 1 + sum(len(vm.gstage.frames) for vm in (a, b) if vm.gstage)


def test_the_host_comes_to_rest_when_nothing_is_left_to_merge(host: Bench) -> None:
    twins(host)
    assert host.hypervisor.finished
    scans = scanner(host).state.full_scans
    host.run(1_000_000)
    assert scanner(host).state.full_scans == scans


def test_scanning_is_charged_to_the_pcpu_and_to_no_vcpu(host: Bench) -> None:
    vms = twins(host)
    pcpu = host.hypervisor.pcpus[0]
    scanned = pcpu.hypervisor_cycles - sum(vcpu.hypervisor_cycles for vm in vms for vcpu in vm.vcpus)
    assert scanned > 400 * 2 * (PAGES + 1)
    assert pcpu.run_cycles + pcpu.hypervisor_cycles + pcpu.idle_cycles == pcpu.hart.clock


def test_a_write_parts_the_writer_and_nobody_else_sees_it(host: Bench) -> None:
    a, b = twins(host)
    gpa = RAM_BASE + FIRST_PAGE * PAGE_BYTES
    breaks = scanner(host).state.breaks
    host.hypervisor.write_guest(a, gpa + 8, b"mine")  # as a device does
    assert host.hypervisor.read_guest(b, gpa, 16) == PAGES.to_bytes(8, "little") + bytes(8)
    assert host.hypervisor.read_guest(a, gpa, 12) == PAGES.to_bytes(8, "little") + b"mine"
    assert (a.backing.resident, b.backing.resident) == (1, 1)  # b has the old frame to itself
    assert scanner(host).state.breaks == breaks + 1


# Numbers its pages, sleeps until they are merged, then times a write to one of them (s6) and another (s7).
SPY = """
        li t1, 1 << 5
        csrs sie, t1
        rdtime a0
        li t1, 200000
        add a0, a0, t1
        li a7, 0
        ecall
3:      wfi
        li a7, 0
        li a0, -1
        ecall
        li s0, {area}
        rdtime t1
        sd s0, 8(s0)
        rdtime s6
        sub s6, s6, t1
        rdtime t1
        sd s0, 16(s0)
        rdtime s7
        sub s7, s7, t1
9:      wfi
        j 9b
"""


def test_a_guest_can_measure_that_a_page_was_merged(host: Bench) -> None:
    spy = touch(PAGES, SPY.format(area=RAM_BASE + FIRST_PAGE * PAGE_BYTES))
    vm = host.vm(spy, "spy", memory=MIB)
    host.vm(touch(PAGES), "victim", memory=MIB)
    host.run(6_000_000)
    first, second = vm.vcpus[0].context.x[22], vm.vcpus[0].context.x[23]
    assert vm.exits["copy on write"] >= 1
    assert first >= 200  # ticks of ten cycles
    assert second < 10


def test_pages_of_zeros_share_one_frame(host: Bench) -> None:
    vm = host.vm(touch(1), memory=MIB)
    for page in range(30, 60):
        host.hypervisor.write_guest(vm, RAM_BASE + page * PAGE_BYTES, bytes(8))
    host.run(3_000_000)
    assert scanner(host).zero_pages == 30
    assert scanner(host).pages_shared == 1


def test_who_parts_last_keeps_the_frame_and_freed_frames_are_zero(host: Bench) -> None:
    a, b = twins(host)
    frame = a.frames[FIRST_PAGE]
    lifecycle.destroy(host.hypervisor, b)
    host.hypervisor.write_guest(a, RAM_BASE + FIRST_PAGE * PAGE_BYTES, b"x")
    assert a.frames[FIRST_PAGE] == frame
    assert host.hypervisor.partition.gpa(frame) == RAM_BASE + FIRST_PAGE * PAGE_BYTES
    lifecycle.destroy(host.hypervisor, a)
    assert host.hypervisor.partition.free_count == host.host.frames
    assert all(host.host.frame_is_zero(hfn) for hfn in range(host.host.frames))
    assert scanner(host).pages_shared == 0


def test_a_reset_of_one_does_not_touch_the_other(make_bench: Callable[..., Bench]) -> None:
    host = make_bench(pcpus=1, memory=4 * MIB, memory_settings=MemorySettings(ksm=True, ksm_every=50_000))
    a, b = twins(host)
    assert scanner(host).pages_sharing > PAGES
    lifecycle.reset(host.hypervisor, a)
    assert not a.backing.shared
    host.run(5_000_000)
    assert [vm.vcpus[0].context.x[18] for vm in (a, b)] == [numbers(PAGES)] * 2


def test_a_vm_that_is_out_of_frames_is_paused_before_its_write(host: Bench) -> None:
    a, b = twins(host)
    hungry = host.vm(touch(250), "hungry", memory=MIB)
    host.hypervisor.reconfigure_memory(MemorySettings(overcommit=400))
    host.run(3_000_000)
    assert hungry.backing.refused
    host.hypervisor.write_guest(a, RAM_BASE + FIRST_PAGE * PAGE_BYTES, b"x")
    host.run(10)
    assert a.state.value == "crashed"
    assert host.hypervisor.read_guest(b, RAM_BASE + FIRST_PAGE * PAGE_BYTES, 1) == bytes([PAGES])
