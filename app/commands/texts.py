"""`vmlab texts`: collect the page's messages into the catalogues of its languages."""

import argparse
from collections.abc import Iterator

from app.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab texts`."""
    subparsers.add_parser("texts", help="collect the page's messages into its catalogues (in a checkout)")


def tables() -> Iterator[tuple[str, str]]:
    """Yield the messages that stand in tables of the app, each with the file of the table."""
    from app.desk.config_fields import GROUPS, HOST_FIELDS, VM_FIELDS
    from app.lessons.facts import FUNCTIONS, RECORDS

    form, facts = "app/desk/config_fields.py", "app/lessons/facts.py"
    for field in (*HOST_FIELDS.values(), *VM_FIELDS.values()):
        for text in (field.label, field.help, field.empty, *(field.choices or {}).values()):
            yield text, form
    for group in GROUPS:
        for text in (group.question, group.more_title, *(table.title for table in group.tables)):
            yield text, form
    for function in FUNCTIONS.values():
        yield function.phrase, facts
    for record in RECORDS.values():
        for name in record:
            yield name.replace("_", " "), facts


def main(args: argparse.Namespace) -> int:
    """Bring every catalogue up to date; the exit status is 1 if a message is not translated yet."""
    from app.texts import LANGUAGES, SOURCE
    from app.texts.compiling import bring_up_to_date, collect

    found = collect(dict(tables()))
    missing = 0
    for language in LANGUAGES:
        if language != SOURCE:
            lacking, total = bring_up_to_date(language, found)
            print(f"{language}: {total} messages, {lacking} of them not translated")
            missing += lacking
    return 1 if missing else 0
