"""Repeating a run of a policy that a student enters for the class tournament: without its text, and measured.

It takes turns with the labs of others like every verification (verification.py), and costs at most
`RUN_SECONDS` of the worker's time. Its lab is a scenario's, so a run brings nothing but its log.
"""

from __future__ import annotations

from typing import Any

from app.workers.protocol import JsonObject
from app.workers.record import PAUSED, LabRecord, ProgramText
from app.workers.repetition import BuildLab, Clock
from app.workers.verification import Verification
from emulator.lab import Lab, LabError
from emulator.tournament import Run, Scenario
from emulator.tournament.contest import require_end, require_fair, watch
from emulator.tournament.measure import Waits, measure

RUN_SECONDS = 120.0


class RunVerification(Verification):
    """The repetition of one run. `entry` is what its student wants to have beside its values."""

    def __init__(self, name: str, body: JsonObject, build: BuildLab, clock: Clock) -> None:
        """Begin; `work` does the rest. Raises TournamentError."""
        run = Run.from_dict(body["run"])
        self.entry: dict[str, Any] = {**body["entry"], "scenario": run.scenario, "text": run.text}
        self._scenario: Scenario = require_fair(run)
        self._waits = Waits()
        self.values: dict[str, float] = {}
        claim = {"digest": body["digest"], "hash": run.hash, "mode": PAUSED}
        super().__init__(
            record_of(name, run, self._scenario), claim, self._built(build), clock, None, RUN_SECONDS
        )
        end = self.lab.position_at(self._scenario.ns)
        if run.position > 2 * end and self.refusal is None:
            self._refuse(
                f"the run goes to position {run.position}, and the scenario ends at {end}", "position"
            )

    @property
    def answer(self) -> JsonObject:
        """What there is to say about it so far."""
        return {**super().answer, **({"values": self.values, "entry": self.entry} if self.verified else {})}

    def _built(self, build: BuildLab) -> BuildLab:
        def built(record: LabRecord) -> Lab:
            lab = build(record)
            lab.policies.runner.takes_digests = True
            self._waits = watch(lab)
            return lab

        return built

    def _is_good(self) -> bool:
        try:
            require_end(self.lab, self._scenario, self.record.position)
        except LabError as error:
            self._refuse(str(error), "position")
            return False
        self.values = measure(self.lab, self._scenario, self._waits)
        return True


def record_of(name: str, run: Run, chosen: Scenario) -> LabRecord:
    """Return the lab of a run."""
    return LabRecord(
        lab=name,
        lesson="",
        config=dict(chosen.config),
        programs=tuple(ProgramText(name, source=text) for name, text in chosen.programs.items()),
        seed=chosen.seed,
        log=run.log,
        position=run.position,
    )


def key_of_run(student: str) -> str:
    """Return under which name a student's run takes its turns; one at a time."""
    return f"{student} (tournament)"
