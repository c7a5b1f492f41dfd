"""Snapshots and clones: a tree of instants of a running VM, and VMs that come of one and part."""

import base64

from tests.scenarios.desk import Desk

# Counts naps of 500 us in memory, and prints a digit for each.
COUNTER = """
        li t0, 1 << 5
        csrs sie, t0
        la s0, value
1:      rdtime a0
        li t0, 5000
        add a0, a0, t0
        li a7, 0
        ecall
        wfi
        ld s1, (s0)
        addi s1, s1, 1
        sd s1, (s0)
        li t0, 10
        remu a0, s1, t0
        addi a0, a0, '0'
        li a7, 1
        ecall
        j 1b
        .data
        .balign 4096
value:  .dword 0
"""
PAGE = 4096


def test_a_running_vm_is_kept_taken_back_cloned_templated_and_moved() -> None:
    vm = {"name": "a", "program": "counter", "memory": "1 MiB", "autostart": True, "disk": "64 KiB"}
    desk = Desk({"counter": COUNTER}, [{**vm, "vmgenid": True}], {"memory": "8 MiB", "pcpus": 2})
    console = desk.lab.console
    desk.wait("a", "5")
    desk.do("snapshot_create", "a", name="five")
    desk.wait("a", "8")
    desk.do("snapshot_create", "a", name="eight")
    kept = {one["name"]: one["own_bytes"] for one in desk.lab.snapshots("a")}
    assert 0 < kept["five"] <= 4 * PAGE  # in proportion to what has changed since
    assert kept["eight"] == 0

    # Two linked clones go on from here, as their source does; none sees what another writes.
    used = desk.host()["store_used_bytes"]
    desk.do("clone", "a", name="b")
    desk.do("clone", "a", name="c", linked=False)
    assert desk.host()["store_used_bytes"] - used <= 40 * PAGE  # tables, and the full clone's pages
    desk.do("suspend", "b")
    desk.wait("a", "01")
    desk.run(0.5)
    assert console("b") == "12345678"
    assert console("c").startswith("1234567890")
    desk.do("resume", "b")
    desk.wait("b", "9012")
    assert console("b") == "123456789012"
    uuids = {desk.see(name)["uuid"] for name in "abc"}
    assert len(uuids) == 3

    # Back and forth in the tree; the clones do not notice.
    there = console("b")
    desk.do("snapshot_revert", "a", name="five")
    assert (console("a"), console("b")) == ("12345", there)
    desk.wait("a", "67")
    desk.do("snapshot_revert", "a", name="eight")
    assert console("a") == "12345678"
    desk.do("snapshot_create", "a", name="again")
    parents = {one["name"]: one["parent"] for one in desk.lab.snapshots("a")}
    assert parents == {"five": "", "eight": "five", "again": "eight"}
    assert desk.do("snapshot_delete", "a", name="eight")["deleted"] == ["eight"]
    assert {one["name"]: one["parent"] for one in desk.lab.snapshots("a")} == {"five": "", "again": "five"}
    desk.do("snapshot_revert", "a", name="again")
    desk.wait("a", "90")

    # A template cannot start; what is cloned of it can. A VM moves as one archive.
    desk.do("destroy", "c")
    desk.do("set_template", "c")
    assert "template" in desk.refused("start", "c")
    desk.do("clone", "c", name="d")
    desk.do("start", "d")
    desk.wait("d", "1")
    desk.do("suspend", "a")
    archive = base64.b64encode(desk.lab.export_vm("a")).decode()
    desk.do("destroy", "a")
    desk.do("undefine", "a")
    desk.do("import_vm", archive=archive, name="moved")
    assert desk.see("moved")["state"] == "paused"
    assert desk.see("moved")["uuid"] in uuids
    desk.do("resume", "moved")
    desk.wait("moved", "1")
    assert console("moved").startswith("12345678901")
    desk.replays()
