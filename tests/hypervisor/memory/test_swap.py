"""Host swap: pages go by a policy that sees A bits, and come back with what they held, at a disk's cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from emulator.hypervisor import lifecycle
from emulator.hypervisor.memory.replacement import Aging, Clock, Replacement, WorkingSet
from emulator.hypervisor.memory.settings import MemorySettings, RamSettings
from emulator.hypervisor.vm import VmState
from emulator.state import PAGE_BYTES
from tests.hypervisor.bench import Bench
from tests.hypervisor.memory.guests import FIRST_PAGE, numbers, resident, touch

MIB = 1 << 20
SWAP = MemorySettings(overcommit=800, swap_pages=1024, swap_latency=5_000)
LIMIT = RamSettings(limit=64 * PAGE_BYTES)


@pytest.fixture
def host(make_bench: Callable[..., Bench]) -> Bench:
    """A host of 1 MiB with 4 MiB of swap."""
    return make_bench(pcpus=1, memory=MIB, memory_settings=SWAP)


def test_pages_come_back_with_what_they_held(host: Bench) -> None:
    vm = host.vm(touch(100), memory=MIB, ram=LIMIT)
    host.run(10_000_000)
    assert vm.vcpus[0].context.x[18] == numbers(100)
    assert resident(vm) == vm.backing.resident == 64
    assert vm.exits["swap in"] == vm.backing.swapped_in > 0
    assert len(vm.backing.swapped) == 101 - 64


def test_two_vms_share_a_host_that_is_smaller_than_both(host: Bench) -> None:
    vms = [host.vm(touch(240), name, memory=2 * MIB) for name in "ab"]
    host.run(40_000_000)
    assert [vm.vcpus[0].context.x[18] for vm in vms] == [numbers(240)] * 2
    assert all(vm.backing.swapped_in for vm in vms)


def test_a_vcpu_is_blocked_while_the_disk_works_and_its_time_adds_up(host: Bench) -> None:
    vm = host.vm(touch(100), memory=MIB, ram=LIMIT)
    states: set[VmState] = set()
    for _ in range(300):
        host.run(2_000)
        states.add(vm.state)
    assert {VmState.RUNNING, VmState.BLOCKED} <= states
    host.run(10_000_000)
    vcpu = vm.vcpus[0]
    backing = vm.backing
    assert vcpu.blocked_cycles >= 5_000 * (backing.swapped_in + backing.swapped_out)
    spent = vcpu.run_cycles + vcpu.hypervisor_cycles + vcpu.ready_cycles + vcpu.blocked_cycles
    assert spent + vcpu.idle_cycles + vcpu.off_cycles == vcpu.since - vcpu.born


def test_a_page_that_was_not_written_again_goes_without_the_disk(host: Bench) -> None:
    again = """
        li s3, 20
5:      li s0, 0x80010000
        li s1, 100
6:      ld t1, 0(s0)
        add s0, s0, t0
        addi s1, s1, -1
        bnez s1, 6b
        addi s3, s3, -1
        bnez s3, 5b
9:      wfi
        j 9b
    """
    vm = host.vm(touch(100, then=again), memory=MIB, ram=LIMIT)
    host.run(30_000_000)
    assert vm.backing.swapped_in > 1000
    assert vm.backing.swapped_out < 250


def test_what_the_host_writes_into_a_swapped_page_is_kept(host: Bench) -> None:
    vm = host.vm(touch(100), memory=MIB, ram=LIMIT)
    host.run(10_000_000)
    page = next(iter(vm.backing.swapped))
    gpa = 0x8000_0000 + page * PAGE_BYTES
    host.hypervisor.write_guest(vm, gpa + 8, b"from a device")
    host.hypervisor.pager.reclaim.evict(vm, vm)
    while page not in vm.backing.swapped:
        host.hypervisor.pager.reclaim.evict(vm, vm)
    assert host.hypervisor.read_guest(vm, gpa + 8, 13) == b"from a device"


def test_a_full_swap_area_pauses_the_vm(make_bench: Callable[..., Bench]) -> None:
    host = make_bench(pcpus=1, memory=MIB, memory_settings=MemorySettings(overcommit=800, swap_pages=20))
    vm = host.vm(touch(100), memory=MIB, ram=LIMIT)
    host.run(10_000_000)
    assert vm.lifecycle is VmState.PAUSED
    assert len(vm.backing.swapped) == 20
    lifecycle.destroy(host.hypervisor, vm)
    assert host.hypervisor.pager.reclaim.area.free == 20
    assert host.hypervisor.partition.free_count == 256


def test_a_pause_in_the_middle_of_a_disk_access_loses_nothing(host: Bench) -> None:
    vm = host.vm(touch(100), memory=MIB, ram=LIMIT)
    while vm.state is not VmState.BLOCKED:
        host.run(1_000)
    lifecycle.suspend(host.hypervisor, vm)
    host.run(100_000)
    lifecycle.resume(host.hypervisor, vm)
    host.run(10_000_000)
    assert vm.vcpus[0].context.x[18] == numbers(100)


# A hot page that is read between all others, and many cold ones.
HOT_AND_COLD = f"""
        li t0, {PAGE_BYTES}
        li s4, {0x8000_0000 + FIRST_PAGE * PAGE_BYTES}
        li s3, 4
5:      add s0, s4, t0
        li s1, 80
6:      li s5, 12
7:      ld t1, 0(s4)
        addi s5, s5, -1
        bnez s5, 7b
        sd s1, 0(s0)
        add s0, s0, t0
        addi s1, s1, -1
        bnez s1, 6b
        addi s3, s3, -1
        bnez s3, 5b
9:      wfi
        j 9b
"""


def swap_ins(make_bench: Callable[..., Bench], policy: str) -> int:
    memory = MemorySettings(800, 1024, policy, swap_latency=5_000, age_every=20_000)
    host = make_bench(pcpus=1, memory=MIB, memory_settings=memory)
    vm = host.vm(HOT_AND_COLD, memory=MIB, ram=RamSettings(limit=40 * PAGE_BYTES))
    host.run(30_000_000)
    assert vm.state is VmState.IDLE
    return vm.backing.swapped_in


def test_policies_that_see_a_bits_keep_the_hot_pages(make_bench: Callable[..., Bench]) -> None:
    fifo, *others = (swap_ins(make_bench, name) for name in ("fifo", "clock", "lru", "working-set"))
    assert all(count < fifo for count in others)


def test_thrashing_is_seen_in_time_and_counts(make_bench: Callable[..., Bench]) -> None:
    def run(limit: int) -> tuple[int, int]:
        host = make_bench(pcpus=1, memory=MIB, memory_settings=SWAP)
        vm = host.vm(HOT_AND_COLD, memory=MIB, ram=RamSettings(limit=limit * PAGE_BYTES))
        host.run(30_000_000)
        vcpu = vm.vcpus[0]
        return vm.backing.swapped_in, vcpu.blocked_cycles * 100 // (vcpu.since - vcpu.idle_cycles)

    (enough_in, enough_share), (little_in, little_share) = run(90), run(40)
    assert (enough_in, enough_share) == (0, 0)
    assert little_in > 200
    assert little_share > 60


def test_the_policy_changes_while_vms_run(host: Bench) -> None:
    vm = host.vm(touch(100), memory=MIB, ram=LIMIT)
    host.run(400_000)
    for policy in ("lru", "working-set", "fifo", "clock"):
        host.hypervisor.reconfigure_memory(MemorySettings(800, 1024, policy, 5_000, 100_000))
        host.run(400_000)
        assert set(host.hypervisor.pager.reclaim.policy.frames) == {hfn for hfn in vm.frames if hfn >= 0}
    host.run(10_000_000)
    assert vm.vcpus[0].context.x[18] == numbers(100)


@dataclass
class Bits:
    """A bits by frame."""

    used: set[int] = field(default_factory=set[int])
    kept: frozenset[int] = frozenset()
    times: Mapping[int, int] = field(default_factory=dict[int, int])

    def may_go(self, frame: int, /) -> bool:
        return frame not in self.kept

    def accessed(self, frame: int, /) -> bool:
        return frame in self.used

    def clear(self, frame: int, /) -> None:
        self.used.discard(frame)

    def time(self, frame: int, /) -> int:
        return self.times.get(frame, 0)


def filled(policy: Replacement, bits: Bits) -> Replacement:
    for frame in (1, 2, 3):
        policy.on_map(frame, bits)
    return policy


def test_fifo_takes_the_oldest_that_may_go() -> None:
    assert filled(Replacement(), Bits()).victim(Bits(kept=frozenset({1}))) == 2
    assert filled(Replacement(), Bits()).victim(Bits(kept=frozenset({1, 2, 3}))) is None


def test_clock_gives_a_second_chance() -> None:
    bits = Bits({1, 2})
    policy = filled(Clock(), bits)
    assert policy.victim(bits) == 3
    assert bits.used == set()
    assert filled(Clock(), bits).victim(Bits({1, 2, 3})) == 1


def test_aging_takes_who_was_used_least() -> None:
    bits = Bits()
    policy = filled(Aging(), bits)
    policy.on_age({1, 2}, bits)
    policy.on_age({1}, bits)
    assert policy.victim(bits) == 3
    assert policy.victim(Bits(used={3})) == 2


def test_the_working_set_of_a_vm_that_sleeps_stays() -> None:
    bits = Bits()
    policy = filled(WorkingSet(), bits)
    assert policy.victim(Bits(times={2: 9})) == 2
    assert policy.victim(Bits(times={2: 2})) == 1  # all are in working sets: the oldest
