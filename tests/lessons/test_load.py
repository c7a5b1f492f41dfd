"""A lesson's directory becomes a Lesson; its faults become errors with file, line and remedy."""

from pathlib import Path

import pytest

from app.lessons import LessonErrors, load_course, load_lesson
from app.lessons.load import config_path
from app.lessons.markdown import listing_html
from tests.lessons.conftest import BODY, FRONT, PROGRAM, WriteLesson


def errors_of(directory: Path) -> list[str]:
    with pytest.raises(LessonErrors) as caught:
        load_lesson(directory)
    return [str(error) for error in caught.value.errors]


def test_a_good_lesson_is_read_whole(write_lesson: WriteLesson) -> None:
    lesson = load_lesson(write_lesson())
    assert (lesson.id, lesson.slug, lesson.number, lesson.points) == ("my-lesson", "03-mine", 3, 2)
    assert [step.title for step in lesson.steps] == ["Introduction", "First step"]
    assert [block.kind for block in lesson.steps[1].blocks] == ["text", "predict"]
    assert lesson.lab_config.vms[0].memory == 1 << 20
    assert lesson.lab_text.startswith("host: {pcpus: 2, memory: 8 MiB}\nvms:\n  - {name: a,")
    assert lesson.programs["hello.s"].source == PROGRAM


def test_the_version_changes_with_public_and_private_files(write_lesson: WriteLesson) -> None:
    solution = "steps:\n  - start: a\n"
    versions = [
        load_lesson(write_lesson(files=files)).version
        for files in (
            {},
            {"guest/hello.s": PROGRAM + "\n"},
            {"solution/actions.yaml": solution},
            {"solution/actions.yaml": solution + "  - run: 1 ms\n"},
        )
    ]
    assert len(set(versions)) == len(versions)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("minutes: 30", "minuts: 30", "lesson.md:6:1: unknown key 'minuts'; did you mean 'minutes'?"),
        ("minutes: 30\n", "", "lesson.md:2:1: minutes is missing; add a line 'minutes: ...'"),
        ("minutes: 30", "minutes: soon", "lesson.md:6:1: minutes is soon (text); must be a whole number"),
        ("id: my-lesson", "id: My Lesson", "lesson.md:3:1: id is 'My Lesson': must be lower-case words"),
        ("schema: 1", "schema: 2", "lesson.md:2:1: schema is '2': must be 1"),
        ("    points: 2", "    pionts: 2", "lesson.md:16:5: unknown key 'pionts'; did you mean 'points'?"),
        (
            "memory: 1 MiB",
            "memory: 7 KiB",
            "lesson.md:12:17: vms[0].memory is 7 KiB; must be a multiple of 4 KiB",
        ),
        (
            "memory: 8 MiB",
            "memroy: 8 MiB",
            "lesson.md:10:20: host.memroy is not a known key; did you mean `memory`?",
        ),
        ("program: hello.s", "program: helo.s", "guest/ has no 'helo.s'; did you mean 'hello.s'?"),
        ('console("a")', 'console("b")', "expect, character 9: the lesson has no VM 'b'; known: a"),
        ('"shut off"', '"shut of"', "'shut of' is never the case here; did you mean 'shut off'?"),
        ("---\nschema", "schema", "lesson.md:1: a lesson begins with front matter; write a line '---' first"),
        (
            "title: My lesson",
            "title: My: lesson",
            "lesson.md:4:10: not valid YAML: mapping values are not allowed",
        ),
        (
            "title: My lesson",
            "title: My lesson\ntitle: Again",
            "'title' is already given in line 4; keep one",
        ),
    ],
)
def test_a_fault_of_the_front_matter_is_located(
    write_lesson: WriteLesson, old: str, new: str, expected: str
) -> None:
    assert FRONT.count(old) == 1
    errors = errors_of(write_lesson(FRONT.replace(old, new)))
    assert len(errors) == 1
    assert expected in errors[0]
    assert errors[0].startswith("lessons/03-mine/lesson.md:")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "```predict how-many",
            "```predcit how-many",
            "lesson.md:27: unknown kind of block 'predcit'; did you mean 'predict'",
        ),
        ("```predict how-many", "```predict", "lesson.md:27: a predict block needs an id"),
        ("answer: b", "answer: c", "lesson.md:32:1: the answer 'c' is not a choice; choices: a, b"),
        ("answer: b", "anwser: b", "lesson.md:32:1: unknown key 'anwser'; did you mean 'answer'?"),
        ("## First step", "# First step", "lesson.md:23: a heading of level 1"),
        ("Some *text*.", "![a cat](cat.png)", "lesson.md:25: images are not part of schema 1"),
        ("Some *text*.", "```listing nothing.s\n```", "lesson.md:25: guest/ has no program 'nothing.s'"),
        (
            "Some *text*.",
            "```listing hello.s 90-99\n```",
            "'90-99' cannot be listed; write a label of hello.s, or FIRST-LAST",
        ),
        ("Some *text*.", "- ```hint\n  x\n  ```", "lesson.md:25: a hint block inside a list or quote"),
    ],
)
def test_a_fault_of_the_text_is_located(write_lesson: WriteLesson, old: str, new: str, expected: str) -> None:
    assert BODY.count(old) == 1
    assert any(expected in error for error in errors_of(write_lesson(body=BODY.replace(old, new))))


def test_faults_of_several_parts_are_reported_together(write_lesson: WriteLesson) -> None:
    front = FRONT.replace("minutes: 30", "minutes: 0").replace("memory: 1 MiB", "memory: 7 KiB")
    errors = errors_of(write_lesson(front, BODY.replace("answer: b", "answer: x")))
    assert [":".join(error.split(":")[:2]) for error in errors] == [
        "lessons/03-mine/lesson.md:6",
        "lessons/03-mine/lesson.md:12",
        "lessons/03-mine/lesson.md:32",
    ]


def test_a_listing_shows_the_paragraph_of_a_label_with_its_line_numbers(write_lesson: WriteLesson) -> None:
    lesson = load_lesson(write_lesson(body="## Step\n\n```listing hello.s word\nOne *word*.\n```\n"))
    html = lesson.steps[0].blocks[0].html
    assert "hello.s, lines 6 to 7: One <em>word</em>." in html
    assert 'data-line="7"' in html
    assert "wfi" not in html


def test_a_listing_sets_code_and_comment_apart() -> None:
    lines = ["        li      a0, '#'         # a0 = \"#\"", "label:", "# <b>", '        .ascii  "a  # b"']
    html = listing_html("x.s", lines, 9)
    assert '    li    a0, &#x27;#&#x27;  <span class="comment"># a0 = &quot;#&quot;</span>\n' in html
    assert '<span class="comment"># &lt;b&gt;</span>' in html
    assert "    .ascii &quot;a  # b&quot;\n" in html
    assert [f'data-line="{number}"' in html for number in (9, 12, 13)] == [True, True, False]


def test_quotes_are_set_typographically_but_not_in_code(write_lesson: WriteLesson) -> None:
    html = load_lesson(write_lesson(body='She says "no" and `"yes"`.\n')).steps[0].html
    assert "“no”" in html
    assert '"yes"' in html


def test_a_question_of_a_number_needs_a_number(write_lesson: WriteLesson) -> None:
    keys = "question: How many?\nunit: frames\nanswer: 256\ntolerance: 1\nexplanation: Because."
    body = f"```predict n\n{keys}\n```\n"
    question = load_lesson(write_lesson(body=body)).question("n")
    assert [question.judge(value).correct for value in (256, "257", " 255.0 ", "254")] == [
        True,
        True,
        True,
        False,
    ]
    for nonsense in ("many", "", "nan", "1e999", "9" * 1000):
        with pytest.raises(Exception, match="the answer must be a number of frames"):
            question.judge(nonsense)


def test_an_answer_that_is_not_offered_is_refused(write_lesson: WriteLesson) -> None:
    question = load_lesson(write_lesson()).question("how-many")
    assert question.judge("b").correct
    assert not question.judge("a").correct
    with pytest.raises(Exception, match="this answer is not offered; choose one of a, b"):
        question.judge("z")


def test_private_parts_never_reach_the_page(write_lesson: WriteLesson) -> None:
    body = BODY.replace("Just **one**.", "Just **one**. EXPLANATION-MARK")
    files: dict[str, str | bytes] = {
        "solution/actions.yaml": "steps:\n  - edit: {vm: a, old: SOLUTION-MARK, new: x}\n",
        "wrong/one.yaml": "caught_by: hello\nsteps:\n  - edit: {vm: a, old: WRONG-MARK, new: x}\n",
    }
    lesson = load_lesson(write_lesson(body=body, files=files))
    page = "".join(step.html for step in lesson.steps)
    page += "".join(block.html for step in lesson.steps for block in step.blocks)
    assert "MARK" not in page
    assert "checked" not in page
    assert "EXPLANATION-MARK" in lesson.question("how-many").judge("a").explanation_html


def test_a_broken_lesson_does_not_hide_the_others(write_lesson: WriteLesson) -> None:
    good = write_lesson()
    broken = good.parent / "04-broken"
    broken.mkdir()
    (broken / "lesson.md").write_text("---\n")
    course = load_course(good.parent)
    assert [lesson.slug for lesson in course.lessons] == ["03-mine"]
    assert course.lesson("my-lesson") is course.lesson("03-mine")
    assert "lessons/04-broken/lesson.md:1" in str(course.broken["04-broken"])


def test_two_lessons_cannot_have_one_id(write_lesson: WriteLesson) -> None:
    first = write_lesson()
    (first.parent / "05-copy").mkdir()
    for name in ("lesson.md", "guest/hello.s"):
        target = first.parent / "05-copy" / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((first / name).read_bytes())
    assert "id 'my-lesson' is already that of 03-mine" in str(load_course(first.parent).broken["05-copy"])


def test_a_configuration_path_is_taken_apart() -> None:
    assert config_path("vms[1].memory") == ("vms", 1, "memory")
    assert config_path("host.pcpus") == ("host", "pcpus")


def test_a_hint_that_costs_is_no_part_of_the_page_until_it_is_opened(write_lesson: WriteLesson) -> None:
    body = "## Step\n\n```hint hello -2 Where is Run?\nON-THE-CARD\n```\n"
    lesson = load_lesson(write_lesson(body=body))
    assert "ON-THE-CARD" not in lesson.steps[0].html
    assert "for 2 points" in lesson.steps[0].html
    verdict = lesson.question("hint-1").judge("open")
    assert verdict.is_hint
    assert "ON-THE-CARD" in verdict.explanation_html
    (error,) = errors_of(write_lesson(body=body.replace("hello -2", "helo -2")))
    assert "lesson.md:23: the hint costs points of 'helo', which is no check; did you mean 'hello'?" in error
