"""Policies compete on the same work; what counts is what can be repeated without them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from emulator.policy import INTERFACES
from emulator.tournament import SCENARIOS, Entrant, Run, Trial, built_ins, compete, verify
from emulator.tournament.board import hide_board, open_board, read_board
from emulator.tournament.measure import jain, metrics_of, percentile
from emulator.tournament.report import as_svg, as_table
from emulator.tournament.scenarios import TournamentError

MINE = """\
class Mine(Scheduler):
    preemptive = True

    def pick(self, runqueue, now):
        return min(runqueue, key=lambda vcpu: (not vcpu.woken, vcpu.ran // vcpu.weight))

    def preempts(self, vcpu, running, now):
        return vcpu.ran < running.ran
"""
FOR = {
    "mixed": MINE,
    "hot-pages": INTERFACES["replacement"].starter,
    "givers": INTERFACES["balloon"].starter,
    "device": INTERFACES["exits"].starter,
}


@pytest.fixture(scope="module")
def trials(engine: Any) -> dict[str, list[Trial]]:
    """Own policies beside built-in ones, on a scenario of each interface."""
    found: dict[str, list[Trial]] = {}
    for name, text in FOR.items():
        first = built_ins(SCENARIOS[name].interface)[0]
        entrants = [Entrant(f"builtin:{first}"), Entrant("mine.py", text)]
        found[name] = compete(name, entrants, engine)
    return found


@pytest.mark.parametrize("name", FOR)
def test_a_run_is_repeated_and_measured_without_its_text(
    engine: Any, trials: dict[str, list[Trial]], name: str
) -> None:
    trial = trials[name][-1]
    assert trial.run is not None, trial.error
    again = verify(Run.from_dict(json.loads(json.dumps(trial.run.to_dict()))), engine)
    assert again.verified
    assert again.values == trial.values
    assert len(json.dumps(trial.run.to_dict())) < 100_000


def test_who_lets_sleepers_go_first_wakes_them_sooner(trials: dict[str, list[Trial]]) -> None:
    in_turn, mine = trials["mixed"]
    assert mine.values["wake_mean"] < in_turn.values["wake_mean"] / 5
    assert 0.9 < mine.values["fairness"] <= 1


def test_a_memory_coordinator_and_a_device_do_something(trials: dict[str, list[Trial]]) -> None:
    manual, mine = trials["givers"]
    assert mine.values["throughput"] > manual.values["throughput"]
    none, device = trials["device"]
    assert none.values["faults"] > 100
    assert 0 < device.values["faults"] < none.values["faults"]  # it leaves three of four registers alone
    assert device.values["handled"] > 100


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda run: replace(run, hash="0" * 64), "its state at the end has another hash"),
        (lambda run: replace(run, position=run.position - 1), "the run of mine.py is refused"),
        (lambda run: replace(run, position=run.position * 50), "not where the scenario does"),
        (lambda run: replace(run, log=(run.log[1],)), "entry 2 of the log: no policy is in use"),
    ],
)
def test_a_forged_run_is_refused(
    engine: Any, trials: dict[str, list[Trial]], change: Callable[[Run], Run], sentence: str
) -> None:
    run = trials["device"][-1].run
    assert run is not None
    with pytest.raises(TournamentError, match=sentence):
        verify(change(run), engine)


def test_only_the_policy_may_act_in_a_run(trials: dict[str, list[Trial]]) -> None:
    run = trials["device"][-1].run
    assert run is not None
    data = run.to_dict()
    cheat = {"seq": 1, "position": 0, "action": {"verb": "set_vm", "vm": "a", "weight": 9}}
    for wrong in ({**data, "log": [cheat]}, {**data, "log": 3}, {**data, "hash": None}, [], {}):
        with pytest.raises(TournamentError):
            Run.from_dict(wrong)


def test_a_mistake_takes_nobody_else_out(engine: Any) -> None:
    bad = "class Mine(Scheduler):\n    def pick(self, runqueue, now):\n        return runqueue[9]\n"
    broken, done = compete("mixed", [Entrant("bad.py", bad), Entrant("builtin:mlfq")], engine)
    assert (broken.line, broken.values, broken.run) == (3, {}, None)
    assert "line 3: IndexError" in broken.error
    table = as_table(SCENARIOS["mixed"], [broken, done])
    assert "bad.py: policy: line 3" in table
    svg = as_svg(SCENARIOS["mixed"], [broken, done])
    assert svg.count("<rect") == len(metrics_of("scheduler"))


def test_the_command_saves_a_run_and_verifies_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy, saved, plot = tmp_path / "mine.py", tmp_path / "run.json", tmp_path / "plot.svg"
    policy.write_text(INTERFACES["exits"].starter)
    assert (
        main(["tournament", "--scenario", "device", str(policy), "--save", str(saved), "--svg", str(plot)])
        == 0
    )
    assert "run here, on this computer" in capsys.readouterr().err
    assert main(["tournament", "--scenario", "device", "builtin:none", "--runs", str(saved), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["verified"]) for one in results] == [("builtin:none", False), ("mine.py", True)]
    assert plot.read_text().startswith("<svg")
    assert main(["tournament", "--scenario", "nowhere"]) == 2
    assert main(["tournament", "--list"]) == 0
    assert main(["tournament", "--docs", "scheduler"]) == 0
    assert "Return who runs next on pCPU" in capsys.readouterr().out


def test_a_board_shows_what_was_verified_until_it_is_hidden(
    trials: dict[str, list[Trial]], engine: Any, tmp_path: Path
) -> None:
    builtin, own = trials["device"]
    assert own.run is not None
    assert open_board(tmp_path, "device", [builtin, own]) == ["builtin:none"]  # not verified: not shown
    open_board(tmp_path, "device", [builtin, verify(own.run, engine)])
    shown = read_board(tmp_path, "device")
    assert shown is not None
    assert [(one["name"], one["values"]) for one in shown] == [
        (builtin.name, builtin.values),
        (own.name, own.values),
    ]
    assert hide_board(tmp_path, "device")
    assert read_board(tmp_path, "device") is None


def test_figures() -> None:
    assert jain([3, 3, 3]) == 1
    assert jain([1, 0, 0, 0]) == 0.25
    assert jain([]) == 1
    assert percentile([], 99) == 0
    assert percentile(list(range(1, 201)), 99) == 198
