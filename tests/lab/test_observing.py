"""Observations: whole, as deltas, and cheap; the sum of the deltas is the whole."""

import base64
import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.lab import Lab

MakeLab = Callable[..., Lab]


class Reader:
    """What a page does with observations."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.cursor: int | None = None
        self.frames = bytearray()
        self.lanes: dict[int, Any] = {}
        self.events: dict[int, Any] = {}
        self.consoles: dict[str, str] = {}

    def read(self) -> dict[str, Any]:
        """Take the next observation and merge it."""
        seen: Any = json.loads(json.dumps(self.lab.observe(self.cursor)))
        self.cursor = seen["cursor"]
        if seen["full"]:
            self.lanes, self.events, self.consoles = {}, {}, {}
        if seen["frames"]["owners"] is not None:
            self.frames = bytearray(base64.b64decode(seen["frames"]["owners"]))
        for first, count, code in seen["frames"]["delta"]:
            self.frames[first : first + count] = bytes([code]) * count
        self.lanes.update((one["id"], one) for one in seen["lanes"])
        self.events.update((one["id"], one) for one in seen["events"])
        for one in seen["consoles"]:
            before = "" if one["reset"] else self.consoles[one["vm"]]
            assert one["offset"] == len(before) + one["lost"]
            self.consoles[one["vm"]] = before + one["text"]
        return seen


ACTIONS: list[dict[str, Any]] = [
    {"verb": verb, "vm": vm} for verb in ("start", "destroy", "suspend", "resume", "reset") for vm in "abcd"
]
ACTIONS += [
    {"verb": "reset_lab"},
    {"verb": "set_host", "pcpus": 1},
    {"verb": "set_host", "pcpus": 3},
    {"verb": "set_vm", "vm": "a", "memory": "80 KiB"},
    {"verb": "define", "vm": "e", "program": "hello.s"},
    {"verb": "undefine", "vm": "b"},
]


@given(steps=st.lists(st.sampled_from(ACTIONS) | st.integers(1, 200_000) | st.just("read"), max_size=30))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deltas_add_up_to_the_whole(make_lab: MakeLab, steps: list[Any]) -> None:
    from emulator.lab import LabError

    lab = make_lab("hello", "nap", "spin", "probe")
    reader, fresh = Reader(lab), Reader(lab)
    for step in steps:
        if step == "read":
            reader.read()
        elif isinstance(step, int):
            lab.advance(lab.position + step)
        else:
            try:
                lab.apply(step)
            except LabError:
                continue
    reader.read()
    fresh.read()
    assert reader.frames == fresh.frames
    assert fresh.lanes.items() <= reader.lanes.items()
    assert fresh.events.items() <= reader.events.items()
    vms = {vm["name"] for vm in lab.observe()["vms"]}
    assert {name: text for name, text in reader.consoles.items() if name in vms} == fresh.consoles


def test_second_look_without_change_is_small(make_lab: MakeLab) -> None:
    lab = make_lab("hello", "spin")
    lab.apply({"verb": "start", "vm": "a"})
    lab.apply({"verb": "start", "vm": "b"})
    lab.advance(1_000_000)
    cursor = lab.observe()["cursor"]
    again = lab.observe(cursor)
    assert not again["full"]
    assert again["cursor"] == cursor
    assert (again["lanes"], again["consoles"], again["events"], again["frames"]["delta"]) == ([], [], [], [])


def test_looking_does_not_change_the_lab(make_lab: MakeLab) -> None:
    lab = make_lab("hello", "nap", "probe")
    for vm in "abc":
        lab.apply({"verb": "start", "vm": vm})
    lab.advance(60_000)
    before = lab.state_hash()
    lab.observe()
    lab.registers("b", 0)
    lab.memory("b", 0, 0x8000_0000, "gva", 10_000)
    lab.walk("b", 0, 0x9000_0000, "store")
    lab.frame(0)
    lab.listing("b")
    lab.faults("c")
    lab.digest("b")
    assert lab.state_hash() == before


def test_cursor_from_another_life_gets_everything(make_lab: MakeLab) -> None:
    lab = make_lab("hello")
    cursor = lab.observe()["cursor"]
    assert lab.observe(cursor + 100)["full"]
    lab.apply({"verb": "reset_lab"})
    assert lab.observe(cursor)["full"]


def test_counters_of_a_vm_outlive_its_shutdown(make_lab: MakeLab) -> None:
    lab = make_lab("hello")
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(100_000)
    (vm,) = lab.observe()["vms"]
    assert vm["state"] == "shut off"
    assert vm["exits"] == {"sbi": 7}
    assert vm["vcpus"][0]["state"] == "off"
    assert vm["vcpus"][0]["retired"] > 30
    assert vm["frames_ram"] == 0


def test_running_vcpu_shows_the_line_it_is_on(make_lab: MakeLab) -> None:
    lab = make_lab("count")
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(20_000)
    (vm,) = lab.observe()["vms"]
    assert vm["vcpus"][0]["line"] in range(4, 13)


def test_frame_legend_counts_what_the_map_shows(make_lab: MakeLab) -> None:
    lab = make_lab("spin", "wait")
    lab.apply({"verb": "start", "vm": "b"})
    frames = lab.observe()["frames"]
    owners = base64.b64decode(frames["owners"] or "")
    assert len(owners) == frames["count"] == 512
    assert sum(one["count"] for one in frames["legend"]) == 512
    assert all(owners.count(one["code"]) == one["count"] for one in frames["legend"])
    assert {(one["vm"], one["role"]): one["count"] for one in frames["legend"] if one["count"]} == {
        (None, "free"): 512 - 16 - 6,
        ("b", "guest RAM"): 16,
        ("b", "G-stage table"): 6,
    }


def test_busy_lab_is_observed_in_little_text(make_lab: MakeLab) -> None:
    lab = make_lab("spin", "spin", "nap", "hello")
    for vm in "abcd":
        lab.apply({"verb": "start", "vm": vm})
    lab.advance(lab.position_at(20_000_000))
    cursor = lab.observe()["cursor"]
    lab.advance(lab.position_at(21_000_000))
    assert len(json.dumps(lab.observe(cursor))) < 12_000
