"""A new lesson for an author to change: the example of the format's documentation, under another name."""

import re
from pathlib import Path

from app.lessons.errors import LessonError
from app.lessons.load import SLUG

_FILE = re.compile(r"^`([a-z./-]+)`:\n\n(````?)[a-z]*\n(.*?)^\2$", re.MULTILINE | re.DOTALL)


def example_files(documentation: str) -> dict[str, str]:
    """Return the files of the example in FORMAT.md: name -> text."""
    return {name: text for name, _, text in _FILE.findall(documentation)}


def write_lesson(directory: Path, title: str, documentation: Path) -> list[Path]:
    """Write a new lesson and return its files; raise LessonError if it cannot be written."""
    root = directory.absolute()
    match = SLUG.fullmatch(root.name)
    if not match:
        message = "is not named like 04-my-lesson (number, hyphen, words in lower case)"
        raise LessonError(str(directory), 0, 0, message)
    if root.exists():
        raise LessonError(str(directory), 0, 0, "exists already; choose another name")
    files = example_files(documentation.read_text(encoding="utf-8"))
    shown = " ".join(title.split()) or match[2].replace("-", " ").capitalize()
    if any(character in shown for character in ":#\"'{}[]"):
        raise LessonError(str(directory), 0, 0, f"the title {shown!r} needs quotes; change it in lesson.md")
    files["lesson.md"] = _renamed(files["lesson.md"], match[2], shown)
    written: list[Path] = []
    try:
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(directory / name)
    except OSError as error:
        raise LessonError(str(directory), 0, 0, f"cannot be written: {error.strerror}") from error
    return written


def _renamed(text: str, identifier: str, title: str) -> str:
    text = re.sub(r"(?m)^id: .*$", f"id: {identifier}", text, count=1)
    return re.sub(r"(?m)^title: .*$", f"title: {title}", text, count=1)
