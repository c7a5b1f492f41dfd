"""The emulator's sentences are found again by their templates, and said in the reader's language."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import texts
from app.texts.sentences import AS_WRITTEN, CONTEXT, PROSE, Phrases, fields, is_known, words
from app.texts.speakers import ENGLISH, SPEAKERS, spoken, templates

EMULATOR = Path(texts.__file__).resolve().parent.parent.parent / "emulator"
SPEAKING = ("devices", "hypervisor", "isa", "lab")  # parts of the emulator
LANGUAGES = [language for language in texts.LANGUAGES if language != texts.SOURCE]
ADJACENT = re.compile(r"\}\{")


@pytest.fixture
def german() -> Iterator[None]:
    texts.use("de")
    yield
    texts.use(texts.SOURCE)


def test_templates_are_literals_of_several_words_and_f_strings() -> None:
    module = '''"""A docstring of several words."""
def tell(vm: "Vm | None", n: int) -> str:
    """Return what is said."""
    if n == 1:
        return "one thing was said"
    hint = f"; did you mean `{vm.name}`?"
    return f"{vm.name} said {n + 1:#x} things at {n!r} in {vm.place}{hint}"
'''
    assert sorted(templates(module)) == [
        "did you mean `{vm}`?",
        "one thing was said",
        "{vm} said {value} things at {n} in {place}",
    ]


def test_every_module_that_speaks_is_known() -> None:
    files = (file for place in SPEAKING for file in (EMULATOR / place).rglob("*.py"))
    speaking = {
        file.relative_to(EMULATOR).as_posix()
        for file in files
        if any(PROSE.search(text) for text in templates(file.read_text(encoding="utf-8")))
    }
    assert sorted(speaking - {*SPEAKERS, *ENGLISH}) == [], "name them in app/texts/speakers.py"
    assert sorted(set(ENGLISH) - speaking) == []
    assert set(SPEAKERS).isdisjoint(ENGLISH)


def test_values_of_a_template_are_apart() -> None:
    assert [text for text, _ in spoken(EMULATOR) if ADJACENT.search(text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_is_found_again_in_its_sentence(language: str) -> None:
    known = texts.in_context(language, CONTEXT)
    phrases = Phrases(known)
    for template, translation in known.items():
        values = {name: f"0x{number}{number}" for number, name in enumerate(fields(template))}
        said = phrases.said(re.sub(r"\{(\w+)\}", lambda found: values[found[1]], template))  # noqa: B023
        assert said is not None, template
        wanted = {re.sub(r"\{(\w+)\}", lambda found: values[found[1]], translation)}  # noqa: B023
        assert said in wanted, template


@pytest.mark.usefixtures("german")
def test_a_sentence_keeps_its_values() -> None:
    assert words("read from the device at GPA 0x10000000, offset 0x5") == (
        "vom Gerät bei GPA 0x10000000 gelesen, Offset 0x5"
    )


@pytest.mark.usefixtures("german")
def test_phrases_in_sentences_and_several_sentences_are_translated() -> None:
    assert words("Because vCPU 0 of web left the guest (wfi): the guest waits for an interrupt.") == (
        "Grund: vCPU 0 von web hat den Gast verlassen (wfi): der Gast wartet auf eine Unterbrechung."
    )
    assert words("Its a0 is now 0x0; it goes on with the next instruction.") == (
        "Sein a0 ist jetzt 0x0; er macht mit dem nächsten Befehl weiter."
    )
    assert words(
        "The guest stored 1 byte to GPA 0x5. Nothing is mapped there, so the walk ended at G-stage, level 1."
    ) == (
        "Der Gast schrieb 1 Byte nach GPA 0x5. Dort ist nichts abgebildet; deshalb endete der Tabellenlauf"
        " hier: G-Stufe, Ebene 1."
    )


@pytest.mark.usefixtures("german")
def test_what_a_guest_prints_is_not_translated() -> None:
    assert "printed" in AS_WRITTEN
    assert words("web prints: the VM was stopped") == "web gibt aus: the VM was stopped"
    assert words("'it has to wait' was typed at the console of web") == (
        "'it has to wait' wurde an der Konsole von web eingegeben"
    )


@pytest.mark.usefixtures("german")
def test_a_sentence_that_is_not_known_as_a_whole_stays_english() -> None:
    for text in ("nobody ever says this", "timeslice used up: nobody ever says this", "x y " * 1000):
        assert words(text) == text
        assert not is_known(text)


def test_english_is_said_as_it_is() -> None:
    assert words("was started") == "was started"
    assert is_known("nobody ever says this")


@pytest.mark.usefixtures("german")
def test_a_hostile_text_takes_no_time() -> None:
    for text in (
        "; ".join(["it has to wait"] * 150),
        ". ".join(["a at GPA b, offset"] * 100),
        " at GPA " * 240,
    ):
        assert len(words(text)) >= len(text) - 1
