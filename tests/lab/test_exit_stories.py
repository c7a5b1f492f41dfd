"""The story of any exit, found by looking back; the lab itself does not move."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.htinst import fields
from emulator.lab.programs import Program
from tests.lab.busy import BUSY
from tests.lab.conftest import PROGRAMS
from tests.lab.test_inspection import OWN_TABLE

DEVICE = """
        li s0, 0x10000000
1:      li a0, 'x'
        sb a0, (s0)
        lbu a1, 5(s0)
        j 1b
"""


@pytest.fixture
def busy(engine: Any) -> Lab:
    """Make a recorded lab in which VMs leave their guest code for many reasons."""
    vms: list[dict[str, Any]] = [
        {"name": "a", "program": "scribble.s", "memory": "64 KiB", "disk": "1 MiB"},
        {"name": "b", "program": "own.s", "memory": "64 KiB", "paging": "shadow"},
        {"name": "c", "program": "probe.s", "memory": "64 KiB", "on_fault": "skip"},
        {"name": "d", "program": "device.s", "memory": "64 KiB"},
        {"name": "e", "program": "own.s", "memory": "64 KiB", "on_fault": "inject"},
    ]
    sources = PROGRAMS | BUSY | {"own.s": OWN_TABLE.format(access="sd s1, (s2)"), "device.s": DEVICE}
    config = LabConfig.from_dict({"host": {"memory": "2 MiB", "pcpus": 2}, "vms": vms})
    lab = Lab(config, {name: Program(name, source=text) for name, text in sources.items()}, 7, engine)
    lab.record(spacing=200_000)
    for name in "abcde":
        lab.apply({"verb": "start", "vm": name})
    lab.advance(2_000_000)
    return lab


def test_every_exit_can_be_explained_and_the_lab_does_not_move(busy: Lab) -> None:
    before, cursor, shown = busy.state_hash(), busy.revision.value, json.dumps(busy.observe(None))
    branches = len(busy.past.branches)
    kinds: dict[tuple[str, str], int] = {}
    for record in busy.hypervisor.trace.exits:
        kinds.setdefault((record[4], record[6]), record[0])
    assert {reason for reason, _ in kinds} >= {"sbi", "mmio", "guest page fault", "shadow miss", "budget"}
    for (reason, vm), event in kinds.items():
        told = busy.exit(event)
        assert (told["reason"], told["vm"], told["id"]) == (reason, vm, event)
        assert told["instant"] is not None, told["missing"]
        assert told["instant"]["saw"]
        assert int(told["instant"]["pc"], 16) == next(
            one[9] for one in busy.hypervisor.trace.exits if one[0] == event
        )
    assert busy.state_hash() == before
    assert (busy.revision.value, json.dumps(busy.observe(None)), len(busy.past.branches)) == (
        cursor,
        shown,
        branches,
    )
    assert busy.observe(cursor)["full"] is False


def newest(lab: Lab, vm: str, reason: str) -> Any:
    return lab.exit(
        next(one[0] for one in reversed(lab.hypervisor.trace.exits) if one[4:7:2] == (reason, vm))
    )


def test_a_fault_is_told_with_its_walk_and_htinst(busy: Lab) -> None:
    told = newest(busy, "e", "guest page fault")
    at = told["instant"]
    assert told["explanation"] == (
        "The guest stored 8 bytes to GVA 0x50000000, which its own page table turns into GPA 0x90000000."
        " Nothing is mapped there, so the walk ended at G-stage, level 1."
    )
    assert (at["gva"], at["gpa"], at["hpa"]) == ("0x0000000050000000", "0x0000000090000000", None)
    assert at["source"]["text"].startswith("wild:")
    assert at["walk"]["ended"] == "G-stage, level 1"
    decoded = {field["name"]: field["meaning"] for field in at["htinst_fields"]}
    assert (decoded["rs2"], decoded["opcode"], decoded["funct3"]) == ("s1", "STORE", "8 bytes")
    assert "store/AMO access fault" in at["saw"]
    assert "handed the guest an access fault" in told["did"]
    changed = {one["name"] for one in at["changes"]}
    assert {"pc", "scause", "sepc", "stval"} <= changed
    fault = told["fault"]
    assert fault in busy.hypervisor.faults
    assert busy.exit(fault)["id"] == told["id"]


def test_a_device_access_tells_what_the_guest_got(busy: Lab) -> None:
    told = newest(busy, "d", "mmio")
    assert "A device" in told["explanation"]
    assert "next instruction" in told["instant"]["saw"] or "goes on at" in told["instant"]["saw"]


def test_what_was_done_about_a_fault_is_told(busy: Lab) -> None:
    assert "skipped" in newest(busy, "c", "guest page fault")["did"]
    crash = newest(busy, "b", "guest page fault")
    assert "stopped the VM" in crash["did"]
    assert crash["instant"]["saw"].startswith("Nothing more")


def test_a_guest_that_shuts_itself_off_sees_nothing_more(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("hello")
    lab.record()
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(100_000)
    told = lab.exit(lab.hypervisor.trace.exits[-1][0])
    assert "to be shut off" in told["explanation"]
    assert told["instant"] is not None
    assert told["instant"]["saw"].startswith("Nothing more: its VM stands still")


def test_shadow_paging_tells_both_walks(busy: Lab) -> None:
    at = newest(busy, "b", "shadow miss")["instant"]
    assert at["walk"]["ok"]
    assert at["shadow"]["ended"].startswith("the shadow table, level")
    assert at["saw"].startswith("Nothing: it tries the same instruction again")


def test_what_is_not_kept_is_said(busy: Lab) -> None:
    with pytest.raises(LabError, match="no exit that the log still has"):
        busy.exit(10**9)
    event = busy.hypervisor.trace.exits[0][0]
    busy.past.forget()
    told = busy.exit(event)
    assert told["instant"] is None
    assert "not recorded" in told["missing"]
    assert told["did"]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (0, []),
        (0x3000, []),
        (0x0003_3023 | 9 << 20, ["0", "rs2", "offset", "funct3", "rd", "opcode", "length", "1"]),
    ],
)
def test_htinst_is_cut_into_its_fields(value: int, names: list[str]) -> None:
    assert [field["name"] for field in fields(value)] == names
    assert sum(int(field["value"], 2) << field["low"] for field in fields(value)) in (value, 0)


def test_a_look_back_is_exact_also_after_time_travel(busy: Lab, make_lab: Callable[..., Lab]) -> None:
    busy.rewind(1_500_000)
    busy.apply({"verb": "suspend", "vm": "c"})
    busy.advance(2_200_000)
    before = busy.state_hash()
    exits = [one[0] for one in busy.hypervisor.trace.exits]
    for event in (exits[-1], exits[len(exits) // 2]):
        assert busy.exit(event)["instant"] is not None
    assert busy.state_hash() == before
