"""Every frame has one owner or is shared as documented, free ones are zero, and guests find what they wrote.

Random sequences of verbs on guests that run, and check their own memory while they do.
"""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.hypervisor.gstage import PTE_V, PTE_W, frame_address
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.partition import FREE, SHARED, ram_code, table_code
from emulator.hypervisor.vm import HOLDS_MEMORY, Vm, VmState
from emulator.lab import Lab
from emulator.lab.checkpoint import Checkpoint
from emulator.lab.config import LabConfig
from emulator.lab.errors import LabError
from emulator.lab.programs import Program
from emulator.state import PAGE_BYTES, RAM_BASE
from tests.hypervisor.memory.guests import balloon_driver, churn

HOST = {
    "memory": "1 MiB",
    "pcpus": 2,
    "overcommit": 4,
    "swap": "256 KiB",
    "swap_latency": "5 us",
    "swap_interval": "500 us",
    "ksm": True,
    "ksm_pages": 100,
    "ksm_interval": "1 ms",
    "balloon_interval": "500 us",
}
VMS = [
    {"name": "a", "memory": "512 KiB", "max_memory": "768 KiB", "program": "churn"},
    {"name": "b", "memory": "512 KiB", "program": "churn", "memory_reservation": "128 KiB"},
    {"name": "d", "memory": "512 KiB", "program": "churn"},
    {"name": "c", "memory": "1 MiB", "program": "balloon", "balloon": True, "memory_limit": "256 KiB"},
]
PROGRAMS = {
    "churn": Program("churn", source=churn(100)),
    "balloon": Program("balloon", source=balloon_driver(100)),
}
NAMES = st.sampled_from("abcd")
ON_VM = st.builds(
    lambda verb, vm: {"verb": verb, "vm": vm},
    st.sampled_from(["start", "start", "destroy", "reset", "suspend", "resume", "resume"]),
    NAMES,
)
BALLOON = st.builds(
    lambda pages: {"verb": "set_balloon", "vm": "c", "target": pages * PAGE_BYTES}, st.integers(0, 120)
)
LIMIT = st.builds(
    lambda vm, size: {"verb": "set_vm", "vm": vm, "memory_limit": size},
    st.sampled_from("ac"),
    st.sampled_from(["none", "160 KiB", "64 KiB"]),
)
GROW = st.builds(
    lambda pages: {"verb": "set_vm", "vm": "a", "memory": (128 + pages) * PAGE_BYTES}, st.integers(0, 64)
)
KEEP = st.builds(
    lambda verb, vm, name: {"verb": verb, "vm": vm, "name": name},
    st.sampled_from(["snapshot_create", "snapshot_create", "snapshot_revert", "snapshot_delete"]),
    NAMES,
    st.sampled_from(["s", "t"]),
)
CLONE = st.builds(
    lambda vm, linked: {"verb": "clone", "vm": vm, "name": f"{vm}x", "linked": linked}, NAMES, st.booleans()
)
ON_HOST = st.builds(
    lambda change: {"verb": "set_host", **change},
    st.sampled_from(
        [
            *({"swap_policy": name} for name in ("fifo", "clock", "lru", "working-set")),
            *({"ksm": on} for on in (True, False)),
            *({"balloon_policy": name} for name in ("manual", "proportional", "free-pages")),
        ]
    ),
)


def check(lab: Lab) -> None:
    """Compare every account with what the tables and codes say."""
    hypervisor = lab.hypervisor
    partition, host = hypervisor.partition, hypervisor.host
    owners: dict[int, int] = {}
    slots: list[int] = []
    for vm in hypervisor.vms.values():
        own = check_vm(lab, vm)
        assert not owners.keys() & own.keys()
        owners |= own
        slots += [*vm.backing.swapped.values(), *vm.backing.copies.values()]
    owners |= dict.fromkeys(hypervisor.pager.ksm.state.sharers, SHARED)
    assert {hfn: code for hfn, code in enumerate(partition.codes) if code != FREE} == owners
    assert partition.free_count == host.frames - len(owners)
    assert all(host.frame_is_zero(hfn) for hfn in range(host.frames) if hfn not in owners)
    assert sorted(slots) == sorted(hypervisor.pager.reclaim.area.slots)
    rams = {hfn for hfn, code in owners.items() if code != SHARED and code % 2 == 0}
    assert set(hypervisor.pager.reclaim.policy.frames) == rams


def check_vm(lab: Lab, vm: Vm) -> dict[int, int]:
    """Return the frames of a VM alone, with their codes."""
    hypervisor, backing = lab.hypervisor, vm.backing
    if vm.lifecycle not in HOLDS_MEMORY:
        assert vm.frames == []
        assert vm.gstage is None
        assert (backing.resident, backing.shared, backing.swapped, backing.copies) == (0, set(), {}, {})
        return {}
    assert vm.gstage is not None
    own: dict[int, int] = {}
    for page, hfn in enumerate(vm.frames):
        gpa = RAM_BASE + page * PAGE_BYTES
        entry = vm.gstage.lookup(gpa)
        assert bool(entry & PTE_V) == (hfn != ABSENT)
        if hfn == ABSENT:
            assert page not in backing.copies
            continue
        assert entry >> 10 << 12 == frame_address(hfn)
        assert page not in backing.swapped
        assert bool(entry & PTE_W) == (page not in backing.shared)
        if page in backing.shared:
            assert (vm.serial, page) in hypervisor.pager.ksm.state.sharers[hfn]
        else:
            assert hypervisor.partition.gpa(hfn) == gpa
            own[hfn] = ram_code(vm.index)
    assert len(own) == backing.resident
    return own | dict.fromkeys(vm.gstage.frames, table_code(vm.index))


def check_guests(lab: Lab) -> None:
    """No guest has found a wrong number, nor left its memory; only the lack of memory stops one."""
    for vm in lab.hypervisor.vms.values():
        assert vm.fault_count == 0
        if vm.lifecycle is VmState.PAUSED and vm.backing.refused:
            assert "frame" in vm.backing.refused


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actions=st.lists(ON_VM | BALLOON | LIMIT | GROW | ON_HOST | KEEP | CLONE, min_size=6, max_size=14),
    steps=st.lists(st.integers(1, 1_500_000), min_size=14, max_size=14),
)
def test_frames_are_conserved_whatever_happens(
    engine: Any, actions: list[dict[str, Any]], steps: list[int]
) -> None:
    lab = Lab(LabConfig.from_dict({"host": HOST, "vms": VMS}), PROGRAMS, 1, engine)
    for name in "abcd":
        lab.apply({"verb": "start", "vm": name})
    for action, step in zip(actions, steps, strict=False):
        lab.advance(lab.position + step)
        check(lab)
        check_guests(lab)
        try:
            lab.apply(action)
        except LabError:
            continue
        check(lab)
    for name, vm in lab.hypervisor.vms.items():
        if vm.lifecycle in HOLDS_MEMORY:
            lab.apply({"verb": "destroy", "vm": name})
    check(lab)
    assert lab.hypervisor.partition.free_count == lab.hypervisor.host.frames


def test_a_lab_that_swaps_merges_and_inflates_is_replayed_and_taken_back(engine: Any) -> None:
    host = HOST | {"swap": "2 MiB"}
    lab = Lab(LabConfig.from_dict({"host": host, "vms": VMS}), PROGRAMS, 1, engine)
    for name in "abcd":
        lab.apply({"verb": "start", "vm": name})
    lab.advance(3_000_000)
    lab.apply({"verb": "set_balloon", "vm": "c", "target": "128 KiB"})
    checkpoint, middle = Checkpoint(lab), lab.state_hash()
    lab.advance(8_000_000)
    counters = [lab.hypervisor.pager.ksm.state.breaks, len(lab.hypervisor.pager.reclaim.area.slots)]
    assert all(counters)
    replayed = Lab.replay(lab.config_at_start, lab.programs, 1, lab.log, lab.position, engine)
    end = lab.state_hash()
    assert replayed.state_hash() == end
    checkpoint.restore()
    assert lab.state_hash() == middle
    check(lab)
    lab.advance(8_000_000)
    assert lab.state_hash() == end
