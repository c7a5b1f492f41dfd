"""Compiles catalogues, and collects messages from the sources into them. Needs Babel: not in the browser."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from app.texts import DOMAIN, LANGUAGES, SOURCE, po_file
from app.texts.sentences import CONTEXT
from app.texts.speakers import spoken

ROOT = Path(__file__).resolve().parent.parent.parent
# Where messages are, by directory: what reads them, and the names they are marked with there.
PLACES = {
    "app": [("**.py", "python"), ("web/templates/**.html", "jinja2")],
    "static/js": [("**.js", "javascript")],
}
KEYWORDS: dict[str, dict[str, Any]] = {
    "app": {"_": None, "gettext": None, "mark": None, "ngettext": (1, 2)},
    "static/js": {"_": None, "toSay": None, "n_": (1, 2)},
}
SCRIPTS = "static/js/"
WIDTH = 110


def compile_catalogue(text: Path, binary: Path) -> None:
    """Write the binary form of a catalogue beside its text; raise OSError."""
    fresh = binary.with_suffix(f".{os.getpid()}")
    with fresh.open("wb") as file:
        write_mo(file, _read(text))
    fresh.replace(binary)


def collect(more: Mapping[str, str]) -> Catalog:
    """Return every message of the sources and `more` (message -> file), with the files they stand in."""
    found = Catalog(domain=DOMAIN, charset="utf-8")
    for place, methods in PLACES.items():
        rows = extract_from_dir(
            ROOT / place,
            method_map=methods,
            keywords=KEYWORDS[place],
            comment_tags=("Translators:",),
            options_map={
                "**.html": {"newstyle_gettext": "true", "trimmed": "true"},
                "**.js": {"parse_template_string": "true"},
            },
        )
        for file, _line, message, comments, context in sorted(rows, key=lambda row: (row[0], row[1])):
            found.add(message, locations=[(f"{place}/{file}", 0)], auto_comments=comments, context=context)
    for message, file in more.items():
        if any(map(str.isalpha, message)):
            found.add(message, locations=[(file, 0)])
    for message, _ in spoken(ROOT / "emulator"):  # without the files, which would be a third of their text
        found.add(message, context=CONTEXT)
    return found


def bring_up_to_date(language: str, found: Catalog) -> tuple[int, int]:
    """Take new messages in and leave others out; return how many are not translated, and of how many."""
    path = po_file(language)
    catalog = _read(path)
    catalog.update(found, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalog, width=WIDTH, include_lineno=False, sort_by_file=True, ignore_obsolete=True)
    messages = list(_messages(catalog))
    return sum(not is_translated(message) for message in messages), len(messages)


def is_translated(message: Message) -> bool:
    """Tell whether every form of a message has words, and nobody has doubts about them."""
    forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return all(forms) and not message.fuzzy


def messages_of(language: str) -> list[Message]:
    """Return the messages of a catalogue."""
    return list(_messages(_read(po_file(language))))


@cache
def script_texts(language: str) -> bytes:
    """Return what the page's scripts say, as JSON: message -> translation, or -> [one, many].

    The emulator's templates are among them, as gettext keeps them: behind their context and U+0004.
    """
    if language == SOURCE or language not in LANGUAGES:
        return b"{}"
    texts: dict[str, object] = {}
    for message in messages_of(language):
        if message.context == CONTEXT and is_translated(message):
            texts[f"{CONTEXT}\x04{message.id}"] = message.string
        elif is_translated(message) and any(file.startswith(SCRIPTS) for file, _ in message.locations):
            key = message.id[0] if isinstance(message.id, tuple | list) else message.id
            texts[str(key)] = message.string
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


@cache
def script_texts_version(language: str) -> str:
    """Return a hash of `script_texts`."""
    return sha256(script_texts(language)).hexdigest()[:12]


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name, domain=DOMAIN)


def _messages(catalog: Catalog) -> Iterator[Message]:
    return (message for message in catalog if message.id)
