"""`vmlab serve`: compile what is not compiled yet, then serve the page until Ctrl-C."""

import argparse
import errno
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

from app.commands import Subparsers
from emulator.errors import VmLabError


class ServeError(VmLabError):
    """The server cannot start; the message says why and what to do."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab serve`."""
    parser = subparsers.add_parser("serve", help="serve the lessons and their labs to browsers")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on (default 8000)")
    parser.add_argument("--data", help="directory of student data (default $VMLAB_DATA, else your user data)")
    parser.add_argument("--workers", type=_count, help="worker processes (default: one per CPU)")
    parser.add_argument(
        "--lessons", type=Path, help="directory of lessons (default: the ones that came along)"
    )
    parser.add_argument(
        "--gdb",
        type=_port_range,
        metavar="PORTS",
        help="let students attach gdb to their VMs at these ports, like 9000-9020 (off by default)",
    )
    parser.add_argument(
        "--gdb-host",
        default="127.0.0.1",
        help="address of these ports (default 127.0.0.1: this machine only)",
    )


def main(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from app.lessons import load_course
    from app.web import default_settings, server
    from app.web.course_secret import course_secret
    from app.web.store import data_directory, open_database

    _check_port(args.host, args.port)
    settings = default_settings(data_directory(args.data), args.lessons, args.workers)
    settings = replace(settings, gdb_ports=args.gdb or range(0), gdb_host=args.gdb_host)
    open_database(settings.data).close()
    course = load_course(settings.lessons)
    course_secret(settings.data, course.secret_variable)
    for errors in course.broken.values():
        reason = "waits for a guest" if errors.waits_for_guests else "is left out"
        print(f"this lesson {reason}:\n{errors}", file=sys.stderr, flush=True)
    _compile_kernels()
    serve = server.serve_with_werkzeug if os.name == "nt" else server.serve_with_gunicorn
    serve(settings, args.host, args.port, lambda: _announce(args.host, args.port))
    return 0


def _compile_kernels() -> None:
    """Compile the kernels on the first start on this machine, and show how far that is."""
    from app.progress import ProgressLine
    from emulator.build.engine import kernels_cached, load_engine

    if not kernels_cached():
        print("Compiling the emulator for this machine, the first time only", file=sys.stderr, flush=True)
        progress = ProgressLine()
        load_engine(progress=progress)
        progress.finish()


def _announce(host: str, port: int) -> None:
    name = "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0", "::", "") else host
    shown = f"[{name}]" if ":" in name else name
    print(f"VM Lab is serving on http://{shown}:{port}", flush=True)


def _check_port(host: str, port: int) -> None:
    """Raise ServeError if the address cannot be listened on, before minutes of compiling."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        remedy = (
            "choose another with --port" if error.errno == errno.EADDRINUSE else "check --host and --port"
        )
        raise ServeError(f"cannot listen on {host}:{port}: {error.strerror or error}; {remedy}") from error


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a port; expected 1 to 65535")
    return number


def _port_range(text: str) -> range:
    first, _, last = text.partition("-")
    low, high = _port(first), _port(last or first)
    if high < low or high - low >= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a range of ports; expected one like 9000-9020")
    return range(low, high + 1)


def _count(text: str) -> int:
    number = int(text)
    if not 0 < number <= 256:
        raise argparse.ArgumentTypeError(f"{text} is not a number of workers; expected 1 to 256")
    return number
