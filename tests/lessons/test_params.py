"""Parameters: every student draws their own numbers, from a seed alone, and they reach all of the lesson."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.lessons import LessonErrors, load_lesson
from app.lessons.editions import Editions
from app.lessons.seeds import student_seed
from tests.lessons.conftest import BODY, FRONT, PROGRAM, WriteLesson

PARAMS = """\
params:
  memory: {from: 512 KiB, to: 2 MiB, step: 256 KiB}
  nap: {from: 2 ms, to: 9 ms, step: 1 ms}
  rounds: {from: 1000, to: 9000, step: 500}
  secret: {token: 8}
  word: {one_of: [alpha, beta, gamma]}
  frames: {value: memory / (4 * KiB)}
  last: {value: 2 * GiB + memory - 1, as: hex}
constraints:
  - rounds % 1000 == 0
  - nap > 2 * ms || word == "alpha"
lab:
"""
DRAWN = (
    FRONT.replace("lab:\n", PARAMS)
    .replace("memory: 1 MiB", "memory: {{ memory }}")
    .replace('contains("Hello")', "contains(secret)")
)
TEXT = BODY.replace(
    "Some *text*.", "Frames {{ frames }}, {{ memory }}, {{memory|KiB}} KiB, nap {{ nap | us }}, {{ last }}."
)
GUEST = PROGRAM.replace("word:   .word 1", 'word:   .word {{ rounds }}\n        .ascii "{{ secret }}"')


@pytest.fixture
def drawn(write_lesson: WriteLesson) -> Path:
    """Return a lesson with parameters of every kind."""
    return write_lesson(DRAWN, TEXT, {"guest/hello.s": GUEST})


def test_values_flow_into_text_configuration_guests_and_checks(drawn: Path) -> None:
    lesson = load_lesson(drawn, seed=7)
    values = {name: value.value for name, value in lesson.params.items()}
    memory, secret = values["memory"], values["secret"]
    assert isinstance(memory, int)
    assert lesson.lab_config.vms[0].memory == memory
    assert values["frames"] == memory // 4096
    assert f"Frames {memory // 4096}, " in lesson.steps[1].html
    assert f", {memory // 1024} KiB, nap" in lesson.steps[1].html
    assert f"{(1 << 31) + memory - 1:#x}" in lesson.steps[1].html
    source = lesson.programs["hello.s"].source or ""
    assert f".word {values['rounds']}\n" in source
    assert f'.ascii "{secret}"' in source
    assert lesson.checks[0].expect.names["secret"] == secret


def test_the_same_seed_draws_the_same_and_others_differ(drawn: Path) -> None:
    lesson = load_lesson(drawn)
    assert lesson.drawn(5).params == load_lesson(drawn, seed=5).params
    different = {tuple(lesson.parameters.draw(seed).items()) for seed in range(200)}
    assert len(different) == 200
    assert lesson.drawn(5).version == lesson.drawn(6).version == lesson.version


def test_every_draw_meets_the_constraints(drawn: Path) -> None:
    parameters = load_lesson(drawn).parameters
    for seed in range(300):
        values = parameters.draw(seed)
        assert int(values["rounds"].value) % 1000 == 0
        assert int(values["nap"].value) > 2_000_000 or values["word"].value == "alpha"


def test_a_new_parameter_does_not_change_the_others(write_lesson: WriteLesson) -> None:
    before = load_lesson(write_lesson(DRAWN)).parameters.draw(3)
    more = load_lesson(
        write_lesson(DRAWN.replace("  secret:", "  extra: {from: 1, to: 6}\n  secret:"))
    ).parameters.draw(3)
    assert {name: more[name] for name in before} == before


@settings(max_examples=200)
@given(st.binary(min_size=16, max_size=40), st.text(max_size=30), st.text(max_size=30))
def test_a_seed_is_a_function_of_secret_student_and_lesson(secret: bytes, student: str, lesson: str) -> None:
    student, lesson = student.replace("\0", ""), lesson.replace("\0", "")
    seed = student_seed(secret, student, lesson)
    assert 0 <= seed < 1 << 48
    assert seed == student_seed(secret, student, lesson)
    others = [
        (secret + b"x", student, lesson),
        (secret, student + "x", lesson),
        (secret, student, lesson + "x"),
    ]
    assert seed not in [student_seed(*other) for other in others]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("token: 8", "token: 2", "lesson.md:13:12: token is '2': "),
        ("from: 512 KiB", "from: 512 ms", "lesson.md:10:26: from, to and step must be of one kind"),
        ("to: 2 MiB", "to: 4 KiB", "lesson.md:10:27: 'to' must be larger than 'from'"),
        ("to: 2 MiB", "too: 2 MiB", "lesson.md:10:27: unknown key 'too'; did you mean 'to'?"),
        ("  nap:", "  s:", "'s' is a unit in expressions; choose another name"),
        ("  nap:", "  Nap:", "'Nap' is no name; use lower-case letters"),
        ("{token: 8}", "{tokn: 8}", "lesson.md:13:3: secret must be one of {from: 1, to: 9}"),
        (
            "memory / (4",
            "memry / (4",
            "lesson.md:15:12: value, character 1: unknown name 'memry'; did you mean",
        ),
        ("beta, gamma", "<b>", "one_of"),
        ("beta, gamma", "alpha", "one_of names a value twice"),
        (
            "rounds % 1000 == 0",
            "rounds % 1000",
            "lesson.md:18:5: character 1: gives int; a constraint must be",
        ),
        ("rounds % 1000 == 0", "rounds < 0", "no draw of 1000 meets every constraint"),
        ("rounds % 1000 == 0", "rounds / 0 == 0", "divides by zero"),
        (
            "memory: {{ memory }}",
            "memory: {{ memroy }}",
            "lesson.md:23:25: there is no parameter 'memroy'; did you mean",
        ),
        (
            "memory: {{ memory }}",
            "memory: {{ memory | ms }}",
            "is a size and has no unit 'ms'; units: B, KiB",
        ),
        ("memory: {{ memory }}", "memory: {{ nap }}", "lesson.md:23:17: vms[0].memory"),
        (
            "memory: {{ memory }}",
            "memory: {{ rounds | us }}",
            "is a plain number and has no unit 'us'; if it is a duration, write {value: ..., as: duration}",
        ),
        (
            "memory: {{ memory }}",
            "memory: {{ secret | us }}",
            "is text and has no unit; write it without '| us'",
        ),
    ],
)
def test_a_fault_of_a_parameter_is_located(
    write_lesson: WriteLesson, old: str, new: str, expected: str
) -> None:
    assert DRAWN.count(old) == 1
    with pytest.raises(LessonErrors) as caught:
        load_lesson(write_lesson(DRAWN.replace(old, new)))
    assert expected in str(caught.value)
    assert str(caught.value).startswith("lessons/03-mine/lesson.md:")


def test_columns_behind_a_value_are_those_of_the_file(write_lesson: WriteLesson) -> None:
    front = DRAWN.replace("memory: {{ memory }}, program", "memory: {{ memory }}, progam")
    with pytest.raises(LessonErrors) as caught:
        load_lesson(write_lesson(front))
    line = front.split("\n")[22]
    assert f"lesson.md:23:{line.index('progam') + 1}: " in str(caught.value)


def test_braces_of_c_stay_as_they_are(write_lesson: WriteLesson) -> None:
    body = "Text with {{0}} and {{ 1, 2 }}.\n"
    assert "{{0}} and {{ 1, 2 }}" in load_lesson(write_lesson(body=body)).steps[0].html


def test_a_kept_version_outlives_the_lesson(drawn: Path, tmp_path: Path) -> None:
    editions = Editions(tmp_path / "editions")
    old = load_lesson(drawn)
    editions.keep(old)
    editions.keep(old)
    (drawn / "lesson.md").write_text(DRAWN.replace("My lesson", "Our lesson") + TEXT)
    assert load_lesson(drawn).version != old.version
    kept = editions.read(old.version)
    assert kept is not None
    assert (kept.title, kept.version, kept.slug) == ("My lesson", old.version, "03-mine")
    assert kept.drawn(9).params == old.drawn(9).params
    assert editions.read("0" * 16) is None
    assert editions.read("../../etc") is None
