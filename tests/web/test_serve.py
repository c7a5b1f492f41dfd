"""`vmlab serve` as a process: it says when it serves, survives kill -9, and ends when asked."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli import main

PROJECT = Path(__file__).resolve().parents[2]
COURSE = PROJECT / "tests" / "web" / "course"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A `vmlab serve` process and a browser in front of it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.cookie = ""
        self.process = self.start()

    def start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "app.cli", "serve", "--port", str(self.port), "--workers", "1"]
        process = subprocess.Popen(
            [*command, "--data", str(self.data), "--lessons", str(COURSE)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            start_new_session=True,
        )
        assert process.stdout is not None
        self.said = process.stdout.readline()
        return process

    def restart(self) -> None:
        self.kill()
        self.process = self.start()

    def kill(self) -> None:
        """Kill the web server and its supervisor, and nothing else: workers must end by themselves."""
        for pid in [self.process.pid, *web_processes(self.process.pid)]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin", "Cookie": self.cookie}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read().decode()
        found = re.match(r"vmlab_session=[^;]+", response.headers.get("Set-Cookie", ""))
        self.cookie = found[0] if found else self.cookie
        connection.close()
        return response.status, text

    def json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        status, text = self.request(method, path, body)
        assert status == 200, text
        return json.loads(text)

    def rebuilt_state(self, lab: str) -> dict[str, Any]:
        """Return the state of a lab, asked again for as long as it is rebuilt from its history."""
        wait_until(lambda: self.request("GET", f"{lab}/state")[0] != 409)
        return self.json("GET", f"{lab}/state")

    def open_lab(self) -> str:
        found = re.search(r"/labs/[\w-]+", self.request("GET", "/lessons/two-machines/")[1])
        assert found
        return found[0]


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def web_processes(supervisor: int) -> list[int]:
    return [
        pid for pid in children(supervisor) if b"\0worker\0" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def workers_of(web: int) -> list[int]:
    """Return the worker processes of a web process, started by whichever of its threads."""
    found: list[int] = []
    for task in Path(f"/proc/{web}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
    assert server.process.stdout is not None
    server.process.stdout.close()


def test_the_server_says_where_it_serves_and_does(server: Server) -> None:
    assert server.said == f"VM Lab is serving on http://localhost:{server.port}\n"
    assert json.loads(server.request("GET", "/healthz")[1]) == {"status": "ok", "workers": 1}


def test_what_was_acknowledged_survives_kill_9_of_the_server(server: Server) -> None:
    lab = server.open_lab()
    server.json("POST", f"{lab}/actions", {"verb": "start", "vm": "a"})
    until = {"verb": "run_until", "kind": "time", "ns": 2_000_000, "speed": "max"}
    server.json("POST", f"{lab}/control", until)
    wait_until(lambda: server.json("GET", f"{lab}/state")["run"]["mode"] == "paused")
    server.json("POST", f"{lab}/actions", {"verb": "suspend", "vm": "a"})
    before = server.json("GET", f"{lab}/state")
    workers = workers_of(web_processes(server.process.pid)[0])
    server.restart()
    wait_until(lambda: all(gone(pid) for pid in workers))
    after = server.rebuilt_state(lab)
    assert (after["position"], after["vms"], after["actions"]) == (
        before["position"],
        before["vms"],
        before["actions"],
    )


def test_the_instant_of_a_pause_survives_kill_9_of_the_server(server: Server) -> None:
    lab = server.open_lab()
    server.json("POST", f"{lab}/actions", {"verb": "start", "vm": "a"})
    server.json("POST", f"{lab}/control", {"verb": "run", "speed": "max"})
    wait_until(lambda: server.json("GET", f"{lab}/state")["position"] > 100_000)
    paused = server.json("POST", f"{lab}/control", {"verb": "pause"})["position"]
    server.restart()
    assert server.rebuilt_state(lab)["position"] == paused


def test_the_supervisor_replaces_a_killed_web_process(server: Server) -> None:
    lab = server.open_lab()
    server.json("POST", f"{lab}/actions", {"verb": "start", "vm": "a"})
    web = web_processes(server.process.pid)[0]
    workers = workers_of(web)
    os.kill(web, signal.SIGKILL)
    assert server.process.stdout is not None
    assert "serving" in server.process.stdout.readline()
    assert all(gone(pid) for pid in workers)
    assert server.rebuilt_state(lab)["actions"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_the_server_ends_when_asked_even_with_a_stream_open(server: Server, number: signal.Signals) -> None:
    lab = server.open_lab()
    stream = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    stream.request("GET", f"{lab}/stream", headers={"Cookie": server.cookie})
    assert stream.getresponse().readline().startswith(b"retry")
    web = web_processes(server.process.pid)[0]
    workers = workers_of(web)
    os.killpg(server.process.pid, number) if number == signal.SIGINT else server.process.send_signal(number)
    assert server.process.wait(30) == 0
    wait_until(lambda: gone(web) and all(gone(pid) for pid in workers))
    stream.close()


def test_a_port_in_use_is_a_clear_error(server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "serve", "--port", str(server.port), "--data", str(tmp_path / "x")],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=False,
    )
    assert done.returncode == 2
    assert f":{server.port}" in done.stderr
    assert "--port" in done.stderr


def test_a_short_secret_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VMLAB_COURSE_SECRET", "abc")
    assert main(["serve", "--port", str(free_port()), "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err == ("vmlab: $VMLAB_COURSE_SECRET has 3 characters; must have 16 or more\n")
