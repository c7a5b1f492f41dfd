"""`vmlab texts`: collect the page's messages into the catalogues of its languages."""

import argparse

from app.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab texts`."""
    subparsers.add_parser("texts", help="collect the page's messages into its catalogues (in a checkout)")


def main(args: argparse.Namespace) -> int:
    """Bring every catalogue up to date; the exit status is 1 if a message is not translated yet."""
    from app.texts import LANGUAGES, SOURCE
    from app.texts.compiling import bring_up_to_date, collect

    found = collect()
    missing = 0
    for language in LANGUAGES:
        if language != SOURCE:
            lacking, total = bring_up_to_date(language, found)
            print(f"{language}: {total} messages, {lacking} of them not translated")
            missing += lacking
    return 1 if missing else 0
