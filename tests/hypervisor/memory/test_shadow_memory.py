"""Memory that comes and goes under shadow paging: swapped, merged and copied pages."""

from collections.abc import Callable

import pytest

from emulator.core.csr_bits import PTE_R, PTE_V, PTE_W, PTE_X
from emulator.hypervisor.gstage import frame_address
from emulator.hypervisor.memory.settings import MemorySettings
from emulator.hypervisor.vm import Vm, VmState
from tests.hypervisor.bench import Bench
from tests.hypervisor.memory.guests import numbers, touch

MIB = 1 << 20
PAGES = 150


def leaves(host: Bench, vm: Vm) -> dict[int, int]:
    """Return the leaves of a VM's shadow tables: HFN -> entry."""
    assert vm.shadow is not None
    tables = vm.shadow.tables
    first = frame_address(0) >> 12
    found: dict[int, int] = {}
    for hfn in set(tables.pool) - set(tables.free):
        content = host.host.read_frame(hfn)
        for index in range(512):
            entry = int.from_bytes(content[index * 8 : index * 8 + 8], "little")
            if entry & PTE_V and entry & (PTE_R | PTE_W | PTE_X):
                found[(entry >> 10 & (1 << 44) - 1) - first] = entry
    return found


@pytest.mark.parametrize("policy", ["fifo", "clock", "lru", "working-set"])
def test_swapped_pages_leave_the_shadow_and_come_back(make_bench: Callable[..., Bench], policy: str) -> None:
    memory = MemorySettings(overcommit=800, swap_pages=1024, swap_latency=5_000, replacement=policy)
    host = make_bench(pcpus=1, memory=MIB, memory_settings=memory)
    vms = [host.vm(touch(PAGES), name, memory=MIB, paging="shadow") for name in "ab"]
    for _ in range(20):
        host.run(2_000_000)
        for vm in vms:
            assert set(leaves(host, vm)) <= {hfn for hfn in vm.frames if hfn >= 0}
    assert [host.hypervisor.registers(vm.vcpus[0]).x[18] for vm in vms] == [numbers(PAGES)] * 2
    assert [vm.state for vm in vms] == [VmState.IDLE] * 2
    assert sum(vm.exits.get("swap in", 0) for vm in vms) > 0


def test_a_merged_page_is_read_only_in_every_shadow(make_bench: Callable[..., Bench]) -> None:
    memory = MemorySettings(overcommit=400, ksm=True, ksm_pages=200, ksm_every=50_000)
    host = make_bench(pcpus=1, memory=MIB, memory_settings=memory)
    again = (
        "3: li s0, 0x80010000\nli t2, 100000\n4: addi t2, t2, -1\nbnez t2, 4b\nld t1, (s0)\nsd s2, (s0)\nj 3b"
    )
    a = host.vm(touch(50), "a", memory=MIB, paging="shadow")
    b = host.vm(touch(50, again), "b", memory=MIB, paging="shadow")
    shared = 0
    for _ in range(40):
        host.run(400_000)
        codes = host.hypervisor.partition.codes
        for vm in (a, b):
            for hfn, entry in leaves(host, vm).items():
                assert hfn in vm.frames
                assert codes[hfn] != 255 or not entry & PTE_W
                shared += codes[hfn] == 255
    assert shared > 0
    page = 16
    assert a.frames[page] != b.frames[page]
    assert host.hypervisor.read_guest(b, 0x8001_0000, 8) == numbers(50).to_bytes(8, "little")
    assert host.hypervisor.read_guest(a, 0x8001_0000, 8) == (50).to_bytes(8, "little")
