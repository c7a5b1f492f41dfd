"""Workers die and come back; labs, readers and what was acknowledged do not notice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.workers.pool import CallFailed, LabUnknown, Pool
from app.workers.subscription import Subscription
from tests.workers.conftest import PROJECT, Act, MemoryJournal


def state(subscription: Subscription) -> dict[str, Any]:
    message = subscription.take(30)
    assert message is not None
    return json.loads(dict(message)["state"])


def run_to(pool: Pool, lab: str, ns: int) -> dict[str, Any]:
    reply = pool.call(lab, "control", {"verb": "run_until", "kind": "time", "ns": ns, "speed": "max"})[
        "state"
    ]
    while reply["run"]["mode"] == "until":
        reply = pool.call(lab, "state")
    return reply


def standing(pool: Pool, lab: str) -> dict[str, Any]:
    """Return the state once the lab has been rebuilt."""
    while True:
        now = pool.call(lab, "state")
        if now["run"]["mode"] != "rebuilding":
            return now


def test_an_unknown_lab_is_unknown(pool: Pool) -> None:
    with pytest.raises(LabUnknown):
        pool.call("nothing", "observe")
    with pytest.raises(LabUnknown):
        pool.subscribe("nothing")


def test_a_refused_action_leaves_no_trace(pool: Pool, lab: str, act: Act) -> None:
    with pytest.raises(CallFailed) as caught:
        act(lab, {"verb": "start", "vm": "nobody"})
    assert caught.value.fault == "user"
    assert pool.call(lab, "state")["actions"] == 0


def test_a_killed_worker_comes_back_with_the_lab_as_it_was(pool: Pool, lab: str, act: Act) -> None:
    act(lab, {"verb": "start", "vm": "a"})
    before = run_to(pool, lab, 3_000_000)
    act(lab, {"verb": "start", "vm": "b"})
    before = run_to(pool, lab, 7_000_000)
    registers = [pool.call(lab, "inspect", {"view": "registers", "args": {"vm": vm}}) for vm in "ab"]
    pool.flush_positions()
    pid = pool.pid_of(lab)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    after = standing(pool, lab)
    assert pool.pid_of(lab) != pid
    assert (after["position"], after["vms"]) == (before["position"], before["vms"])
    again = [pool.call(lab, "inspect", {"view": "registers", "args": {"vm": vm}}) for vm in "ab"]
    assert [view["general"] for view in again] == [view["general"] for view in registers]


def test_a_running_lab_runs_on_after_its_worker_was_killed(pool: Pool, lab: str, act: Act) -> None:
    act(lab, {"verb": "start", "vm": "a"})
    subscription = pool.subscribe(lab)
    pool.call(lab, "control", {"verb": "run", "speed": "0.1"})
    while (seen := state(subscription))["position"] == 0:
        pass
    pid = pool.pid_of(lab)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while not (seen := state(subscription))["full"]:
        pass
    while seen["run"]["mode"] == "rebuilding":
        seen = state(subscription)
    assert seen["run"]["mode"] == "running"
    assert seen["run"]["speed"] == "0.1"
    reached = seen["position"]
    while state(subscription)["position"] == reached:
        pass
    subscription.close()


def test_an_action_that_was_never_committed_is_gone_after_a_discard(pool: Pool, lab: str, act: Act) -> None:
    act(lab, {"verb": "start", "vm": "a"})
    pool.call(lab, "apply", {"action": {"verb": "start", "vm": "b"}})
    pool.discard(lab)
    assert standing(pool, lab)["actions"] == 1


def test_labs_share_a_worker_fairly(pool: Pool, journal: MemoryJournal, act: Act) -> None:
    labs = [f"fair{n}" for n in range(6)]
    for lab in labs:
        journal.add(lab)
        act(lab, {"verb": "start", "vm": "a"})
        pool.call(lab, "control", {"verb": "run", "speed": "max"})
    while any(pool.call(lab, "state")["position"] == 0 for lab in labs):
        pass


def test_a_worker_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "command = [sys.executable, '-m', 'app.cli', 'worker', '--lessons', 'tests/web/course']\n"
        "child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.read(8)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": "."},
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 30
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
