"""The page's tool for policies: what can be written is served, and nothing of a student's runs here."""

import json
from typing import Any

from flask import Flask

from app.desk.policies import Bench, catalog
from app.web.context import Context
from emulator.policy import INTERFACES
from emulator.tournament import Trial
from emulator.tournament.board import hide_board, open_board


def test_every_interface_has_docs_a_starter_and_scenarios() -> None:
    served = json.loads(json.dumps(catalog()))
    assert [one["name"] for one in served["interfaces"]] == list(INTERFACES)
    for one in served["interfaces"]:
        assert all(method["text"] for method in one["base"]["methods"])
        assert all(method["text"] for item in one["classes"] for method in item["methods"])
        tried = [scenario for scenario in served["scenarios"] if scenario["interface"] == one["name"]]
        assert len(tried) >= 2 or not one["used"]


def test_the_bench_of_the_browser_speaks_json_and_ends() -> None:
    bench = Bench()
    starter = INTERFACES["exits"].starter
    bench.begin(
        json.dumps({"scenario": "csr", "entrants": [{"name": "yours", "text": starter}, {"name": "x"}]})
    )
    steps: list[dict[str, Any]] = []
    while not steps or not {"done", "failed"} & set(steps[-1]):
        steps.append(json.loads(bench.work()))
    trial = next(step["trial"] for step in steps if "trial" in step)
    assert trial["own"]
    assert trial["run"]["scenario"] == "csr"
    assert "there is no x; built-in policies here are builtin:none" in steps[-1]["failed"]


def test_a_board_is_shown_while_it_is_open(application: Flask) -> None:
    context: Context = application.extensions["vmlab"]
    data, client = context.settings.data, application.test_client()
    open_board(data, "csr", [Trial("ada", {"faults": 0.0}, verified=True), Trial("eve", {"faults": 0.0})])
    assert client.get("/policies/board/csr").json == {"entries": [{"name": "ada", "values": {"faults": 0.0}}]}
    hide_board(data, "csr")
    for name in ("csr", "nowhere", "..%2F..%2Fvmlab.db"):
        answer = client.get(f"/policies/board/{name}")
        assert answer.status_code == 404 or answer.json == {"entries": None}
    served = client.get("/policies/catalog")
    assert served.mimetype == "application/json"
    assert len(served.data) < 100_000
