"""A directory for lessons that tests write."""

from collections.abc import Callable
from pathlib import Path

import pytest

FRONT = """\
---
schema: 1
id: my-lesson
title: My lesson
summary: One sentence.
minutes: 30
objectives:
  - Say what a guest page fault is.
lab:
  host: {pcpus: 2, memory: 8 MiB}
  vms:
    - {name: a, memory: 1 MiB, program: hello.s}
checks:
  - id: hello
    title: VM a says hello
    points: 2
    expect: console("a").contains("Hello") && state("a") == "shut off"
    why: It has done what it was written for.
    help: Press Run.
---
"""

BODY = """\
Welcome.

## First step

Some *text*.

```predict how-many
question: How many?
choices:
  a: none
  b: one
answer: b
explanation: Just **one**.
```
"""

PROGRAM = """\
# a program
_start:
        wfi
        j _start

        .data
word:   .word 1
"""

WriteLesson = Callable[..., Path]


@pytest.fixture
def write_lesson(tmp_path: Path) -> WriteLesson:
    """Return a function that writes a lesson from its parts and returns its directory."""

    def write(front: str = FRONT, body: str = BODY, files: dict[str, str | bytes] | None = None) -> Path:
        directory = tmp_path / "lessons" / "03-mine"
        contents: dict[str, str | bytes] = {
            "guest/hello.s": PROGRAM,
            "lesson.md": front + body,
            **(files or {}),
        }
        for name, content in contents.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return directory

    return write
