"""The stream: everything at first, then what changed, and nothing while nothing changes."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

from app.web.context import Context
from app.web.stream import squeezed
from app.workers.subscription import Blobs
from tests.web.conftest import Student


def events(message: Blobs | None) -> dict[str, Any]:
    assert message is not None
    return {name: json.loads(data) for name, data in message}


def test_a_new_reader_gets_everything(student: Student, server: Context) -> None:
    subscription = server.pool.subscribe(student.lab)
    first = events(subscription.take(10))
    subscription.close()
    assert list(first) == ["frames", "lanes", "console", "events", "state"]
    assert all(part["full"] for part in first.values())
    assert first["frames"]["frames"]["owners"]
    assert first["state"]["run"]["mode"] == "paused"


def test_a_lab_that_stands_still_sends_nothing(student: Student, server: Context) -> None:
    subscription = server.pool.subscribe(student.lab)
    assert subscription.take(10) is not None
    assert subscription.take(0.5) is None
    subscription.close()


def test_an_action_is_seen_by_every_reader_as_a_delta(student: Student, server: Context) -> None:
    readers = [server.pool.subscribe(student.lab) for _ in range(2)]
    for reader in readers:
        events(reader.take(10))
    student.done("actions", verb="start", vm="a")
    for reader in readers:
        change = events(reader.take(10))
        assert not change["state"]["full"]
        assert change["frames"]["frames"]["delta"]
        reader.close()


def test_a_reader_who_does_not_take_gets_one_large_message_later(student: Student, server: Context) -> None:
    subscription = server.pool.subscribe(student.lab)
    events(subscription.take(10))
    for vm in ("a", "b"):
        student.done("actions", verb="start", vm=vm)
    actions = 0
    while actions < 2:
        actions = events(subscription.take(10))["state"]["actions"]
    assert subscription.take(0.3) is None
    subscription.close()


def test_a_reset_shows_a_new_beginning(student: Student, server: Context) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(1_000_000)
    subscription = server.pool.subscribe(student.lab)
    assert events(subscription.take(10))["state"]["position"] > 0
    student.done("reset")
    after = events(subscription.take(10))
    subscription.close()
    assert after["state"]["full"]
    assert after["state"]["position"] == 0


def lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield from chunk.split(b"\n")


def test_the_stream_speaks_the_event_stream_format(student: Student) -> None:
    response = student.get("stream")
    assert response.mimetype == "text/event-stream"
    chunks = lines(iter(response.response))  # pyright: ignore[reportArgumentType]
    seen = [next(chunks) for _ in range(6)]
    response.close()
    assert seen[0].startswith(b"retry:")
    assert b"event: frames" in seen


def test_closing_the_stream_gives_its_place_back(student: Student, server: Context) -> None:
    for _ in range(server.settings.max_streams_per_student * 2):
        response = student.get("stream")
        assert response.status_code == 200
        response.close()


def test_too_many_tabs_of_one_student_are_refused(student: Student, server: Context) -> None:
    responses = [student.get("stream") for _ in range(server.settings.max_streams_per_student + 1)]
    assert [response.status_code for response in responses][-2:] == [200, 429]
    for response in responses:
        response.close()


def test_every_piece_of_a_squeezed_stream_can_be_read_when_it_has_come() -> None:
    pieces = [b"event: state\n\n", b": still here\n\n"]
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert [reader.decompress(piece) for piece in squeezed(pieces)] == pieces
