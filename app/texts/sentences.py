"""The emulator's sentences in the reader's language.

A sentence comes as plain English, wherever it was kept: in a log, a history, a browser. Here its template is
looked up (`speakers.py` says where they come from), its values are read out of it, and it is said again with
the translation of the template. Values that are sentences or phrases themselves are translated too; numbers,
addresses, names and code stay. What no template fits stays as it is.

Finding a template takes time in proportion to the text: a value ends where the next words of the template
begin for the first time. `static/js/sentences.js` does the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from app import texts

CONTEXT = "emulator"  # of its messages in a catalogue
LONGEST = 2_000  # characters of what is looked up
DEEPEST = 4  # phrases in phrases
MOST_PARTS = 8  # sentences in a text, phrases in a sentence
# What people and guests have written is shown as they wrote it, even if it reads like a sentence of ours.
WRITTEN = frozenset({"printed", "typed", "title"})
AS_WRITTEN = WRITTEN | {"vm", "name"}
PROSE = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}")
PRONOUNS = ("it", "its", "they", "that", "nobody")  # no names
END = re.compile(r"[.;] ")
_FIELD = re.compile(r"\{(\w+)\}")


def fields(template: str) -> list[str]:
    """Return the names of a template's values, in their order."""
    return _FIELD.findall(template)


@dataclass(frozen=True, slots=True)
class Form:
    """A template: the words around its values, the names of these, and its translation."""

    words: tuple[str, ...]
    names: tuple[str, ...]
    translation: str

    def values(self, text: str, short: bool) -> dict[str, str] | None:
        """Return the values with which the template makes a text, None if it does not.

        `short`: no value is more than one phrase.
        """
        first, *rest, last = self.words
        if not text.startswith(first) or not text.endswith(last):
            return None
        found, at, end = list[str](), len(first), len(text) - len(last)
        for words in rest:
            place = text.find(words, at + 1, end)
            if place < 0:
                return None
            found.append(text[at:place])
            at = place + len(words)
        found.append(text[at:end])
        if at >= end or (short and any(END.search(value) for value in found)):
            return None
        return dict(zip(self.names, found, strict=True))


class Phrases:
    """The templates of a language."""

    def __init__(self, translations: Mapping[str, str]) -> None:
        """Take `translations`, by template."""
        self._fixed = {text: said for text, said in translations.items() if not fields(text)}
        forms = [
            Form(tuple(_FIELD.split(text)[::2]), tuple(fields(text)), said)
            for text, said in translations.items()
            if fields(text)
        ]
        self._forms = sorted(
            forms, key=lambda form: (not WRITTEN & set(form.names), -len("".join(form.words)))
        )

    def said(self, text: str, depth: int = 0) -> str | None:
        """Return a text of any number of sentences in this language, None if a part of it is unknown."""
        if len(text) > LONGEST:
            return None
        whole = self._sentence(text, True, depth)
        parts = None if whole else self._sentences(text, depth) or self._listed(text, depth)
        return whole or parts or self._sentence(text, False, depth) or self._named(text, depth)

    def _sentences(self, text: str, depth: int) -> str | None:
        pieces = text.split(". ")
        for count in range(min(len(pieces), MOST_PARTS) - 1, 0, -1):
            first = self._sentence(". ".join(pieces[:count]) + ".", True, depth)
            if first:
                rest = self.said(". ".join(pieces[count:]), depth)
                return f"{first} {rest}" if rest else None
        return None

    def _listed(self, text: str, depth: int) -> str | None:
        """Return phrases with semicolons between them."""
        parts = text.split("; ")
        if not 1 < len(parts) <= MOST_PARTS:
            return None
        told = [self._sentence(part, True, depth) for part in parts]
        return "; ".join(part for part in told if part) if all(told) else None

    def _sentence(self, text: str, short: bool, depth: int) -> str | None:
        """Return one phrase; it may begin with a capital and end with a full stop where it is a sentence."""
        found = self._phrase(text, short, depth)
        if found is None and text.endswith("."):
            found = self._phrase(text[:-1], short, depth)
            found = found and f"{found}."
        if found is None and text[:1].isupper():
            found = self._sentence(text[0].lower() + text[1:], short, depth)
            found = found and found[0].upper() + found[1:]
        return found

    def _named(self, text: str, depth: int) -> str | None:
        """Return what is said of somebody, perhaps behind a place: "web was started", "file:3: web is on"."""
        who, _, said = text.partition(" ")
        if not said or depth >= DEEPEST or who in PRONOUNS:
            return None
        told = self._phrase(said, True, depth + 1) or self._listed(said, depth + 1)
        if told is None and who.endswith(":"):
            told = self._named(said, depth + 1) or self.said(said, depth + 1)
        return told and f"{who} {told}"

    def _phrase(self, text: str, short: bool, depth: int) -> str | None:
        if text in self._fixed:
            return self._fixed[text]
        if depth == DEEPEST:
            return None
        for form in self._forms:
            values = form.values(text, short)
            told = None if values is None else self._told(values, depth)
            if told is not None:
                return _FIELD.sub(lambda found: told[found[1]], form.translation)  # noqa: B023
        return None

    def _told(self, values: dict[str, str], depth: int) -> dict[str, str] | None:
        """Return values as they are said, None if one of them is a sentence that nobody knows."""
        told = dict(values)
        for name, value in values.items():
            if name not in AS_WRITTEN:
                known = self.said(value, depth + 1)
                if known is None and PROSE.search(value):
                    return None
                told[name] = known or value
        return told


def words(text: str) -> str:
    """Return a sentence of the emulator in the chosen language, or as it is if no template fits."""
    return _said(texts.language(), text) or text


def is_known(text: str) -> bool:
    """Tell whether the chosen language has words for a sentence of the emulator; a single word is a name."""
    language = texts.language()
    return " " not in text or language == texts.SOURCE or _said(language, text) is not None


@lru_cache(maxsize=4096)
def _said(language: str, text: str) -> str | None:
    return None if language == texts.SOURCE else _phrases(language).said(text)


@cache
def _phrases(language: str) -> Phrases:
    return Phrases(texts.in_context(language, CONTEXT))
