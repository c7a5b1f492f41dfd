"""`vmlab preview`: a lesson in the author's browser, shown again at each save."""

import argparse
from pathlib import Path

from app.commands import Subparsers
from emulator.errors import VmLabError


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab preview`."""
    parser = subparsers.add_parser(
        "preview",
        help="show a lesson's text while you write it",
        description="Show a lesson in your browser, for any seed, as students see it or with answers,"
        " checks and faults. The page follows what you save. It is served to this machine only.",
    )
    parser.add_argument("lesson", type=Path, metavar="DIR", help="a lesson's directory")
    parser.add_argument("--port", type=int, default=8010, help="port to listen on (default 8010)")


def main(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from werkzeug.serving import make_server

    from app.web.preview import create_preview

    if not args.lesson.is_dir():
        raise VmLabError(f"{args.lesson} is no directory; vmlab new lesson {args.lesson} writes one")
    try:
        server = make_server("127.0.0.1", args.port, create_preview(args.lesson), threaded=True)
    except (OSError, OverflowError) as error:
        raise VmLabError(f"cannot listen on port {args.port}: {error}; choose another with --port") from error
    print(f"Preview of {args.lesson} on http://localhost:{server.port}; Ctrl-C ends it", flush=True)
    server.serve_forever()
    return 0
