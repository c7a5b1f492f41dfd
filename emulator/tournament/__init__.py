"""Policies beside each other on the same seeded work. Read README.md first."""

from __future__ import annotations

from emulator.tournament.contest import Entrant, Run, Trial, built_ins, compete, verify
from emulator.tournament.scenarios import SCENARIOS, Scenario, scenario

__all__ = [
    "SCENARIOS",
    "Entrant",
    "Run",
    "Scenario",
    "Trial",
    "built_ins",
    "compete",
    "scenario",
    "verify",
]
