"""Snapshots and clones: a VM is again what it was, and nobody sees what another one writes."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.hypervisor import image
from emulator.hypervisor.memory.backing import ABSENT
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from tests.lab.busy import BUSY, play

SCRIBBLE = Program("scribble.s", source=BUSY["scribble.s"])

WORK = st.lists(
    st.one_of(
        st.integers(1, 300_000),
        st.sampled_from(
            [
                {"verb": "suspend", "vm": "a"},
                {"verb": "resume", "vm": "a"},
                {"verb": "reset", "vm": "a"},
                {"verb": "destroy", "vm": "a"},
                {"verb": "start", "vm": "a"},
                {"verb": "console_input", "vm": "a", "text": "xyz"},
            ]
        ),
    ),
    max_size=5,
)


def look(lab: Lab, name: str) -> list[Any]:
    """Return everything that a VM is, but for host time."""
    taken = image.take(lab.hypervisor, lab.vm(name))
    state, clusters, ram = image.digest_parts(taken)
    return [{key: value for key, value in state.items() if key != "host_ns"}, clusters, ram, taken.settings]


def conserved(lab: Lab) -> None:
    """Check that every frame has one owner, and free frames are zero."""
    partition, host = lab.hypervisor.partition, lab.hypervisor.host
    owned = [
        hfn
        for vm in lab.hypervisor.vms.values()
        for hfn in [*vm.frames, *(vm.gstage.frames if vm.gstage else [])]
        if hfn != ABSENT
    ]
    assert len(owned) == len(set(owned))
    assert sum(code != 0 for code in partition.codes) == len(owned)
    assert all(host.frame_is_zero(hfn) for hfn, code in enumerate(partition.codes) if code == 0)


@given(before=WORK, between=WORK, name=st.sampled_from("abcd"))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reverting_gives_the_identical_vm(
    full_lab: Callable[[], Lab], before: list[Any], between: list[Any], name: str
) -> None:
    lab = full_lab()
    for one in "abcd":
        lab.apply({"verb": "start", "vm": one})
    play(lab, [200_000, *before])
    lab.apply({"verb": "snapshot_create", "vm": name, "name": "s"})
    then = look(lab, name)
    play(lab, [200_000, *between])
    others = {one: look(lab, one)[2:] for one in "abcd" if one != name}
    lab.apply({"verb": "snapshot_revert", "vm": name, "name": "s"})
    assert look(lab, name) == then
    assert {one: look(lab, one)[2:] for one in "abcd" if one != name} == others
    conserved(lab)
    lab.advance(lab.position + 500_000)
    conserved(lab)


def test_a_vm_that_went_back_goes_on_as_it_did(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("nap", pcpus=1)
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(3_000_000)
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    before = lab.console("a")
    lab.advance(6_000_000)
    printed = len(lab.console("a")) - len(before)
    assert printed > 2
    lab.apply({"verb": "snapshot_revert", "vm": "a", "name": "s"})
    assert lab.console("a") == before
    lab.advance(lab.position + 3_000_000)
    assert abs(len(lab.console("a")) - len(before) - printed) <= 1


def test_taking_a_snapshot_does_not_disturb_the_vm(full_lab: Callable[[], Lab]) -> None:
    labs = full_lab(), full_lab()
    for lab in labs:
        lab.apply({"verb": "start", "vm": "a"})
        lab.advance(300_000)
    labs[0].apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    for lab in labs:
        lab.advance(900_000)
    assert look(labs[0], "a") == look(labs[1], "a")


def test_the_tree_of_snapshots_and_deleting_with_children_and_without(running: Lab) -> None:
    def tree() -> dict[str, tuple[str, bool]]:
        return {one["name"]: (one["parent"], one["current"]) for one in running.snapshots("a")}

    for name in ("one", "two", "three"):
        running.apply({"verb": "snapshot_create", "vm": "a", "name": name})
        running.advance(running.position + 100_000)
    running.apply({"verb": "snapshot_revert", "vm": "a", "name": "one"})
    running.apply({"verb": "snapshot_create", "vm": "a", "name": "branch"})
    assert tree() == {
        "one": ("", False),
        "two": ("one", False),
        "three": ("two", False),
        "branch": ("one", True),
    }
    state = look(running, "a")
    running.apply({"verb": "snapshot_delete", "vm": "a", "name": "two"})
    assert tree() == {"one": ("", False), "three": ("one", False), "branch": ("one", True)}
    running.apply({"verb": "snapshot_delete", "vm": "a", "name": "one", "children": True})
    assert tree() == {}
    assert look(running, "a") == state


def test_a_snapshot_costs_memory_for_what_changes_and_deleting_it_gives_that_back(running: Lab) -> None:
    running.apply({"verb": "destroy", "vm": "b"})
    running.apply({"verb": "destroy", "vm": "c"})
    host = running.hypervisor.host
    used = host.store_bytes
    running.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    assert host.store_bytes == used
    view = running.snapshots("a")[0]
    assert view["own_bytes"] == 0
    assert view["shared_bytes"] > 0
    running.advance(running.position + 500_000)
    assert 0 < running.snapshots("a")[0]["own_bytes"] == host.store_bytes - used <= 12 * 4096
    running.apply({"verb": "snapshot_delete", "vm": "a", "name": "s"})
    assert host.store_bytes == used


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("ax"), st.integers(0, 15), st.binary(min_size=1, max_size=64)), max_size=20
    )
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("linked", [True, False])
def test_clones_never_see_each_others_writes(
    full_lab: Callable[[], Lab], linked: bool, steps: list[tuple[str, int, bytes]]
) -> None:
    lab = full_lab()
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(300_000)
    lab.apply({"verb": "suspend", "vm": "a"})
    lab.apply({"verb": "clone", "vm": "a", "name": "x", "linked": linked})
    assert look(lab, "a")[2] == look(lab, "x")[2]
    memory = {name: bytearray(b"".join(look(lab, name)[2])) for name in "ax"}
    for name, page, data in steps:
        offset = page * 4096 + 100
        lab.hypervisor.write_guest(lab.vm(name), 0x8000_0000 + offset, data)
        memory[name][offset : offset + len(data)] = data
    for name in "ax":
        assert b"".join(look(lab, name)[2]) == memory[name]
    conserved(lab)
    lab.apply({"verb": "destroy", "vm": "a"})
    assert b"".join(look(lab, "x")[2]) == memory["x"]
    conserved(lab)


def test_a_clone_of_a_running_vm_runs_on_by_itself(running: Lab) -> None:
    console = running.console("b")
    running.apply({"verb": "clone", "vm": "b", "name": "x"})
    assert running.console("x") == console
    running.apply({"verb": "destroy", "vm": "b"})
    running.advance(running.position + 4_000_000)
    assert len(running.console("x")) > len(console)
    config = {vm.name: vm for vm in running.config.vms}["x"]
    assert config.program == "nap.s"


def test_a_clone_has_a_disk_and_a_network_address_of_its_own(running: Lab) -> None:
    running.apply({"verb": "clone", "vm": "a", "name": "x"})
    boards = [running.vm(name).board for name in "ax"]
    macs = [board.virtio[1].device.config()[:6] for board in boards if board]
    assert macs[0] != macs[1]
    source, clone = running.vm("a").disk(), running.vm("x").disk()
    clone.state.changed[3] = b"x" * 512
    assert 3 not in source.state.changed


def test_a_template_cannot_start_and_its_clones_can(running: Lab) -> None:
    with pytest.raises(LabError, match="shut it down first"):
        running.apply({"verb": "set_template", "vm": "a"})
    running.apply({"verb": "destroy", "vm": "a"})
    running.apply({"verb": "set_template", "vm": "a"})
    with pytest.raises(LabError, match="is a template"):
        running.apply({"verb": "start", "vm": "a"})
    running.apply({"verb": "clone", "vm": "a", "name": "x"})
    running.apply({"verb": "start", "vm": "x"})
    assert running.vm("x").state.value == "running"
    running.apply({"verb": "set_template", "vm": "a", "template": False})
    running.apply({"verb": "start", "vm": "a"})


def test_refusals_change_nothing(running: Lab) -> None:
    running.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    before = running.state_hash()
    for action, match in [
        ({"verb": "snapshot_create", "vm": "a", "name": "s"}, "already"),
        ({"verb": "snapshot_create", "vm": "a", "name": "Not a name"}, "expected a name"),
        ({"verb": "snapshot_create", "vm": "a"}, "expected a name"),
        ({"verb": "snapshot_revert", "vm": "a", "name": "t"}, "no snapshot 't'"),
        ({"verb": "snapshot_delete", "vm": "a", "name": None}, "no snapshot"),
        ({"verb": "snapshot_delete", "vm": "a", "name": "s", "children": 3}, "true or false"),
        ({"verb": "clone", "vm": "a", "name": "b"}, "already"),
        ({"verb": "clone", "vm": "a", "name": "x", "linked": "no"}, "true or false"),
        ({"verb": "clone", "vm": "nobody", "name": "x"}, "no VM"),
        ({"verb": "set_host", "memory": "4 MiB"}, "."),
    ]:
        with pytest.raises(LabError, match=match):
            running.apply(action)
    assert running.state_hash() == before
    for name in "abcd":
        running.apply({"verb": "destroy", "vm": name})
    with pytest.raises(LabError, match="hold memory of this host"):
        running.apply({"verb": "set_host", "memory": "4 MiB"})


def test_snapshots_are_part_of_what_a_lab_goes_back_to_and_replays(full_lab: Callable[[], Lab]) -> None:
    lab = full_lab()
    lab.record(spacing=50_000)
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(200_000)
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    lab.advance(400_000)
    lab.apply({"verb": "snapshot_revert", "vm": "a", "name": "s"})
    lab.apply({"verb": "clone", "vm": "a", "name": "x"})
    lab.apply({"verb": "snapshot_delete", "vm": "a", "name": "s"})
    lab.advance(700_000)
    end, state, log = lab.position, lab.state_hash(), list(lab.log)
    lab.rewind(300_000)
    assert [one["name"] for one in lab.snapshots("a")] == ["s"]
    lab.advance(end)
    assert (lab.state_hash(), lab.log) == (state, log)
    fresh = full_lab()
    for entry in log:
        fresh.advance(entry["position"])
        fresh.apply(entry["action"])
    fresh.advance(end)
    assert fresh.state_hash() == state


def test_pages_that_are_absent_or_swapped_out_come_back(engine: Any) -> None:
    vms = [{"name": name, "program": "scribble.s", "memory": "256 KiB"} for name in "ab"]
    host = {"memory": "1 MiB", "pcpus": 1, "overcommit": 2}
    lab = Lab(LabConfig.from_dict({"host": host, "vms": vms}), {"scribble.s": SCRIBBLE}, 7, engine)
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(300_000)
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    then = look(lab, "a")
    lab.advance(600_000)
    lab.apply({"verb": "snapshot_revert", "vm": "a", "name": "s"})
    assert look(lab, "a") == then
    conserved(lab)


def test_a_vm_that_was_given_a_vcpu_while_on_is_taken_back_and_cloned(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("nap", pcpus=1)
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(500_000)
    lab.apply({"verb": "set_vm", "vm": "a", "vcpus": 3})
    lab.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    then = look(lab, "a")
    lab.advance(900_000)
    lab.apply({"verb": "snapshot_revert", "vm": "a", "name": "s"})
    assert look(lab, "a") == then
    lab.apply({"verb": "clone", "vm": "a", "name": "b"})
    lab.advance(lab.position + 2_000_000)
    assert len(lab.console("b")) > len(lab.console("a")) / 2
    assert [len(lab.vm(name).vcpus) for name in "ab"] == [3, 3]
