"""The words of the page in the reader's language: gettext catalogues, wherever the page is rendered.

A message is its English text. The server, its workers and the Python that runs in the browser choose a
language with `use`, once for what they are about to do; everything below calls `gettext`. Catalogues are
text in git (app/translations/<language>/LC_MESSAGES/vmlab.po, the PO format of GNU gettext) and are compiled
when they have changed (`compiling.py`). Standard library only, but for compiling.

The emulator's sentences come in English and are translated where they are shown (`sentences.py`). Not
translated: the texts of lessons, which the page marks as English.
"""

from __future__ import annotations

import gettext as gnu
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

TRANSLATIONS = Path(__file__).resolve().parent.parent / "translations"
SOURCE = "en"
# What there is, as its speakers call it.
LANGUAGES = {SOURCE: "English", "de": "Deutsch"}
DOMAIN = "vmlab"

_chosen: ContextVar[str] = ContextVar("language", default=SOURCE)


def use(language: str) -> None:
    """Speak a language from now on in this thread; an unknown one means English."""
    _chosen.set(language if language in LANGUAGES else SOURCE)


def language() -> str:
    """Return the language that is spoken in this thread."""
    return _chosen.get()


def gettext(message: str, /, **values: object) -> str:
    """Return a message in the chosen language, with `%(name)s` filled in if there are values."""
    said = _catalogue(_chosen.get()).gettext(message) if message else ""
    return said % values if values else said


def ngettext(one: str, many: str, n: float, /, **values: object) -> str:
    """Return the form of a message that fits `n`, with `%(name)s` filled in; `n` itself is `%(n)s`."""
    said = _catalogue(_chosen.get()).ngettext(one, many, n)  # pyright: ignore[reportArgumentType]
    return said % {"n": n, **values}


def mark(message: str) -> str:
    """Return the message as it is: it is translated where it is shown, and only named here for extraction."""
    return message


def in_context(language: str, context: str) -> dict[str, str]:
    """Return all translations of a context, by message; gettext keeps both in one key."""
    catalogue = _catalogue(language)
    known: dict[Any, str] = getattr(catalogue, "_catalog", {})  # gettext has no other way to list messages
    start = f"{context}\x04"
    return {
        key.removeprefix(start): said
        for key, said in known.items()
        if isinstance(key, str) and key.startswith(start)
    }


def po_file(language: str) -> Path:
    """Return where the catalogue of a language is written."""
    return TRANSLATIONS / language / "LC_MESSAGES" / f"{DOMAIN}.po"


@cache
def _catalogue(language: str) -> gnu.NullTranslations:
    if language == SOURCE:
        return gnu.NullTranslations()
    with compiled(language).open("rb") as file:
        return gnu.GNUTranslations(file)


def compiled(language: str) -> Path:
    """Return the compiled catalogue of a language, brought up to date with its text; raise OSError."""
    text = po_file(language)
    binary = text.with_suffix(".mo")
    if text.is_file() and (not binary.is_file() or binary.stat().st_mtime < text.stat().st_mtime):
        from app.texts.compiling import compile_catalogue

        compile_catalogue(text, binary)
    return binary
