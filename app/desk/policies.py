"""Policies in the student's browser: a tournament in a worker of its own, in steps, and what the page shows.

The worker (static/js/engine/policy_worker.js) calls `Bench` under Pyodide, where texts run. The server only
calls `catalog`: what can be written, with docs and starters, and what it can be tried on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from emulator.build.engine import load_engine
from emulator.errors import VmLabError
from emulator.policy import INTERFACES
from emulator.policy.reference import reference
from emulator.policy.timing import STARTER, pick_us
from emulator.tournament import SCENARIOS, Entrant, Trial, built_ins, scenario
from emulator.tournament.contest import steps
from emulator.tournament.measure import metrics_of

MAX_ENTRANTS = 20


def catalog() -> dict[str, Any]:
    """Return interfaces with their reference, scenarios and built-in policies, JSON-ready."""
    return {
        "interfaces": [
            {
                **reference(one),
                "used": one.used,
                "built_ins": built_ins(one.name),
                "metrics": [asdict(metric) for metric in metrics_of(one.name)],
            }
            for one in INTERFACES.values()
        ],
        "scenarios": [
            {key: getattr(one, key) for key in ("name", "interface", "title", "question")}
            for one in SCENARIOS.values()
        ],
    }


class Bench:
    """Runs entrants one after the other; texts in, texts out, for JavaScript."""

    def __init__(self) -> None:
        """Load the engine."""
        self._engine = load_engine()
        self._work: Iterator[dict[str, Any]] = iter(())

    def begin(self, asked: str) -> None:
        """Begin with `{scenario, entrants: [{name, text?}]}` anew."""
        table = json.loads(asked)
        entrants = [Entrant(str(one["name"]), one.get("text")) for one in table["entrants"][:MAX_ENTRANTS]]
        self._work = self._run(str(table["scenario"]), entrants)

    def work(self) -> str:
        """Do a step; return `{share, name}`, `{trial}`, `{failed}`, or `{done: true}` at the end."""
        try:
            return json.dumps(next(self._work, {"done": True}))
        except VmLabError as error:
            self._work = iter(())
            return json.dumps({"failed": str(error)})

    def times_us(self) -> str:
        """Return the microseconds of a call of a policy in this interpreter: `{call, starter}`."""
        return json.dumps({"call": pick_us(), "starter": pick_us(STARTER)})

    def _run(self, name: str, entrants: list[Entrant]) -> Iterator[dict[str, Any]]:
        chosen = scenario(name)
        for number, entrant in enumerate(entrants):
            for step in steps(chosen, entrant, self._engine):
                if isinstance(step, Trial):
                    run = step.run if entrant.text is not None else None
                    runs = {
                        "run": run and run.to_dict(),
                        "run_without_text": run and run.without_text().to_dict(),
                    }
                    yield {"trial": {**step.to_dict(), "own": entrant.text is not None, **runs}}
                else:
                    yield {"share": (number + step) / len(entrants), "name": entrant.name}
