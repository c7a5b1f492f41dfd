"""The commands that README.md tells a newcomer to type exist."""

import re
import shlex
from pathlib import Path

import pytest

from app.cli import build_parser

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True) for block in BLOCKS for line in block.splitlines() if line.strip()
]


def targets(project: Path) -> set[str]:
    makefile = (project / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "make"], ids=" ".join)
def test_make_target_exists(words: list[str], project: Path) -> None:
    named = {word for word in words[1:] if "=" not in word}
    assert named <= targets(project)


@pytest.mark.parametrize(
    "words", [words for words in COMMANDS if Path(words[0]).name == "vmlab"], ids=" ".join
)
def test_vmlab_command_parses_and_its_paths_exist(words: list[str], project: Path) -> None:
    args = build_parser().parse_args(words[1:])
    assert callable(args.main)
    assert [word for word in words[2:] if "/" in word and not (project / word).exists()] == []


def test_readme_names_the_two_commands() -> None:
    assert {("make", "serve"), ("make", "test")} <= {tuple(words) for words in COMMANDS}
