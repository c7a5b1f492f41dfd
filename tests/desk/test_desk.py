"""A lab is worked with through its desk, as the page in a browser does, and its history can be repeated."""

import json
from typing import Any

import pytest

from app import texts
from app.desk.desk import Desk
from app.desk.requests import Answer, Form, Request
from app.workers.record import LabBuilder, LabRecord, ProgramText
from emulator.build.engine import load_engine
from emulator.lab import Lab

COUNT = "_start: li t0, 0\nloop: addi t0, t0, 1\n j loop\n"
CONFIG: dict[str, Any] = {
    "host": {"pcpus": 1, "memory": "4 MiB"},
    "vms": [{"name": "a", "program": "count.s", "memory": "256 KiB"}],
}
RECORD = LabRecord("lab", "none", CONFIG, (ProgramText("count.s", source=COUNT),), seed=1)


class Page:
    """A page with a clock of its own, in front of a desk."""

    def __init__(self, record: LabRecord = RECORD) -> None:
        self.seconds = 0.0
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.desk = Desk(record, LabBuilder(load_engine()), self.tick, self.take)

    def tick(self) -> float:
        self.seconds += 0.0005
        return self.seconds

    def take(self, stream: str, events: list[tuple[str, str]]) -> None:
        self.events += [(name, json.loads(text)) for name, text in events]
        self.desk.ready(stream)

    def get(self, path: str, form: Form = "json", **query: str) -> Answer:
        return self.desk.handle(Request("GET", path, query, form=form))

    def post(self, path: str, form: Form = "json", **fields: Any) -> Answer:
        return self.desk.handle(Request("POST", path, fields=fields, form=form))

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self.desk.work()


@pytest.fixture
def page() -> Page:
    return Page()


def replayed(line: dict[str, Any]) -> str:
    """Return the hash of a line of history, repeated from the beginning."""
    lab = LabBuilder(load_engine())(RECORD)
    again = Lab.replay(
        lab.config, {"count.s": lab.program("a")}, 1, line["log"], line["position"], load_engine()
    )
    return again.state_hash()


def test_what_was_done_in_a_browser_can_be_repeated_from_its_log(page: Page) -> None:
    assert page.post("actions", verb="start", vm="a").status == 200
    page.post("control", verb="run", speed="max")
    page.run(20)
    page.post("control", verb="pause")
    line = page.desk.line(hashed=True)
    assert line["position"] > 0
    assert [entry["action"]["verb"] for entry in line["log"]] == ["start"]
    assert line["hash"] == replayed(line)


def test_a_stream_gets_everything_first_and_then_what_changed(page: Page) -> None:
    page.desk.follow("s")
    page.run(3)
    assert [name for name, _ in page.events] == ["frames", "lanes", "console", "events", "state"]
    assert page.events[0][1]["full"]


def test_a_lab_is_taken_to_where_it_was_elsewhere(page: Page) -> None:
    page.post("actions", verb="start", vm="a")
    page.post("control", verb="run", speed="max")
    page.run(20)
    page.post("control", verb="pause")
    line = page.desk.line(hashed=True)
    other = Page(
        LabRecord(
            "lab",
            "none",
            CONFIG,
            RECORD.programs,
            1,
            log=tuple(line["log"]),
            position=line["position"],
            mode=line["mode"],
        )
    )
    assert other.desk.line()["position"] == line["position"]  # it says where it is going
    other.run(100)
    assert other.desk.line(hashed=True)["hash"] == line["hash"]


def test_a_wrong_program_is_refused_with_the_place_of_the_error(page: Page) -> None:
    answer = page.post("program", vm="a", source="_start:\n  adi t0, t0, 1\n")
    error = json.loads(answer.text)["error"]
    assert (answer.status, error["title"]) == (422, "This program does not assemble")
    assert error["diagnostics"][0]["line"] == 2
    assert page.desk.line()["log"] == []


def test_the_configuration_form_changes_the_lab(page: Page) -> None:
    shown = page.get("config", "fragment")
    assert 'hx-post="/labs/lab/config"' in shown.text
    answer = page.post("config", "fragment", **{"vms-1-name": "b", "vms-1-memory": "1 MiB"})
    assert (answer.status, 'value="b"' in answer.text) == (200, True)
    refused = page.post("config", "fragment", **{"vms-0-memory": "1 bit"})
    assert (refused.status, 'data-where="' in refused.text) == (422, True)


def test_the_configuration_as_text_changes_the_lab_and_keeps_its_comments(page: Page) -> None:
    text = json.loads(page.get("config").text)["text"]
    assert "host: {pcpus: 1" in text
    edited = "# for a while\n" + text.replace("memory: 256 KiB", "memory: 512 KiB")
    seen = json.loads(page.post("config", text=edited, preview="1").text)
    assert [change["text"] for change in seen["changes"]] == ["VM a: memory 256 KiB \u2192 512 KiB"]
    assert 'name="vms-0-memory" value="512 KiB"' in seen["form"]
    fields: dict[str, Any] = {"vms-0-weight": "512", "base": edited, "preview": "1"}
    assert json.loads(page.post("config", **fields).text)["text"].startswith("# for a while\nhost:")
    changed = json.loads(page.post("config", text=edited).text)
    assert changed["text"].startswith("# for a while\n")
    assert json.loads(page.get("config").text)["vms"][0]["memory"] == "512 KiB"
    assert [entry["action"]["verb"] for entry in page.desk.line()["log"]] == ["set_vm"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("host: {pcpus: 1}\nvms: [", 2, "not valid YAML"),
        ("host: {pcpus: 1}\nvms:\n  - {name: a, program: count.s, memory: 1 bit}\n", 3, "memory"),
        ("host: {pcpus: 1}\nvms: &a []\n", 2, "anchors (&name) are not allowed"),
        ("vms: []\nhost: [" + "[" * 50, 2, "nested deeper"),
    ],
)
def test_a_wrong_text_is_refused_at_its_line(page: Page, text: str, line: int, message: str) -> None:
    asked: list[dict[str, Any]] = [{"text": text}, {"text": text, "preview": "1"}]
    for fields in asked:
        answer = page.post("config", **fields)
        error = json.loads(answer.text)["error"]
        assert (answer.status, error["diagnostics"][0]["line"]) == (422, line)
        assert message in error["message"]
    assert page.desk.line()["log"] == []


def test_the_host_console_and_the_views_answer(page: Page) -> None:
    printed = json.loads(page.post("virsh", line="start a").text)
    assert "started" in printed["output"]
    assert json.loads(page.get("program", vm="a").text)["source"] == COUNT
    assert page.get("registers", vm="a", vcpu="0").status == 200
    assert page.get("snapshots").status == 200
    assert page.get("frame", hfn="99999999").status == 422
    assert page.get("secret").status == 404
    assert page.post("secret").status == 405


def test_answers_and_checks_wait_for_the_server(page: Page) -> None:
    answer = page.post("answers", "fragment", question="frames-of-a", value="256")
    assert "judged when this browser is connected" in answer.text
    assert "graded when connected" in page.post("check", "fragment").text
    assert page.desk.line()["log"][0]["action"] == {
        "verb": "answer",
        "question": "frames-of-a",
        "value": "256",
    }


def test_starting_over_begins_a_new_generation(page: Page) -> None:
    page.post("actions", verb="start", vm="a")
    assert page.post("reset").status == 200
    line = page.desk.line()
    assert (line["generation"], line["log"], line["position"]) == (2, [], 0)


def test_memory_keys_snapshots_archives_and_series_are_there_without_a_server(page: Page) -> None:
    fields: dict[str, Any] = {"vms-0-memory_limit": "128 KiB", "overcommit": "2"}
    assert page.post("config", **fields).status == 200
    assert 'name="vms-0-memory_limit" value="128 KiB"' in page.get("config", "fragment").text
    asked: dict[str, Any] = {"preview": "1", "vms-0-weight": "512"}
    seen = json.loads(page.post("config", **asked).text)
    assert [change["text"] for change in seen["changes"]] == ["VM a: weight 256 \u2192 512"]
    assert "weight: 512" in seen["text"]
    assert json.loads(page.get("pcap").text)["pcap"]
    assert "There is no network" in page.get("packets", "fragment").text
    page.post("actions", verb="start", vm="a")
    page.post("actions", verb="snapshot_create", vm="a", name="s1")
    assert json.loads(page.get("snapshots").text)["vms"][0]["snapshots"][0]["name"] == "s1"
    archive = json.loads(page.get("export", vm="a").text)["archive"]
    assert page.post("import", archive=archive, name="again").status == 200
    assert page.post("import", archive=archive[:-8], name="more").status == 422
    page.post("control", verb="run", speed="max")
    page.run(60)
    window = json.loads(page.get("timeline", width="50").text)
    assert len(window["pcpus"]) == window["host"]["pcpus"]
    found = json.loads(page.get("series", signals="cpu").text)
    assert len(found["series"]["cpu"]["again"]) == len(found["at_ns"]) > 0


def test_the_cpu_view_and_stops_work_without_a_server_and_outlive_starting_over(page: Page) -> None:
    page.post("actions", verb="start", vm="a")
    loop = "0x80000004"
    assert page.post("control", verb="stop_add", kind="breakpoint", vm="a", address=loop).status == 200
    page.post("control", verb="run", speed="max")
    page.run(20)
    shown = json.loads(page.get("cpu", vm="a", vcpu="0", count="4").text)
    assert int(shown["code"]["pc"], 16) == 0x8000_0004
    assert shown["code"]["where"] == "loop"
    assert "addi" in page.get("cpu", "fragment", vm="a").text
    assert page.desk.line()["mode"]["stops"][0]["hits"] == 1
    page.post("reset")
    assert [stop["condition"]["address"] for stop in page.desk.line()["mode"]["stops"]] == [loop]
    refused = page.post("gdb", vm="a")
    assert (refused.status, "gdb needs the server" in refused.text) == (409, True)


def test_a_byte_and_an_exit_are_explained_without_a_server(page: Page) -> None:
    page.post("actions", verb="start", vm="a")
    page.post("control", verb="run", speed="max")
    page.run(20)
    page.post("control", verb="pause")
    where = page.get("where", "fragment", vm="a", address="loop", access="fetch")
    assert "How does the MMU find it?" in where.text
    frame = json.loads(page.get("where", vm="a", address="loop").text)["hfn"]
    assert "Who maps this frame?" in page.get("frame", "fragment", hfn=str(frame)).text
    assert "512 page-table entries" in page.get("table", "fragment", hfn=str(frame)).text
    events = json.loads(page.get("state").text)["events"]
    event = [one["id"] for one in events if one["kind"] == "exit"][-1]
    hashed = page.desk.line(hashed=True)
    assert "What did the guest see?" in page.get("exit", "fragment", event=str(event)).text
    try:
        texts.use("de")
        story = page.get("exit", "fragment", event=str(event)).text
        assert "Was sah der Gast?" in story
        assert 'lang="en"' not in story
    finally:
        texts.use(texts.SOURCE)
    assert page.desk.line(hashed=True) == hashed
