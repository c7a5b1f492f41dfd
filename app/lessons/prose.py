"""What an editor would mark in a lesson's text: dead links, units nobody uses, sentences nobody finishes.

The reading level is LIX (Bjornsson 1968): words per sentence plus the percentage of words with more than six
letters. 40 is a newspaper, 60 a law. It needs no dictionary and holds for any language with spaces.
"""

import difflib
import re
from collections.abc import Collection, Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin

from app.lessons.errors import LessonError, nearest, shown
from app.lessons.source import TextFile

LONGEST_SENTENCE = 50
HARDEST = 60
LIKE = 0.75
FEWEST_WORDS = 40
"""A shorter text has no level."""

_UNITS = {
    r"[kK][bB]": "KiB",
    r"[mM][bB]": "MiB",
    r"[gG][bB]": "GiB",
    r"mib|kib|gib|Kib|Mib|Gib": "KiB, MiB or GiB",
    r"mhz|Mhz|MHZ": "MHz",
    r"khz|Khz|KHz|KHZ": "kHz",
    r"ghz|Ghz|GHZ": "GHz",
    r"msecs?|usecs?|nsecs?|secs": "ms, µs, ns or s",
}
_UNIT = re.compile(rf"(?<![\w.])[0-9][0-9.,_]* ?({'|'.join(_UNITS)})\b")
_SENTENCE_END = re.compile(r"[.!?:;](?=\s|$)")
_VM = re.compile(r"\bVMs? (?:`([a-z][a-z0-9-]*)`|([b-z])(?![\w'’-])|([a-z][a-z0-9-]{3,}))")
_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")


def prose_faults(file: TextFile, body: str, first_line: int, anchors: set[str]) -> list[LessonError]:
    """Return what to mend in the Markdown `body` of a file; `anchors` are the ids that links may lead to."""
    tokens = MarkdownIt("commonmark").enable("table").use(deflist_plugin).parse(body)
    found: list[LessonError] = []
    words = long_words = sentences = 0
    for token in tokens:
        if token.type != "inline":
            continue
        line = first_line + (token.map[0] if token.map else 0)
        text = _plain(token)
        found += _links(file, token, line, anchors)
        found += _units(file, text, line)
        counts = [len(_WORD.findall(part)) for part in _SENTENCE_END.split(text)]
        if max(counts) > LONGEST_SENTENCE:
            message = f"a sentence has {max(counts)} words; split it (at most {LONGEST_SENTENCE})"
            found.append(file.error(line, message))
        words += sum(counts)
        sentences += sum(1 for count in counts if count)
        long_words += sum(len(word) > 6 for word in _WORD.findall(text))
    if words >= FEWEST_WORDS and (level := words / sentences + 100 * long_words / words) > HARDEST:
        message = (
            f"the text is hard to read (LIX {level:.0f}); use shorter sentences and words, {HARDEST} at most"
        )
        found.append(file.error(first_line, message))
    return found


def name_faults(file: TextFile, vms: Collection[str]) -> list[LessonError]:
    """Return the VMs that a lesson speaks of and that it does not have; `file` holds the student's values.

    A name is what is written as code, a word that is nearly the name of a VM, or a letter alone if a VM is
    named so.
    """
    found: list[LessonError] = []
    letters = any(len(vm) == 1 for vm in vms)
    for number, line in enumerate(file.text.split("\n"), 1):
        for match in _VM.finditer(line):
            name = match[1] or match[2] or match[3]
            likely = match[1] or (letters if match[2] else difflib.get_close_matches(name, vms, 1, LIKE))
            if likely and name not in vms:
                message = f"the lesson has no VM '{name}'{nearest(name, vms)}"
                found.append(file.error(number, message, match.start(match.lastindex or 0) + 1))
    return found


def _plain(token: Token) -> str:
    """Return the text of a paragraph without code and markup."""
    parts = [
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in token.children or ()
        if child.type in ("text", "softbreak", "hardbreak")
    ]
    return "".join(parts)


def _links(file: TextFile, token: Token, line: int, anchors: set[str]) -> Iterator[LessonError]:
    for child in token.children or ():
        if child.type != "link_open":
            continue
        target = str(child.attrGet("href") or "")
        if target.startswith("#"):
            if target[1:] not in anchors:
                hint = nearest(target[1:], anchors)
                yield file.error(line, f"the link '{shown(target)}' leads to no step or view{hint}")
        elif target.startswith("http:"):
            yield file.error(line, f"the link '{shown(target)}' is not encrypted; write https://")
        elif not target.startswith("https://"):
            message = f"the link '{shown(target)}' leads nowhere on the page; write https://... or #step-NAME"
            yield file.error(line, message)


def _units(file: TextFile, text: str, line: int) -> Iterator[LessonError]:
    for match in _UNIT.finditer(text):
        unit = next(good for bad, good in _UNITS.items() if re.fullmatch(bad, match[1]))
        yield file.error(line, f"'{match[0]}': the unit is written {unit}")
