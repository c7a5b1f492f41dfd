"""What a reader is sent makes the page show what the lab is: exactly when it stands, about when it races."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.lessons import load_course
from app.workers.changes import applied
from app.workers.record import LabRecord
from app.workers.session import Session
from app.workers.showing import MOST_EXITS, PIECES, SLOW_VCPU, Shown, show
from emulator.bench.lesson_page import LESSONS
from emulator.build.engine import load_engine
from emulator.lab import Lab


class Reader:
    """A page: it merges what it is sent."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._shown = Shown()
        self.wall = 0.0
        self.state: dict[str, Any] = {}
        self.owners = bytearray()
        self.slices: dict[int, Any] = {}
        self.last: dict[str, Any] = {}
        self.bytes = 0

    def look(self) -> None:
        events, self._shown = show(self.session, self._shown, self.wall)
        self.wall = round(self.wall + 0.1, 1)
        self.bytes = len(json.dumps(events))
        self.last = dict(events)
        state = dict(self.last["state"])
        self.state = {**applied(self.state, state.pop("changes", {})), **state}
        self._take_frames(self.last.get("frames"))
        lanes = self.last.get("lanes", {"full": False, "lanes": []})
        if lanes["full"]:
            self.slices.clear()
        self.slices |= {one["id"]: one for one in lanes["lanes"]}

    def _take_frames(self, event: dict[str, Any] | None) -> None:
        if event is None:
            return
        frames = event["frames"]
        if frames["owners"] is not None:
            self.owners = bytearray(base64.b64decode(frames["owners"]))
            return
        at, delta = 0, frames["delta"]
        for index, code in enumerate(delta["codes"]):
            count = delta["counts"][index] if delta["counts"] else 1
            at += delta["gaps"][index]
            self.owners[at : at + count] = bytes([code]) * count
            at += count


@pytest.fixture(scope="module")
def lab() -> Lab:
    """The lab of the bench of the page, all of it on."""
    lesson = load_course(LESSONS).lesson("heavy-lab").drawn(1)
    built = Lab(lesson.lab_config, lesson.programs, 1, load_engine())
    built.record()
    for vm in built.observe()["vms"]:
        if vm["state"] == "shut off":
            built.apply({"verb": "start", "vm": vm["name"]})
    return built


@pytest.fixture
def reader(lab: Lab) -> Iterator[Reader]:
    session = Session(LabRecord("lab", "none", {}, (), 1), lambda _: lab, lambda: 0.0, standing=lab)
    reader = Reader(session)
    reader.look()
    session.mode = "running"
    yield reader
    session.mode = "paused"


def advance(lab: Lab, reader: Reader, cycles: int) -> None:
    lab.advance(lab.position + cycles * 8)
    reader.look()


def test_a_page_that_raced_knows_everything_once_the_lab_stands(lab: Lab, reader: Reader) -> None:
    for _ in range(4):
        advance(lab, reader, 300_000)
    reader.session.mode = "paused"
    reader.look()
    whole: dict[str, Any] = {**lab.observe(None)}
    assert reader.owners == base64.b64decode(whole["frames"]["owners"])
    assert list(reader.slices.values()) == whole["lanes"]
    for key in ("host", "vms", "position", "now_ns", "answers", "together"):
        assert reader.state[key] == whole[key], key


def test_while_it_races_little_is_sent(lab: Lab, reader: Reader) -> None:
    advance(lab, reader, 300_000)
    reader.wall = 0.2
    advance(lab, reader, 300_000)
    assert reader.bytes < 20_000
    assert sum(event["kind"] == "exit" for event in reader.last["events"]["events"]) <= MOST_EXITS
    coarse = reader.last["lanes"]["coarse"]
    assert all(0 < len(lane) <= PIECES for lane in coarse["pieces"])


def test_counters_come_twice_a_second_while_it_races(lab: Lab, reader: Reader) -> None:
    told: list[bool] = []
    for _ in range(10):
        advance(lab, reader, 100_000)
        vms = reader.last["state"]["changes"].get("vms", {}).values()
        told.append(any(set(SLOW_VCPU) & set(vcpu) for vm in vms for vcpu in vm.get("vcpus", {}).values()))
    assert told.count(True) == 2


def test_a_lab_that_goes_slowly_is_shown_exactly(lab: Lab, reader: Reader) -> None:
    for _ in range(3):
        advance(lab, reader, 100)
        assert "coarse" not in reader.last.get("lanes", {})
        assert reader.state["vms"] == lab.observe(None)["vms"]
