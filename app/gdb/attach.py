"""A lab of this process under a debugger, until it leaves: `vmlab run LESSON --gdb PORT`."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.gdb.local import LocalMachine
from app.gdb.serving import listen, serve
from app.gdb.stub import Stub, TargetError
from app.gdb.target import VmTarget
from app.workers.record import PAUSED, LabRecord
from app.workers.session import Session
from emulator.errors import VmLabError
from emulator.lab import Lab

LOOPBACK = "127.0.0.1"


class GdbError(VmLabError):
    """A debugger cannot attach; the message says why."""


def session_of(lab: Lab) -> Session:
    """Return a session that goes on with a lab, at full speed."""
    if lab.recorder is None:
        lab.record()
    record = LabRecord(
        "run",
        "",
        {},
        (),
        lab.seed,
        log=tuple(lab.log),
        position=lab.position,
        mode={**PAUSED, "speed": "max"},
    )

    def build(_record: LabRecord) -> Lab:
        return lab

    return Session(record, build, time.monotonic, standing=lab)


def debug(lab: Lab, vm: str, port: int, say: Callable[[str], object]) -> None:
    """Let one debugger attach to a VM at a port of the loopback interface; return when it has left.

    Raises GdbError.
    """
    try:
        stub = Stub(VmTarget(LocalMachine(session_of(lab)), vm))
        listener = listen(LOOPBACK, port)
    except TargetError as error:
        raise GdbError(f"--gdb: {error}") from error
    except OSError as error:
        raise GdbError(f"--gdb: cannot listen on port {port}: {error.strerror or error}") from error
    with listener:
        port = listener.getsockname()[1]
        say(f'waiting for: gdb-multiarch -ex "target remote {LOOPBACK}:{port}"')
        connection, _ = listener.accept()
    serve(connection, stub)
