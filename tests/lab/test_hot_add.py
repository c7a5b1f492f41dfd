"""Memory hot-add: RAM that grows under a running guest, and what the host makes of it."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.build.engine import load_engine
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.memory.daemon import balloon_of
from emulator.lab import Lab
from emulator.lab.checkpoint import Checkpoint
from emulator.lab.config import LabConfig, VmConfig
from emulator.lab.errors import LabError
from emulator.lab.programs import Program
from emulator.lab.values import ConfigError
from emulator.state import PAGE_BYTES, RAM_BASE
from tests.hypervisor.memory.guests import GIVEN_FROM, balloon_driver
from tests.lab.test_snapshots import conserved

OLD, NEW = 128 << 10, 256 << 10
OLD_PAGES, NEW_PAGES = OLD // PAGE_BYTES, NEW // PAGE_BYTES
OLD_END = RAM_BASE + OLD
# Counts in s2 the pages that it finds past its end: those that keep what is written to them. Where there is
# no memory, its VM's `on_fault: skip` leaves t1 as it is.
PROBE = f"""
        li s0, {OLD_END}
        li s1, {PAGE_BYTES}
        li s2, 0
again:  li t1, 0
        addi t0, s2, 1
        sd t0, 0(s0)
        ld t1, 0(s0)
        bne t0, t1, again
        addi s2, s2, 1
        add s0, s0, s1
        j again
"""
HOST = {"memory": "2 MiB", "pcpus": 1}
VM = {"name": "a", "program": "probe", "memory": "128 KiB", "max_memory": "256 KiB", "on_fault": "skip"}


@pytest.fixture
def grown_lab() -> Callable[..., Lab]:
    """Make a lab whose VM a runs with 128 KiB and may have 256 KiB: `grown_lab(host={...}, paging=...)`."""

    def make(host: dict[str, Any] | None = None, others: tuple[Any, ...] = (), **vm: Any) -> Lab:
        config = LabConfig.from_dict({"host": HOST | (host or {}), "vms": [VM | vm, *others]})
        sources = {"probe": PROBE, "balloon": balloon_driver(100)}
        programs = {name: Program(name, source=text) for name, text in sources.items()}
        lab = Lab(config, programs, 1, load_engine())
        lab.apply({"verb": "start", "vm": "a"})
        lab.advance(200_000)
        return lab

    return make


def add(lab: Lab, memory: object = NEW) -> dict[str, Any]:
    """Raise the memory of a."""
    return lab.apply({"verb": "set_vm", "vm": "a", "memory": memory})


def found(lab: Lab) -> int:
    """Return how many pages the guest of a has found past its old end."""
    x = lab.hypervisor.registers(lab.vm("a").vcpus[0]).x
    assert x[8] == OLD_END + x[18] * PAGE_BYTES
    return x[18]


def run(lab: Lab) -> None:
    """Give the guest enough time to find all that is there."""
    lab.advance(lab.position + 2_000_000)


@pytest.mark.parametrize("host", [{}, {"overcommit": 2}], ids=["static", "overcommit"])
@pytest.mark.parametrize("paging", ["nested", "shadow"])
def test_a_running_guest_finds_the_new_memory(
    grown_lab: Callable[..., Lab], host: dict[str, Any], paging: str
) -> None:
    lab = grown_lab(host, paging=paging)
    vm = lab.vm("a")
    assert found(lab) == 0
    assert add(lab) == {"vm": "a", "was": {"memory": "128 KiB"}}
    assert (ABSENT in vm.frames[OLD_PAGES:]) == bool(host)
    run(lab)
    assert found(lab) == NEW_PAGES - OLD_PAGES  # where memory ends again
    assert lab.hypervisor.read_guest(vm, OLD_END, 1) == b"\1"
    assert lab.observe(None)["vms"][0]["memory_bytes"] == NEW
    conserved(lab)


def test_a_static_partition_takes_the_frames_at_once_and_the_host_gets_them_back(
    grown_lab: Callable[..., Lab],
) -> None:
    lab = grown_lab()
    free = lab.hypervisor.partition.free_count
    add(lab)
    assert lab.hypervisor.partition.free_count == free - (NEW_PAGES - OLD_PAGES)
    assert lab.vm("a").backing.resident == NEW_PAGES
    lab.apply({"verb": "destroy", "vm": "a"})
    assert lab.hypervisor.partition.free_count == lab.hypervisor.host.frames


def test_the_next_start_has_the_new_size(grown_lab: Callable[..., Lab]) -> None:
    lab = grown_lab()
    add(lab)
    lab.apply({"verb": "destroy", "vm": "a"})
    lab.apply({"verb": "start", "vm": "a"})
    assert len(lab.vm("a").frames) == NEW_PAGES


@pytest.mark.parametrize(
    ("memory", "error"),
    [
        ("64 KiB", r"cannot change.*it has 128 KiB, and memory can only be added.*set_balloon, or force"),
        ("260 KiB", r"max_memory is less than the VM's memory, 260 KiB; raise it"),
        ("65 KiB", "must be a multiple of 4 KiB"),
        (None, "memory"),
    ],
)
def test_any_other_size_is_refused_and_nothing_changes(
    grown_lab: Callable[..., Lab], memory: object, error: str
) -> None:
    lab = grown_lab()
    before = lab.state_hash()
    with pytest.raises(LabError, match=error):
        add(lab, memory)
    assert lab.state_hash() == before


def test_without_max_memory_nothing_can_be_added(grown_lab: Callable[..., Lab]) -> None:
    lab = grown_lab(max_memory="none")
    with pytest.raises(
        LabError, match="256 KiB are more than its max_memory, 128 KiB; force it to shut down first"
    ):
        add(lab)
    with pytest.raises(LabError, match="cannot change max_memory of a: it is running"):
        lab.apply({"verb": "set_vm", "vm": "a", "max_memory": "1 MiB"})


def test_what_does_not_fit_the_host_is_refused(grown_lab: Callable[..., Lab]) -> None:
    lab = grown_lab(max_memory="4 MiB")
    before = lab.state_hash()
    free = lab.hypervisor.partition.free_count
    # 3 MiB reach into a second table of the last level.
    with pytest.raises(
        LabError, match=rf"needs 737 more host frames \(736 for its memory and 1 for.* and {free} are free"
    ):
        add(lab, "3 MiB")
    assert lab.state_hash() == before


def test_the_overcommit_ratio_holds_for_what_is_added(grown_lab: Callable[..., Lab]) -> None:
    lab = grown_lab({"overcommit": 1}, max_memory="4 MiB")
    with pytest.raises(LabError, match=r"3072 KiB.*more than the 2048 KiB that an overcommit ratio of 1"):
        add(lab, "3 MiB")


def test_a_greatest_size_below_the_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"vm\.max_memory is less than the VM's memory, 128 KiB; raise it"):
        VmConfig.from_dict(VM | {"max_memory": "64 KiB"}, "vm")
    assert VmConfig.from_dict(VmConfig.from_dict(VM, "vm").to_dict(), "vm").ram.most == NEW


@pytest.mark.parametrize("host", [{}, {"overcommit": 2}], ids=["static", "overcommit"])
def test_a_snapshot_from_before_has_the_old_size_and_one_from_after_the_new(
    grown_lab: Callable[..., Lab], host: dict[str, Any]
) -> None:
    lab = grown_lab(host)
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "small"})
    add(lab)
    run(lab)
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "large"})
    for name, pages in [("small", OLD_PAGES), ("large", NEW_PAGES), ("small", OLD_PAGES)]:
        lab.apply({"verb": "snapshot_revert", "vm": "a", "name": name})
        vm = lab.vm("a")
        assert (len(vm.frames), vm.settings.memory) == (pages, pages * PAGE_BYTES)
        assert lab.vm_configs["a"].memory == pages * PAGE_BYTES
        run(lab)
        assert found(lab) == pages - OLD_PAGES
        conserved(lab)
    add(lab)
    run(lab)
    assert found(lab) == NEW_PAGES - OLD_PAGES


def test_a_clone_of_a_grown_vm_has_all_of_its_memory(grown_lab: Callable[..., Lab]) -> None:
    lab = grown_lab()
    add(lab)
    run(lab)
    lab.apply({"verb": "clone", "vm": "a", "name": "b"})
    assert lab.hypervisor.pager.digest(lab.vm("b")) == lab.hypervisor.pager.digest(lab.vm("a"))


def test_a_checkpoint_and_a_replay_give_the_same_states(grown_lab: Callable[..., Lab]) -> None:
    lab = grown_lab()
    checkpoint, before = Checkpoint(lab), lab.state_hash()
    add(lab)
    changed = lab.state_hash()
    run(lab)
    after = lab.state_hash()
    assert len({before, changed, after}) == 3
    checkpoint.restore()
    assert lab.state_hash() == before
    add(lab)
    assert lab.state_hash() == changed
    run(lab)
    assert lab.state_hash() == after


def test_the_balloon_takes_pages_of_the_new_memory(grown_lab: Callable[..., Lab]) -> None:
    big = (GIVEN_FROM + 16) * PAGE_BYTES
    lab = grown_lab(program="balloon", balloon=True, on_fault="crash", max_memory=big)
    balloon = balloon_of(lab.vm("a"))
    assert balloon is not None
    add(lab, big)
    lab.apply({"verb": "set_balloon", "vm": "a", "target": 8 * PAGE_BYTES})
    run(lab)
    first = (RAM_BASE >> 12) + GIVEN_FROM
    assert balloon.state.pages == set(range(first, first + 8))


# Waits for source 14 of the PLIC; when it comes, fills the new pages and prints a "+" for each.
TAKER = """
        li s0, 0x0c000038
        li t0, 1
        sw t0, (s0)
        li s0, 0x0c002080
        li t0, 1 << 14
        sw t0, (s0)
        li s1, 0x0c201004
        li t0, 1 << 9
        csrw sie, t0
        li s2, 0x103000
        ld s3, (s2)             # bytes now
wait:   wfi
        lw s4, (s1)
        li t0, 14
        bne s4, t0, wait
        sw s4, (s1)
        ld s5, (s2)
        li s6, 0x80000000
        add t1, s6, s3
        add t2, s6, s5
1:      bgeu t1, t2, 2f
        sd t1, (t1)
        li t3, 4096
        add t1, t1, t3
        li a0, '+'
        li a7, 1
        ecall
        j 1b
2:      mv s3, s5
        j wait
"""


@pytest.mark.parametrize("host", [{}, {"overcommit": 2}], ids=["static", "overcommit"])
def test_a_guest_that_listens_hears_of_new_memory_and_takes_it(host: dict[str, Any]) -> None:
    config = LabConfig.from_dict(
        {"host": HOST | host, "vms": [VM | {"program": "taker", "on_fault": "crash"}]}
    )
    lab = Lab(config, {"taker": Program("taker", source=TAKER)}, 1, load_engine())
    lab.apply({"verb": "start", "vm": "a"})
    run(lab)
    assert lab.console("a") == ""
    add(lab, "192 KiB")
    run(lab)
    assert lab.console("a") == "+" * 16
    add(lab, "256 KiB")
    run(lab)
    assert lab.console("a") == "+" * 32
    assert lab.vm("a").state.value == "idle"
    assert lab.hypervisor.read_guest(lab.vm("a"), OLD_END, 8) == OLD_END.to_bytes(8, "little")
    again = Lab.replay(lab.config_at_start, lab.programs, lab.seed, lab.log, lab.position, lab.engine)
    assert again.state_hash() == lab.state_hash()
