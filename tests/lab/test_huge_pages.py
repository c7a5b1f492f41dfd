"""Leaves of 2 MiB in G-stage tables: fewer references for each walk, and what splits them."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.build.engine import load_engine
from emulator.hypervisor.gstage import PTE_V, frame_address
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.vm import Vm
from emulator.lab import Lab
from emulator.lab.checkpoint import Checkpoint
from emulator.lab.config import LabConfig, VmConfig
from emulator.lab.errors import LabError
from emulator.lab.programs import Program
from emulator.lab.values import ConfigError
from emulator.state import PAGE_BYTES, RAM_BASE
from tests.hypervisor.memory.guests import GIVEN_FROM, balloon_driver, churn, numbers, touch
from tests.lab.test_snapshots import conserved

TOUCHED = 900  # pages: more than a hart's TLB has
BLOCK = 512
# Sv39 with one entry: the gigapage that RAM lies in, to itself.
GIGAPAGE = f"""
        la t0, root
        li t1, {(RAM_BASE >> 2) | 0xCF}
        sd t1, 16(t0)
        srli t0, t0, 12
        li t1, 8 << 60
        or t0, t0, t1
        csrw satp, t0
        sfence.vma
"""
ROOT = "\n.data\n.balign 4096\nroot: .zero 4096\n"
PROGRAMS = {
    "touch": touch(TOUCHED),
    "paged": GIGAPAGE + touch(TOUCHED) + ROOT,
    "churn": churn(100),
    "balloon": balloon_driver(100),
}
VM = {"name": "a", "program": "touch", "memory": "4 MiB", "pages": "2 MiB"}

MakeLab = Callable[..., Lab]


@pytest.fixture
def make() -> MakeLab:
    """Make a lab whose VM a runs: `make({"ksm": True}, program="churn")`."""

    def made(host: dict[str, Any] | None = None, **vm: Any) -> Lab:
        config = LabConfig.from_dict(
            {"host": {"memory": "12 MiB", "pcpus": 1, **(host or {})}, "vms": [VM | vm]}
        )
        lab = Lab(
            config, {name: Program(name, source=text) for name, text in PROGRAMS.items()}, 1, load_engine()
        )
        lab.apply({"verb": "start", "vm": "a"})
        return lab

    return made


def huge(lab: Lab, name: str = "a") -> int:
    """Return how many pages of a VM are in leaves of 2 MiB, as a page is shown it."""
    return next(one for one in lab.observe(None)["vms"] if one["name"] == name)["memory"]["huge"]


def check_table(vm: Vm) -> None:
    """Compare each entry of a VM's table with the frame that it has."""
    assert vm.gstage is not None
    for page, hfn in enumerate(vm.frames):
        entry = vm.gstage.lookup(RAM_BASE + page * PAGE_BYTES)
        assert bool(entry & PTE_V) == (hfn != ABSENT)
        assert hfn == ABSENT or entry >> 10 << 12 == frame_address(hfn)


def test_a_walk_takes_two_references_instead_of_three_and_misses_stay(make: MakeLab) -> None:
    counted: dict[str, tuple[int, int]] = {}
    for pages in ("4 KiB", "2 MiB"):
        lab = make(pages=pages)
        lab.advance(2_000_000)
        vcpu = lab.vm("a").vcpus[0]
        assert vcpu.context.x[18] == numbers(TOUCHED)
        misses = vcpu.counters.itlb_misses + vcpu.counters.dtlb_misses
        counted[pages] = misses, vcpu.counters.walk_references
        check_table(lab.vm("a"))
    (small_misses, small), (huge_misses, large) = counted.values()
    assert small_misses == huge_misses > TOUCHED
    assert (small, large) == (3 * small_misses, 2 * huge_misses)


def test_with_a_table_of_the_guest_each_address_of_the_walk_is_cheaper(make: MakeLab) -> None:
    before = 2  # misses while the guest has no table yet: its first fetch, and the store to its root
    counted: list[int] = []
    misses = 0
    for pages in ("4 KiB", "2 MiB"):
        lab = make(pages=pages, program="paged")
        lab.advance(2_000_000)
        vcpu = lab.vm("a").vcpus[0]
        assert vcpu.context.x[18] == numbers(TOUCHED)
        counted.append(vcpu.counters.walk_references)
        misses = vcpu.counters.itlb_misses + vcpu.counters.dtlb_misses - before
    # With a gigapage, one entry of the guest's, and two addresses to find in the G-stage table.
    assert misses > TOUCHED
    assert counted == [misses * (1 + 2 * levels) + before * levels for levels in (3, 2)]


def test_what_is_no_whole_block_has_small_leaves(make: MakeLab) -> None:
    lab = make(memory="2112 KiB", max_memory="8 MiB")
    assert huge(lab) == BLOCK
    lab.apply({"verb": "set_vm", "vm": "a", "memory": "6 MiB"})
    assert huge(lab) == 2 * BLOCK  # from 4 MiB on; what begins inside a block stays small
    check_table(lab.vm("a"))
    conserved(lab)
    lab.apply({"verb": "destroy", "vm": "a"})
    assert lab.hypervisor.partition.free_count == lab.hypervisor.host.frames


def test_on_a_host_without_free_blocks_all_leaves_are_small(make: MakeLab) -> None:
    lab = make(memory="4 MiB", pages="4 KiB")  # scattered over the host
    lab.apply({"verb": "define", **VM, "name": "b"})
    lab.apply({"verb": "start", "vm": "b"})
    assert huge(lab, "b") == 0
    check_table(lab.vm("b"))
    conserved(lab)


def test_a_page_that_the_balloon_takes_splits_its_leaf(make: MakeLab) -> None:
    lab = make(program="balloon", balloon=True)
    assert huge(lab) == 2 * BLOCK
    tables = len(lab.vm("a").gstage.frames)  # pyright: ignore[reportOptionalMemberAccess]
    lab.apply({"verb": "set_balloon", "vm": "a", "target": 8 * PAGE_BYTES})
    lab.advance(2_000_000)
    vm = lab.vm("a")
    assert vm.frames[GIVEN_FROM : GIVEN_FROM + 8] == [ABSENT] * 8
    assert huge(lab) == BLOCK
    assert vm.gstage is not None
    assert len(vm.gstage.frames) == tables  # the table was set aside
    check_table(vm)
    conserved(lab)
    lab.apply({"verb": "set_balloon", "vm": "a", "target": 0})
    lab.advance(4_000_000)
    assert ABSENT not in vm.frames
    assert lab.hypervisor.read_guest(vm, RAM_BASE + GIVEN_FROM * PAGE_BYTES, 1) == b"\7"
    check_table(vm)


def test_merging_equal_pages_splits_leaves_and_guests_keep_what_they_wrote(make: MakeLab) -> None:
    lab = make({"ksm": True, "ksm_pages": 2000, "ksm_interval": "1 ms"}, program="churn")
    lab.advance(4_000_000)
    vm = lab.vm("a")
    assert vm.backing.shared
    assert huge(lab) == 0
    assert vm.fault_count == 0  # `churn` crashes at a wrong number
    check_table(vm)


def test_a_snapshot_and_a_checkpoint_bring_everything_back(make: MakeLab) -> None:
    lab = make(program="balloon", balloon=True)
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    checkpoint, before = Checkpoint(lab), lab.state_hash()
    lab.apply({"verb": "set_balloon", "vm": "a", "target": 8 * PAGE_BYTES})
    lab.advance(2_000_000)
    after = lab.state_hash()
    checkpoint.restore()
    assert (lab.state_hash(), huge(lab)) == (before, 2 * BLOCK)
    lab.apply({"verb": "set_balloon", "vm": "a", "target": 8 * PAGE_BYTES})
    lab.advance(2_000_000)
    assert lab.state_hash() == after
    lab.apply({"verb": "snapshot_revert", "vm": "a", "name": "s"})
    assert huge(lab) == 2 * BLOCK
    check_table(lab.vm("a"))
    conserved(lab)


def test_with_overcommit_huge_pages_are_refused(make: MakeLab) -> None:
    with pytest.raises(
        LabError, match=r"cannot start a: its pages are of 2 MiB.*set host\.overcommit to off"
    ):
        make({"overcommit": 2})


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"paging": "shadow"}, r"vm\.pages needs paging: nested"),
        ({"pages": "1 GiB"}, r"vm\.pages .*2 MiB"),
        ({"pages": 2 << 20}, r"vm\.pages .*2 MiB"),
    ],
)
def test_other_sizes_and_shadow_paging_are_refused(keys: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        VmConfig.from_dict(VM | keys, "vm")


def test_the_size_is_kept_and_cannot_change_while_the_vm_is_on(make: MakeLab) -> None:
    config = VmConfig.from_dict(VM, "vm")
    assert config.to_dict()["pages"] == "2 MiB"
    assert VmConfig.from_dict(config.to_dict(), "vm") == config
    with pytest.raises(LabError, match="cannot change pages of a: it is running"):
        make().apply({"verb": "set_vm", "vm": "a", "pages": "4 KiB"})
