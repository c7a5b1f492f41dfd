"""The page's tool for policies: what can be written is served, and nothing of a student's runs here."""

import json
from typing import Any

from app.desk.policies import Bench, catalog
from emulator.policy import INTERFACES


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
