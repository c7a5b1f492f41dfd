"""The same guest with nested and with shadow paging: what each costs, counted."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.errors import LabError
from emulator.lab.observation import VmView
from emulator.lab.programs import Program
from tests.hypervisor.bench import PRELUDE
from tests.hypervisor.test_guest_kernels import PAGING, REMAP

ROUNDS = 50
# Touches 64 pages through its table, round after round, each time with an empty TLB; then switches off.
WALKS = f"""
        j main
        {PAGING}
    main:
        enable_paging
        la t0, page
        srli t0, t0, 2
        ori t0, t0, 0xC7
        la t1, leaf
        li t2, 64
    1:  sd t0, (t1)
        addi t1, t1, 8
        addi t2, t2, -1
        bnez t2, 1b
        li s1, {ROUNDS}
    2:  li t0, 0x40000000
        li t2, 64
    3:  ld t1, (t0)
        li t3, 4096
        add t0, t0, t3
        addi t2, t2, -1
        bnez t2, 3b
        FENCE
        addi s1, s1, -1
        bnez s1, 2b
        shutdown
        .data
        .balign 4096
page:   .dword 1
        .bss
        .balign 4096
root: .skip 4096
middle: .skip 4096
leaf: .skip 4096
"""


@pytest.fixture
def run(engine: Any) -> Callable[[str, str], tuple[Lab, VmView]]:
    """Run a program to its end in a VM with a kind of paging."""

    def make(program: str, paging: str) -> tuple[Lab, VmView]:
        vm = {"name": "a", "program": "a.s", "memory": "256 KiB", "paging": paging}
        config = LabConfig.from_dict({"host": {"pcpus": 1}, "vms": [vm]})
        lab = Lab(config, {"a.s": Program("a.s", source=PRELUDE + program)}, 1, engine)
        lab.apply({"verb": "start", "vm": "a"})
        lab.advance(lab.position_at(100_000_000))
        return lab, lab.observe()["vms"][0]

    return make


def test_shadow_tables_save_walks_and_cost_exits(run: Callable[[str, str], tuple[Lab, VmView]]) -> None:
    counted: dict[str, VmView] = {}
    for paging in ("nested", "shadow"):
        for fence in ("sfence.vma", "nop"):
            _, vm = run(WALKS.replace("FENCE", fence), paging)
            assert vm["state"] == "shut off"
            counted[f"{paging} {fence}"] = vm
    exits = {name: vm["exits_total"] for name, vm in counted.items()}
    fences = counted["shadow sfence.vma"]["exits"]
    # A guest that fences often pays for each entry again.
    assert exits["nested sfence.vma"] == exits["nested nop"] == 1
    assert fences["address fence"] == ROUNDS + 1
    assert fences["shadow miss"] > 64 * ROUNDS
    # One that leaves its tables alone pays once.
    assert 64 < counted["shadow nop"]["exits"]["shadow miss"] < 80
    assert counted["shadow nop"]["exits"]["satp access"] == 1
    # A TLB miss is 15 references: for three entries and the page 3 each, and the entries themselves.
    nested = counted["nested sfence.vma"]["translations"]
    assert nested["walk_references"] > 14 * 64 * ROUNDS
    shadow = counted["shadow nop"]["translations"]
    assert shadow["walk_references"] < 8 * shadow["dtlb_misses"]
    spent = {name: sum(vm["exit_cycles"].values()) for name, vm in counted.items()}
    assert spent["shadow sfence.vma"] > 40 * spent["shadow nop"] > 100 * spent["nested nop"]


def test_a_shadowed_guest_is_looked_at_as_it_sees_itself(
    run: Callable[[str, str], tuple[Lab, VmView]],
) -> None:
    views: dict[str, tuple[Any, ...]] = {}
    for paging in ("nested", "shadow"):
        lab, vm = run(REMAP, paging)
        assert vm["paging"] == paging
        registers = lab.registers("a", 0)
        control = {one["name"]: one["value"] for one in registers["control"]}
        walk = lab.walk("a", 0, 0x8000_0000)
        memory = lab.memory("a", 0, 0x8000_0000, "gva", 64)
        hypervisor = {one["name"]: one["value"] for one in registers["hypervisor"]}
        assert (hypervisor["hgatp"] == "0x0000000000000000") == (paging == "shadow")
        views[paging] = (control["satp"], walk["gpa"], walk["vs_mode"], memory["pages"][0]["data"])
    assert views["nested"] == views["shadow"]


def test_paging_is_chosen_while_the_vm_is_off_and_replayed(
    run: Callable[[str, str], tuple[Lab, VmView]],
) -> None:
    lab, _ = run(REMAP, "nested")
    with pytest.raises(LabError, match="cannot change paging of a: it is running"):
        lab.apply({"verb": "set_vm", "vm": "a", "paging": "shadow"})
    lab.apply({"verb": "destroy", "vm": "a"})
    with pytest.raises(LabError, match=r"vm\.paging is 'shade'; expected one of nested, shadow"):
        lab.apply({"verb": "set_vm", "vm": "a", "paging": "shade"})
    assert lab.apply({"verb": "set_vm", "vm": "a", "paging": "shadow"})["was"] == {"paging": "nested"}
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(lab.position + 3_000_000)
    assert lab.observe()["vms"][0]["exits"]["shadow miss"] > 100
    again = Lab.replay(lab.config_at_start, lab.programs, lab.seed, lab.log, lab.position, lab.engine)
    assert again.state_hash() == lab.state_hash()


def test_a_fault_outside_memory_is_told_as_with_nested_paging(
    run: Callable[[str, str], tuple[Lab, VmView]],
) -> None:
    stories = {}
    for paging in ("nested", "shadow"):
        lab, vm = run("li a0, 0x90000000\n ld a1, (a0)\n", paging)
        assert vm["state"] == "crashed"
        story = lab.faults("a")[-1]
        stories[paging] = (story["explanation"], story["gpa"], story["cause_name"], story["instruction"])
    assert stories["nested"] == stories["shadow"]
