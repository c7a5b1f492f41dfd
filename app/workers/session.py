"""One lab inside a worker: being rebuilt, standing, running, until a condition holds, or to another instant.

A session never works longer than it is told to, so that one worker can hold many labs. Everything that
happens to the lab happens through here; how its history is repeated is in repetition.py, what the streams
see in publishing.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.workers.halting import run_towards
from app.workers.journey import Journey, actions_before
from app.workers.pacing import Pacer, Throttle
from app.workers.record import LabRecord, Mode, RunMode, Stand
from app.workers.repetition import BuildLab, Clock, Repetition
from app.workers.stops import Stops
from emulator.lab import Lab, LabError, LogEntry
from emulator.lab.timetravel import NotRecorded

UNWATCHED_SECONDS = 60.0
QUIET = ("answer", "decide")  # actions that nobody did to the lab


class Session(Repetition):
    """A lab and what its student asked it to do."""

    def __init__(
        self,
        record: LabRecord,
        build: BuildLab,
        clock: Clock,
        standing: Lab | None = None,
        run_policies: bool = False,
    ) -> None:
        """Build the lab of `record`; `work` then takes it to the recorded position.

        `standing` is a lab that is recorded, and stands there already or on the way there.
        `run_policies` lets the texts of policies run once it is there: only in the student's own browser.
        """
        super().__init__(record, build, clock, standing)
        self._run_policies = run_policies
        self.condition: dict[str, Any] | None = None
        self.waiting = False
        self.stops = Stops(record.mode.get("stops", ()))
        self.hit: list[int] = []  # the stops that were met, and the parts of a condition `any`
        self.met: list[int] = []
        self.state_cursor: int | None = None
        self._journey: Journey | None = None
        self.speed = record.mode["speed"]
        self._pacer = self._new_pacer(self.speed)
        self.watched_at = self.used_at = clock()
        self._arrive()

    # What the student asks for

    def apply(self, action: dict[str, Any]) -> dict[str, Any]:
        """Apply one action where the lab stands; return what the log needs. Raise LabError.

        In the past that is the whole `log` of the line of history that begins there, and so it is where
        decisions of a policy went that lay ahead.
        """
        if action.get("verb") == "decide":
            raise LabError("decisions are made by policies while the lab runs, and not by hand", "verb")
        behind, before = self.lab.past.behind, _last_decisions(self.lab.line)
        result = self.lab.apply(action)
        self.waiting = False
        self._pacer = self._new_pacer(self._pacer.speed)
        self._changed()
        # As it is logged: where texts run, a policy's traits have been added; an answer may stand later.
        entry = self.lab.line[-1]
        applied = {"position": entry["position"], "action": entry["action"], "result": result}
        cut = before is not _last_decisions(self.lab.line)
        began = cut or (behind and not self.lab.past.behind)
        return {**applied, "stand": self.stand, **({"log": self.lab.line} if began else {})}

    def run(self) -> None:
        """Run at the speed that is set until paused."""
        self._go("running", self.speed, None)

    def add_stop(self, condition: dict[str, Any], number: int | None = None) -> None:
        """Stop at `condition` from now on; `number` is the stop that it replaces. Raise LabError."""
        self.stops.add(self.lab, dict(self.lab.settled_stop(condition)), number)
        self._changed()

    def set_stop(self, number: int, enabled: bool) -> None:
        """Switch a stop on or off; raise LabError."""
        self.stops.find(number).enabled = enabled
        self._changed()

    def remove_stop(self, number: int) -> None:
        """Forget a stop; raise LabError."""
        self.stops.remove(number)
        self._changed()

    def run_until(self, condition: dict[str, Any]) -> None:
        """Run at the speed that is set until `condition` holds; raise LabError if it is not one."""
        self._go("until", self.speed, dict(self.lab.settled(condition)))

    def step(self, condition: dict[str, Any]) -> None:
        """Run as fast as possible until `condition` holds; raise LabError if it is not one."""
        if condition["kind"] == "over":
            condition = dict(self.lab.over(condition))
        self.lab.check_condition(condition)
        self._go("until", "max", condition)

    def back(self, condition: dict[str, Any]) -> None:
        """Go back to the last time `condition` held; raise LabError if it is not one, or there was none."""
        if condition["kind"] == "stop":
            condition = {"kind": "any", "of": [stop.condition for stop in self.stops.on()]}
        if not self.lab.back_to(condition):
            raise LabError(f"no {condition['kind']} is recorded shortly before this instant", "unit")
        self._went(f"went back: {condition['kind']}")

    def rewind(self, position: int, actions: int | None) -> None:
        """Go to a position of this line, after its first `actions`; raise LabError if it has none such."""
        self._jump(position, actions)
        self._seek(position, actions, "went back")

    def seek(self, position: int) -> None:
        """Go to a position: in the past of this line, or beyond its present by running."""
        present = self.lab.past.present
        if position <= present:
            self._jump(position, None)
        self._seek(position, None, "went there")

    def seek_ns(self, ns: int) -> None:
        """Go to the first position at which the virtual time is `ns`."""
        self.seek(max(0, self.lab.position_at(ns)))

    def undo(self, position: int, actions: int) -> None:
        """Go back to an instant and begin another line there; raise LabError if it is not in the past."""
        self.lab.undo(position, actions)
        self._went("undone")

    def return_to(self, branch: str) -> None:
        """Go on where another line of history was left; raise LabError if there is no such branch."""
        past = self.lab.past
        goal = past.branch(branch).position
        try:
            past.switch_to(branch)
        except NotRecorded:
            line = past.leave_for(branch)
            self._start_over(line, Stand(goal, len(line), goal, len(line)), f"returned to {branch}")
            return
        self._seek(goal, None, f"returned to {branch}")

    def _jump(self, position: int, actions: int | None) -> None:
        """Begin to move the cursor, from the beginning of the lab if nothing later is recorded."""
        past = self.lab.past
        try:
            past.jump(position, actions)
        except NotRecorded:
            line = past.line
            count = actions_before(line, position, actions)
            self._start_over(line, Stand(position, count, past.present, len(line)), "went back")

    def _start_over(self, line: Sequence[LogEntry], stand: Stand, reason: str) -> None:
        """Have the lab's history repeated from its beginning, to stand elsewhere in it."""
        after: Mode = {**self.wanted, "mode": "paused", "condition": None, "reason": reason}
        self.condition, self.waiting = None, False
        self._build_anew(line, stand, after)

    def _seek(self, position: int, actions: int | None, reason: str) -> None:
        """Be on the way to an instant ahead, unless the lab is being built anew for it."""
        if self.mode == "rebuilding":
            return
        self.mode, self.reason, self.condition, self.waiting = "seeking", reason, None, False
        self._journey = Journey(self.lab, position, actions, reason, self._clock)

    def _went(self, reason: str) -> None:
        self._pacer = self._new_pacer(self.speed)
        self.pause(reason)

    def set_speed(self, speed: str) -> None:
        """Change the speed, running or not."""
        self.speed = speed
        self._pacer = self._new_pacer(speed)
        self._changed()

    def pause(self, reason: str = "") -> None:
        """Stop where the lab stands and say why."""
        self.mode, self.reason, self.condition, self.waiting = "paused", reason, None, False
        self._changed()

    def fail(self, reason: str) -> None:
        """Stop for good: this lab cannot go on until it is reset."""
        self.condition = None
        super().fail(reason)

    # What it does with its time

    @property
    def wanted(self) -> Mode:
        """What to continue with if the lab has to be rebuilt."""
        if self.mode == "rebuilding":
            return self._after
        mode = "paused" if self.mode in ("failed", "seeking") else self.mode
        return {
            "mode": mode,
            "speed": self.speed,
            "condition": self.condition,
            "reason": self.reason,
            "stops": self.stops.records(),
        }

    @property
    def stand(self) -> Stand:
        """Where the lab stands on its line of history, or where it is on the way to."""
        if self._journey is not None and self.mode == "seeking":
            return self._journey.stand
        return super().stand

    @property
    def travels(self) -> bool:
        """Whether the lab is on its way to another instant, or being rebuilt."""
        return self.mode in ("rebuilding", "seeking")

    @property
    def printed(self) -> int:
        """How many characters the VMs have printed since their starts."""
        return sum(vm.console.length for vm in self.lab.hypervisor.vms.values())

    def busy(self) -> bool:
        """Return whether the lab has anything to do (now or when its pace allows)."""
        return self.travels or (self.mode in ("running", "until") and not self.waiting)

    def delay(self) -> float:
        """Return the seconds until `work` can do something; 0 for now."""
        if self.travels:
            return 0.0
        return self._pacer.wait(self._clock(), self.lab.position)

    def work(self, seconds: float) -> None:
        """Advance the lab for about `seconds` of wall time, or less."""
        until = self._clock() + seconds
        if self.mode == "rebuilding":
            self._rebuild(until)
        elif self._journey is not None and self.mode == "seeking":
            self._go_there(self._journey, until)
        elif self.mode in ("running", "until"):
            self._run(until)

    def notice_nobody(self, watched: bool) -> None:
        """Pause a lab that runs and is not watched any more."""
        wall = self._clock()
        if watched:
            self.watched_at = wall
        elif self.mode in ("running", "until") and wall - self.watched_at >= UNWATCHED_SECONDS:
            self.pause(f"nobody was watching for {UNWATCHED_SECONDS:.0f} s")

    def run_view(self) -> dict[str, Any]:
        """Return the `run` part of the state event."""
        running = self.mode in ("running", "until") and not self.waiting
        achieved = self._pacer.achieved(self._clock(), self.lab.position) if running else None
        past = self.lab.past
        return {
            "revision": self.revision,
            "mode": self.mode,
            "speed": self.speed,
            "achieved": achieved,
            "reason": self.reason,
            "condition": self.condition,
            "waiting": self.waiting,
            "stops": self.stops.views(),
            "hit": self.hit,
            "met": self.met,
            "branches": list(self.lab.past.branches),
            "lent": self.lent,
            "rebuilt": self._share(),
            "goal": self.stand.position if self.travels else None,
            "behind": past.behind,
            "present": past.present,
            "present_ns": past.present_ns,
            "ahead": sum(entry["action"]["verb"] not in QUIET for entry in past.future),
        }

    def _share(self) -> float:
        """Return how much of the way the lab has come that is being rebuilt or goes to another instant."""
        if self._journey is not None and self.mode == "seeking":
            return self._journey.share
        return super()._share()

    def _go(self, mode: RunMode, speed: str, condition: dict[str, Any] | None) -> None:
        self.mode, self.reason, self.condition, self.waiting = mode, "", condition, False
        self.hit, self.met = [], []
        self.watched_at = self._clock()
        self._pacer = self._new_pacer(speed)
        self._throttle = Throttle()
        self._changed()

    def _new_pacer(self, speed: str) -> Pacer:
        host = self.lab.config.host
        return Pacer(speed, host.clock * host.pcpus, self._clock(), self.lab.position)

    def _go_there(self, journey: Journey, until: float) -> None:
        """Go on towards another instant."""
        over = journey.go(until)
        if over is not None:
            self._went(over)
        elif journey.worth_telling():
            self._changed()

    def _run(self, until: float) -> None:
        before = self.lab.position
        while self._clock() < until and not self.waiting and self.mode in ("running", "until"):
            position = self.lab.position
            due = self._pacer.due(self._clock(), position)
            if due is not None and due <= position:
                break
            self._chunk(position if due is None else due)
        self._pacer.mark(self._clock(), self.lab.position)
        if self.lab.position != before:
            self._changed()

    def _chunk(self, due: int) -> None:
        position, started = self.lab.position, self._clock()
        goal = position + self._throttle.chunk
        if due > position:
            goal = min(goal, due)
        halt = run_towards(self.lab, goal, self.condition, self.stops.on())
        if halt is not None:
            self.pause(halt.reason)
            self.hit, self.met = halt.hit, halt.met
        self._throttle.learn(self.lab.position - position, self._clock() - started)
        if self.lab.position < goal and self.mode in ("running", "until"):
            self._nothing_left()

    def _nothing_left(self) -> None:
        if self.mode == "until":
            self.pause("nothing left to run before the condition held")
        else:
            self.waiting = True
            self._changed()

    def _rebuilt(self) -> None:
        if self._run_policies:
            self.lab.policies.enable()
        super()._rebuilt()
        self.condition = self._after["condition"]
        self._pacer = self._new_pacer(self._after["speed"])
        self.watched_at = self._clock()


def _last_decisions(line: Sequence[LogEntry]) -> LogEntry | None:
    """Return the last entry of a line that holds decisions of policies."""
    return next((entry for entry in reversed(line) if entry["action"]["verb"] == "decide"), None)
