"""A debugger at a lab of the server: doors are off unless asked for, and are for debuggers only."""

import socket
from collections.abc import Iterator

import pytest

from app.gdb.packets import encode
from app.web.context import Context
from app.web.gdb import Doors
from tests.browser.serving import free_port
from tests.web.conftest import Student


@pytest.fixture
def doors(server: Context) -> Iterator[Doors]:
    port = free_port()
    doors = Doors(server.work, range(port, port + 1), "127.0.0.1")
    yield doors
    doors.close_all()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.settimeout(30)
    return connection


def ask(connection: socket.socket, payload: str) -> str:
    """Return the reply to a packet; stop replies come when they come."""
    connection.sendall(encode(payload.encode()))
    return hear(connection)


def hear(connection: socket.socket) -> str:
    text = b""
    while b"#" not in text or len(text.rpartition(b"#")[2]) < 2:
        part = connection.recv(65536)
        assert part, "the server has closed the connection"
        text += part
    connection.sendall(b"+")
    return text.rpartition(b"$")[2].partition(b"#")[0].decode()


def test_doors_are_off_by_default(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    response = student.post("gdb", vm="a")
    assert response.status_code == 409
    assert "vmlab serve --gdb" in response.text


def test_a_debugger_leads_a_lab_of_the_server(student: Student, server: Context, doors: Doors) -> None:
    student.done("actions", verb="start", vm="a")
    record = server.labs.load(student.lab)
    assert record is not None
    row = next(r for r in [server.labs.find(student.lab, owner(server, student))] if r)
    door = doors.open(row, "a")
    assert door["command"].endswith(f'127.0.0.1:{door["port"]}"')
    assert doors.open(row, "a") == door
    with connect(door["port"]) as gdb:
        gdb.sendall(b"+")
        assert "ReverseContinue+" in ask(gdb, "qSupported")
        pc = int.from_bytes(bytes.fromhex(ask(gdb, "p20")), "little")
        assert ask(gdb, f"Z0,{pc + 4:x},4") == "OK"
        gdb.sendall(encode(b"vCont;c"))
        assert hear(gdb) == "T05thread:1;swbreak:;"
        assert ask(gdb, "Pa=0500000000000000") == "OK"
        gdb.sendall(encode(b"s"))
        assert hear(gdb) == "T05thread:1;"
        assert ask(gdb, "bs") == "T05thread:1;"
        assert ask(gdb, "D") == "OK"
    record = server.labs.load(student.lab)
    assert record is not None
    assert [entry["action"]["verb"] for entry in record.log] == ["start", "poke"]


def test_whoever_is_no_debugger_is_sent_away(student: Student, server: Context, doors: Doors) -> None:
    student.done("actions", verb="start", vm="a")
    row = server.labs.find(student.lab, owner(server, student))
    assert row is not None
    with connect(doors.open(row, "a")["port"]) as browser:
        browser.sendall(b"POST / HTTP/1.1\r\n\r\n" + encode(b"vCont;c"))
        assert browser.recv(100) == b""


def owner(server: Context, student: Student) -> str:
    """Return the student whose lab it is."""
    with server.database.read() as connection:
        query = "SELECT student FROM lab WHERE id = ?"
        return str(connection.exec_driver_sql(query, (student.lab,)).scalar_one())
