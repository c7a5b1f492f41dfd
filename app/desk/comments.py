"""Comments of a configuration's text, kept when the text is written anew after a change in the form.

A comment on a line of its own belongs to the entry below it, one behind an entry to that entry. Entries are
the keys of the top level and the parts of its lists, by their names. With an entry go its comments.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, cast

from app.desk.configuration import sections
from app.lessons.yaml import Document

Anchor = tuple[str, str]  # of the top level: key and ""; of a list: its key and the entry's name
END: Anchor = ("", "")


def with_comments(text: str, document: Document, config: Mapping[str, Any]) -> str:
    """Return `config` as text, with the comments of `text`, which `document` was read from."""
    above, behind = _comments(text, document)
    lines: list[str] = []
    for key, index, line in sections(config):
        anchor = _anchor(config, key, index)
        indent = line[: len(line) - len(line.lstrip())]
        lines += [indent + comment for comment in above.pop(anchor, [])]
        lines.append("  ".join([line, *behind.pop(anchor, [])]))
    return "\n".join([*lines, *above.pop(END, [])]) + "\n"


def _comments(text: str, document: Document) -> tuple[dict[Anchor, list[str]], dict[Anchor, list[str]]]:
    places = sorted(_places(document))
    starts = [line for line, _ in places]
    above: dict[Anchor, list[str]] = {}
    behind: dict[Anchor, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        at = comment_start(line)
        if at is None:
            continue
        if not line[:at].strip():
            next_one = bisect_right(starts, number)
            anchor = places[next_one][1] if next_one < len(places) else END
            above.setdefault(anchor, []).append(line[at:].rstrip())
        elif starts and starts[0] <= number:
            anchor = places[bisect_right(starts, number) - 1][1]
            behind.setdefault(anchor, []).append(line[at:].rstrip())
    return above, behind


def _places(document: Document) -> Iterator[tuple[int, Anchor]]:
    """Yield the line of each entry."""
    value: object = document.value
    outer: tuple[str, ...] = ()
    if isinstance(value, dict) and list(cast("dict[str, Any]", value)) == ["lab"]:
        outer, value = ("lab",), cast("dict[str, Any]", value)["lab"]
    if not isinstance(value, dict):
        return
    table = cast("dict[str, Any]", value)
    for key, part in table.items():
        yield document.place((*outer, key)).line, (key, "")
        for index in range(len(cast("list[Any]", part)) if isinstance(part, list) else 0):
            yield document.place((*outer, key, index)).line, _anchor(table, key, index)


def _anchor(config: Mapping[str, Any], key: str, index: int | None) -> Anchor:
    if index is None:
        return key, ""
    entry = config[key][index]
    return key, str(cast("dict[str, Any]", entry).get("name", index) if isinstance(entry, dict) else index)


def comment_start(line: str) -> int | None:
    """Return where a comment begins in a line (YAML 1.2.2, 6.6): a # at its start or behind a space."""
    quote = ""
    for at, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "#" and (at == 0 or line[at - 1] in " \t"):
            return at
    return None
