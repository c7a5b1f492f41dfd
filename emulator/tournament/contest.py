"""Entrants, their runs on a scenario, and the repetition of a run that somebody else hands in.

An entrant is a built-in policy or a text. A text runs in the interpreter that calls this: the student's
browser, or their own computer. What it leaves is a `Run`: log, position and state hash, which `verify`
repeats and measures anywhere without the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from emulator.hypervisor.memory.custom import BALLOON_POLICIES, REPLACEMENTS
from emulator.hypervisor.scheduler import POLICIES
from emulator.lab import Lab, LabError, LogEntry
from emulator.lab.config import LabConfig
from emulator.lab.policies import ImpossibleDecision, text_digest
from emulator.lab.programs import Program
from emulator.machine.engine import Engine
from emulator.tournament.measure import Waits, measure
from emulator.tournament.scenarios import Scenario, TournamentError, scenario

BUILT_IN = "builtin:"
STEPS = 40  # a run is made in so many pieces, for progress
MAX_ENTRIES = 20_000
FORMAT = "vmlab-policy-run"
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Entrant:
    """Who takes part: a text, or the name of a built-in policy."""

    name: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What is left of a run: enough to repeat it."""

    scenario: str
    title: str
    log: tuple[LogEntry, ...]
    position: int
    hash: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, which `from_dict` reads."""
        return {
            "format": FORMAT,
            "scenario": self.scenario,
            "title": self.title,
            "log": list(self.log),
            "position": self.position,
            "hash": self.hash,
        }

    def without_text(self) -> Run:
        """Return it with a digest in place of the policy's text: repeated and measured the same."""
        return replace(self, log=tuple(_withheld(entry) for entry in self.log))

    @property
    def text(self) -> str:
        """The policy's text, "" where it is withheld."""
        found = (one["action"].get("text") for one in self.log if one["action"]["verb"] == "set_policy")
        return next((text for text in found if isinstance(text, str)), "")

    @classmethod
    def from_dict(cls, data: object) -> Run:
        """Return the run in a JSON object, which may come from anywhere. Raises TournamentError."""
        table = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
        fields = {"scenario": str, "title": str, "log": list, "position": int, "hash": str}
        for key, kind in fields.items():
            if type(table.get(key)) is not kind:
                raise TournamentError(f"this is no run of a policy: {key} is missing, or no {kind.__name__}")
        log = cast("list[Any]", table["log"])
        if table.get("format") != FORMAT or len(log) > MAX_ENTRIES or len(table["title"]) > 60:
            raise TournamentError("this is no run of a policy, or one that is too long")
        for number, entry in enumerate(log, 1):
            _require_entry(entry, number)
        return cls(table["scenario"], table["title"], tuple(log), table["position"], table["hash"])


def _withheld(entry: LogEntry) -> LogEntry:
    action = entry["action"]
    if action["verb"] != "set_policy" or "text" not in action:
        return entry
    kept = {key: value for key, value in action.items() if key != "text"}
    return {**entry, "action": {**kept, "digest": text_digest(action["text"])}}


def _require_entry(one: object, number: int) -> None:
    entry = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
    plain = set(entry) == {"seq", "position", "action"}
    if not plain or entry["seq"] != number or type(entry["position"]) is not int:
        raise TournamentError(f"entry {number} of the log is none: it has seq, position and action")
    action: object = entry["action"]
    verb = cast("dict[str, Any]", action).get("verb") if isinstance(action, dict) else None
    if verb not in ("set_policy", "decide"):
        raise TournamentError(f"entry {number} of the log is {verb!r}: in a tournament only the policy acts")


@dataclass(slots=True)
class Trial:
    """An entrant's result: what was measured, or what went wrong."""

    name: str
    values: dict[str, float] = field(default_factory=dict[str, float])
    error: str = ""
    line: int = 0
    printed: list[str] = field(default_factory=list[str])
    run: Run | None = None
    verified: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, without its log."""
        return {
            "name": self.name,
            "values": self.values,
            "error": self.error,
            "line": self.line,
            "printed": self.printed,
            "verified": self.verified,
        }


def built_ins(interface: str) -> list[str]:
    """Return the names of the built-in policies of an interface, but for those that need reservations."""
    tables: Mapping[str, Iterable[str]] = {
        "scheduler": POLICIES,
        "replacement": REPLACEMENTS,
        "balloon": BALLOON_POLICIES,
        "exits": ["none"],
    }
    return [name for name in tables.get(interface, ()) if name not in ("custom", "edf")]


_KEYS = {"scheduler": "scheduler", "replacement": "swap_policy", "balloon": "balloon_policy"}


def begin(chosen: Scenario, engine: Engine, policy: str | None = None) -> tuple[Lab, Waits]:
    """Return the lab of a scenario at its beginning, under a built-in policy, and what counts its waits."""
    config: dict[str, Any] = dict(chosen.config)
    if policy is not None and chosen.interface in _KEYS:
        config["host"] = {**config["host"], _KEYS[chosen.interface]: policy}
    programs = {name: Program(name, source=text) for name, text in chosen.programs.items()}
    lab = Lab(LabConfig.from_dict(config), programs, chosen.seed, engine)
    return lab, watch(lab)


def watch(lab: Lab) -> Waits:
    """Prepare a scenario's lab, at its beginning, to be measured; return what counts its waits."""
    waits = Waits()
    lab.hypervisor.scheduler.wake_watch = waits.note
    return waits


def require_fair(run: Run) -> Scenario:
    """Return the scenario of a run in which nothing but a policy for it acts. Raises TournamentError."""
    chosen = scenario(run.scenario)
    for one in run.log:
        action = one["action"]
        if action["verb"] == "set_policy" and action.get("interface") != chosen.interface:
            raise TournamentError(
                f"entry {one['seq']} of the log: a policy for {action.get('interface')!r};"
                f" this scenario is one for {chosen.interface}"
            )
    return chosen


def require_end(lab: Lab, chosen: Scenario, position: int) -> None:
    """Require that a run ends where its scenario does; the lab stands there. Raises LabError."""
    lab.advance(lab.position_at(chosen.ns))
    if lab.position != position:
        raise LabError(f"it ends at position {position}, and not where the scenario does")


def steps(chosen: Scenario, entrant: Entrant, engine: Engine) -> Iterator[float | Trial]:
    """Run an entrant; yield how far it is, from 0 to 1, and the trial at last."""
    built_in = entrant.name.removeprefix(BUILT_IN)
    if entrant.text is None and built_in not in built_ins(chosen.interface):
        known = ", ".join(BUILT_IN + name for name in built_ins(chosen.interface))
        raise TournamentError(f"there is no {entrant.name}; built-in policies here are {known}")
    lab, waits = begin(chosen, engine, built_in if entrant.text is None else None)
    trial = Trial(entrant.name)
    end = lab.position_at(chosen.ns)
    try:
        if entrant.text is not None:
            lab.policies.enable()
            lab.apply({"verb": "set_policy", "interface": chosen.interface, "text": entrant.text})
        for number in range(1, STEPS + 1):
            lab.advance(end * number // STEPS)
            yield number / STEPS
    except LabError as error:
        trial.error, trial.line = str(error), error.line or 0
    trial.printed = list(lab.policies.runner.printed)
    if not trial.error:
        trial.values = measure(lab, chosen, waits)
        trial.run = Run(chosen.name, entrant.name, tuple(lab.log), lab.position, lab.state_hash())
    yield trial


def compete(
    name: str,
    entrants: Iterable[Entrant],
    engine: Engine,
    progress: Callable[[str, float], None] | None = None,
) -> list[Trial]:
    """Return the trials of all entrants on a scenario, in order. Raises TournamentError."""
    chosen = scenario(name)
    trials: list[Trial] = []
    for entrant in entrants:
        for step in steps(chosen, entrant, engine):
            if isinstance(step, Trial):
                trials.append(step)
            elif progress is not None:
                progress(entrant.name, step)
    return trials


def verify(run: Run, engine: Engine) -> Trial:
    """Repeat a run without its text, and measure it.

    Raises TournamentError if it cannot have been, at the entry that is at fault.
    """
    chosen = require_fair(run)
    lab, waits = begin(chosen, engine)
    lab.policies.runner.takes_digests = True
    entry = 0
    try:
        if run.position > 2 * lab.position_at(chosen.ns):
            raise LabError(f"it ends at position {run.position}, and not where the scenario does")
        for one in run.log:
            entry = one["seq"]
            _advance(lab, one["position"])
            lab.apply(one["action"])
        _advance(lab, run.position)
        entry = 0
        require_end(lab, chosen, run.position)
        if lab.state_hash() != run.hash:
            raise LabError("its state at the end has another hash")
    except LabError as error:
        if isinstance(error, ImpossibleDecision):
            entry = error.entry
        where = f"entry {entry} of the log: " if entry else ""
        raise TournamentError(f"the run of {run.title} is refused: {where}{error}") from error
    return Trial(run.title, measure(lab, chosen, waits), run=run, verified=True)


def _advance(lab: Lab, position: int) -> None:
    lab.advance(position)
    if lab.position != position:
        raise LabError(f"position {position} is never reached; the lab stands at {lab.position}")
