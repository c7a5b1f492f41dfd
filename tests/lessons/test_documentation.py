"""The documentation of the format is true: its example is a lesson that works, its tables are complete."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from app.cli import main
from app.lessons.course import CourseTable, EntryTable, load_course
from app.lessons.facts import FUNCTIONS, METHODS, REASONS, RECORDS
from app.lessons.lint import lint_lesson
from app.lessons.load import load_lesson
from app.lessons.markdown import BLOCKS, VIEWS
from app.lessons.model import CheckTable, FrontMatter
from app.lessons.schema import json_schema

PROJECT = Path(__file__).resolve().parents[2]
FORMAT = (PROJECT / "lessons" / "FORMAT.md").read_text()
CI = (PROJECT / "lessons" / "CI.md").read_text()
CHECKS = (PROJECT / "app" / "grading" / "README.md").read_text()
FILE = re.compile(r"^`([a-z./-]+)`:\n\n(````?)[a-z]*\n(.*?)^\2$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Return the example, written as the page says."""
    root = tmp_path / "lessons" / "04-my-lesson"
    for name, _, text in FILE.findall(FORMAT):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_example_is_a_sound_lesson(example: Path) -> None:
    assert [str(error) for error in lint_lesson(example)] == []
    lesson = load_lesson(example)
    kinds = {block.kind for step in lesson.steps for block in step.blocks}
    assert kinds == {"text", "predict", "listing", "figure", "hint"}
    assert lesson.points == 5


def test_the_example_works_for_many_students(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test-lesson", str(example), "--seeds", "8", "--mutate", "--jobs", "1", "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["wide"] == []
    assert report["caught"] == report["wrong"] == 16
    assert len({trial["params"]["word"] for trial in report["trials"]}) == 8


def test_the_example_of_a_course_is_read(example: Path) -> None:
    text = re.findall(r"```yaml\n(schema: 1\n.*?)```", FORMAT, re.DOTALL)[0]
    text = text.replace("  - 01-first-virtual-machine\n", "").replace("02-the-wall", example.name)
    (example.parent / "course.yaml").write_text(text)
    course = load_course(example.parent)
    place = course.entry(course.lessons[0])
    assert (course.secret_variable, place.points) == ("COURSE_SECRET", 10)
    assert place.opens is not None
    assert place.due is not None


def test_the_commands_for_ci_do_what_the_page_says(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    github, gitlab = re.findall(r"^```yaml\n(.*?)^```", CI, re.MULTILINE | re.DOTALL)
    commands = [re.findall(r"(?m)^ +- (?:run: )?(vmlab .*)$", text) for text in (github, gitlab)]
    assert len(commands[0]) == 2
    assert commands[0] == commands[1]
    repository = example.parent.parent
    monkeypatch.chdir(repository)
    for command in commands[0]:
        words = command.replace("--seeds 20", "--seeds 2 --jobs 1").split()[1:]
        assert main(words) == 0
    assert "no faults found" in capsys.readouterr().err
    assert (repository / "lessons.xml").read_bytes().count(b"<testcase ") == 3
    jobs = YAML(typ="safe").load(github)["jobs"]["lessons"]["steps"]
    assert [step["run"] for step in jobs if "run" in step][1:] == commands[0]
    assert YAML(typ="safe").load(gitlab)["lessons"]["script"][1:] == commands[0]


def test_every_key_block_and_view_is_on_the_page() -> None:
    for table in (FrontMatter, CheckTable, CourseTable, EntryTable):
        for name, key in table.model_fields.items():
            assert re.search(rf"\b{key.alias or name}\b", FORMAT), f"{key.alias or name} is not explained"
    for word in (*BLOCKS, *VIEWS):
        assert word in FORMAT
    assert len(FORMAT.splitlines()) < 280


def test_the_schema_beside_the_page_is_made_of_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    kept = PROJECT / "lessons" / "lesson.schema.json"
    assert json.loads(kept.read_text()) == json_schema(), (
        "run: vmlab lint --schema > lessons/lesson.schema.json"
    )
    assert main(["lint", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
    properties = json_schema()["$defs"]["FrontMatter"]["properties"]
    assert {"schema", "id", "params", "checks", "lab"} <= set(properties)


def test_every_function_field_and_method_is_documented() -> None:
    table = "\n".join(line for line in CHECKS.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)\(", table)) == set(FUNCTIONS)
    for record in RECORDS.values():
        for name in record:
            assert f"`{name}`" in CHECKS or f"`.{name}`" in CHECKS
    for reason in REASONS:
        assert f"`{reason}`" in CHECKS
    for _, name in METHODS:
        assert name in FORMAT
