"""Every language says everything that the page says, with the same values in it."""

import re
from collections import Counter

import pytest
from babel.messages.catalog import Message

from app import texts
from app.commands.texts import tables
from app.texts.compiling import collect, is_translated, messages_of, script_texts

LANGUAGES = [language for language in texts.LANGUAGES if language != texts.SOURCE]
# What is filled in, what is formatted, and what is markup: a translation has the same, in any order.
VALUE = re.compile(r"%\(\w+\)[a-z]|%%|\{[^{}]*\}|</?\w+>|`")


def forms(words: object) -> list[str]:
    return [str(word) for word in words] if isinstance(words, tuple | list) else [str(words)]


def key(message: Message) -> tuple[str, ...]:
    return tuple(forms(message.id))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated(language: str) -> None:
    known = {key(message): message for message in messages_of(language)}
    said = [key(message) for message in collect(dict(tables())) if message.id]
    assert len(said) > 500
    assert [message for message in said if message not in known] == [], "run `vmlab texts`, then translate"
    assert [message for message in said if not is_translated(known[message])] == []
    assert sorted(set(known) - set(said)) == [], "nobody says these any more: run `vmlab texts`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_values_of_their_originals(language: str) -> None:
    for message in messages_of(language):
        wanted = [Counter(VALUE.findall(original)) for original in forms(message.id)]
        for said in forms(message.string):
            assert Counter(VALUE.findall(said)) in wanted, said
            assert '"' not in said, f"it may stand in an attribute: {said}"


def test_a_message_is_said_in_the_chosen_language() -> None:
    try:
        texts.use("de")
        assert texts.gettext("Who owns this memory?") == "Wem gehört dieser Speicher?"
        assert texts.ngettext("%(n)s point", "%(n)s points", 1) == "1 Punkt"
        assert texts.ngettext("%(n)s point", "%(n)s points", 3) == "3 Punkte"
        assert texts.gettext("nobody says this") == "nobody says this"
        texts.use("xx")
        assert texts.gettext("Who owns this memory?") == "Who owns this memory?"
    finally:
        texts.use(texts.SOURCE)


def test_scripts_get_what_they_say_and_no_more() -> None:
    sent = script_texts("de").decode()
    assert "Virtuelle Zeit" in sent
    assert "Diese Anfrage ist nicht lesbar" not in sent
    assert script_texts("en") == b"{}"
