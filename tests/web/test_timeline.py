"""Windows of the past and single instructions, asked for by a page."""

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
