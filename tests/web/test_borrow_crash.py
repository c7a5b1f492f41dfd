"""A server that dies between any two steps of lending and taking over loses nothing and does nothing twice.

Death is played at every step: from there on nothing of the server works any more, what it had in memory is
forgotten. The request is then sent again, as a browser does that got no reply.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.web.context import Context
from app.web.store import Database
from app.workers.pool import Pool
from tests.web.conftest import Student
from tests.web.test_borrow import Browser, hash_of, kept, work


class Died(BaseException):
    """The server is gone."""


class Fuse:
    """Counts the steps of the server, and lets it die at one of them."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.blown = False

    def step(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.blown = True
            raise Died


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch) -> Fuse:
    fuse = Fuse()

    def around(method: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **named: Any) -> Any:
            fuse.step()
            result = method(*args, **named)
            fuse.step()
            return result

        return guarded

    write = Database.write

    @contextmanager
    def guarded_write(self: Database) -> Iterator[Any]:
        fuse.step()
        with write(self) as connection:
            yield connection
            fuse.step()  # before the commit
        fuse.step()  # after it

    monkeypatch.setattr(Database, "write", guarded_write)
    for name in ("call", "verify", "discard", "go_on"):
        monkeypatch.setattr(Pool, name, around(getattr(Pool, name)))
    return fuse


def restart(server: Context, lab: str) -> None:
    """Forget what a server has in memory of a lab, and rebuild it."""
    server.pool.discard(lab)
    server.pool._positions.clear()  # pyright: ignore[reportPrivateUsage]
    server.pool.go_on(lab, 0, {"mode": "paused", "speed": "1", "condition": None, "reason": ""})
    while server.pool.call(lab, "state")["run"]["mode"] == "rebuilding":
        time.sleep(0.01)


def persist(fuse: Fuse, server: Context, lab: str, steps: int, request: Callable[[], Any]) -> Any:
    """Send a request until it is answered, to a server that dies after `steps` steps of the first try."""
    fuse.left, fuse.blown = steps, False
    try:
        return request()
    except Died:
        fuse.left = None
        restart(server, lab)
        return request()
    finally:
        fuse.left = None


def test_dying_while_lending(new_student: Callable[[], Student], server: Context, fuse: Fuse) -> None:
    steps = 0
    for steps in range(40):
        student = new_student()
        student.done("actions", verb="start", vm="a")
        student.run_to(200_000)
        before = kept(server, student)
        browser = persist(fuse, server, student.lab, steps, lambda s=student: Browser(s, request_id="one"))
        assert (browser.record.log, browser.record.position) == (before.log, before.position)
        assert kept(server, student).lent
        if not fuse.blown:
            break
    assert steps > 4


@pytest.mark.parametrize("done", [True, False])
def test_dying_while_taking_over(
    new_student: Callable[[], Student], server: Context, fuse: Fuse, done: bool
) -> None:
    steps = 0
    for steps in range(60):
        student = new_student()
        student.done("actions", verb="start", vm="a")
        student.run_to(200_000)
        browser = Browser(student)
        work(browser.lab)
        persist(fuse, server, student.lab, steps, lambda b=browser: b.submit(request_id="two", done=done))
        record = kept(server, student)
        assert (list(record.log), record.position) == (browser.lab.log, browser.lab.position)
        assert (record.generation, record.lent) == (1, not done)
        assert hash_of(student) == browser.lab.state_hash()
        if not fuse.blown:
            break
    assert steps > 6
