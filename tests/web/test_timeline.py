"""Windows of the past and single instructions, asked for by a page."""

import gzip

from tests.web.conftest import Student


def test_a_page_asks_for_windows_and_for_instructions(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(3_000_000)
    seen = student.get("timeline", width=50).json
    assert seen is not None
    assert seen["owners"] == [["a", 0]]
    assert [action["verb"] for action in seen["actions"]] == ["start"]
    near = student.get("trace", **{"from": 1000, "to": 1100}).json
    assert near is not None
    assert near["pcpus"][0][0]["kind"] == "instruction"
    assert student.get("timeline", **{"from": 5, "to": 5}).status_code == 422
    assert student.get("timeline", width="wide").status_code == 422
    assert student.get("trace").status_code == 422
    for view in ("timeline", "trace?from=1000"):
        assert "<table>" in student.client.get(f"/labs/{student.lab}/{view}").text


def test_large_answers_are_squeezed_for_those_who_take_that(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(3_000_000)
    url = f"/labs/{student.lab}/state"
    asked = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    squeezed = student.client.get(url, headers=asked)
    assert squeezed.headers["Content-Encoding"] == "gzip"
    plain = student.client.get(url, headers={"Accept": "application/json"})
    assert gzip.decompress(squeezed.data) == plain.data
    assert len(squeezed.data) < len(plain.data) / 2
