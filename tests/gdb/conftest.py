"""A lab of one small guest as a debugger sees it."""

from typing import Any

import pytest

from app.gdb.attach import session_of
from app.gdb.local import LocalMachine
from app.gdb.packets import encode
from app.gdb.stub import Stub
from app.gdb.target import VmTarget
from app.workers.session import Session
from emulator.build.engine import load_engine
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program

SOURCE = """
_start: la s0, value
again:  ld t0, (s0)
        addi t0, t0, 1
        sd t0, (s0)
        j again
        .data
value:  .dword 40
"""
CONFIG: dict[str, Any] = {
    "host": {"pcpus": 1, "memory": "4 MiB"},
    "vms": [{"name": name, "program": "count.s", "memory": "256 KiB", "vcpus": 2} for name in "ab"],
}


class Talk:
    """A debugger that speaks in payloads."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.stub = Stub(VmTarget(LocalMachine(session), "a"))
        self.lab = session.lab
        assert self.ask("QStartNoAckMode") == "OK"

    def ask(self, payload: str | bytes) -> str:
        """Return the reply to a packet, without its frame."""
        data = payload if isinstance(payload, bytes) else payload.encode()
        return self.plain(self.stub.feed(encode(data)))

    def wait(self) -> str:
        """Return the stop reply of a run."""
        for _ in range(2000):
            reply = self.stub.poll()
            if reply:
                return self.plain(reply)
        raise AssertionError("the lab does not stop")

    @staticmethod
    def plain(reply: bytes) -> str:
        """Return the last payload of what came back."""
        return reply.rpartition(b"$")[2].partition(b"#")[0].decode("latin-1")

    def symbol(self, name: str) -> int:
        return self.lab.program("a").executable.symbols[name]

    def register(self, number: int) -> int:
        return int.from_bytes(bytes.fromhex(self.ask(f"p{number:x}")), "little")


@pytest.fixture
def session() -> Session:
    lab = Lab(LabConfig.from_dict(CONFIG), {"count.s": Program("count.s", SOURCE)}, 1, load_engine())
    lab.apply({"verb": "start", "vm": "a"})
    return session_of(lab)


@pytest.fixture
def talk(session: Session) -> Talk:
    return Talk(session)
