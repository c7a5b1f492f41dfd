"""The emulator's sentences in a page: marked as English where they are not in the page's language."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from markupsafe import Markup, escape

from app import texts
from app.texts import sentences


def told(text: str) -> Markup:
    """Return a sentence of the emulator for a page."""
    if sentences.is_known(text):
        return escape(sentences.words(text))
    return Markup('<span lang="{}">{}</span>').format(texts.SOURCE, text)


# What templates call: `word` for a message of a table; for a sentence `told`, and `words` in an attribute.
SPOKEN: Mapping[str, Callable[[str], object]] = {
    "word": texts.gettext,
    "words": sentences.words,
    "told": told,
    "is_said": sentences.is_known,
}
