"""Policies of a lab: which text is in use, its decisions in the log, and, where it may run, its running.

    {"verb": "set_policy", "interface": "scheduler", "text": "...", "title": "Mine", "traits": {...}}
    {"verb": "decide", "until": 81234, "choices": {"scheduler": {"pick": [[500, [8, 16]]]}}}

In a tournament's run whose author keeps the text private, `digest` (its SHA-256) stands for it.

`set_policy` puts the text on record; `decide` holds what it decided from the entry's position on, up to
`until`, as runs (`emulator.hypervisor.decisions`). So a log is repeated anywhere without running the text,
and gives the same state. Only where `enable` was called (a student's browser, the tournament's command)
does the text run; there a `decide` entry is begun when a run begins and grows with it.

What goes wrong in a policy takes the lab back to the last instant before the call: to a checkpoint, and
from there by the decisions that were made. The lab then stays there until the text is changed. Going back
in time begins the policy anew: it remembers nothing of what has not happened. What an action needs at once
(a frame, whether to preempt) is decided by the default of each interface, so that an action never depends
on a text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from emulator.hypervisor.decisions import METHODS, DecisionError, Traits, by_interface, checked
from emulator.hypervisor.scheduler import Custom
from emulator.lab import defining
from emulator.lab.checkpoint import Checkpoint, all_or_nothing
from emulator.lab.errors import Diagnostic, LabError
from emulator.lab.memento import Aside
from emulator.policy import INTERFACES, PolicyError, Program, load
from emulator.policy.guard import MAX_TEXT
from emulator.policy.live import attach
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

CUSTOM = Custom.name
ENTRY_ITEMS = 2000  # decisions written out in an entry, after which another one is begun
SAFE_POSITIONS = 20_000_000  # after which another checkpoint to come back to is taken
MAX_TITLE = 60
_DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_WINDOW = 1 << 20


class ImpossibleDecision(LabError):
    """A decision of a log cannot have been made; `entry` is the number of the `decide` that holds it."""

    def __init__(self, lab: Lab, problem: str) -> None:
        """Name the last `decide` of the lab's log: no other has decisions that are due."""
        super().__init__(problem, "choices")
        decided = (one["seq"] for one in reversed(lab.log) if one["action"].get("verb") == "decide")
        self.entry: int = next(decided, 0)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A policy in use."""

    title: str
    text: str
    traits: Traits
    digest: str


class Runner(Aside):
    """The running of texts. No part of the lab's state, and left alone when it goes back in time."""

    def __init__(self) -> None:
        """Nothing may run."""
        self.enabled = False
        self.repeating = False
        self.programs: dict[str, Program] = {}
        self.printed: list[str] = []
        self.safe: Checkpoint | None = None
        self.failure: PolicyError | None = None
        self.hung: PolicyError | None = None  # what ended the interpreter in which the lab ran before
        self.takes_digests = False  # a text may be withheld: nothing of it is going to run here
        self.fresh = True  # the policies have to begin (anew) before the lab goes on


class Policies:
    """The policies of one lab."""

    def __init__(self, lab: Lab) -> None:
        """Every interface has what the configuration names."""
        self._lab = lab
        self.chosen: dict[str, Chosen] = {}
        self.open = False  # the last entry of the log is a `decide` that may grow
        self.start = 0  # where what is noted began
        self.runner = Runner()

    @property
    def failure(self) -> PolicyError | None:
        """What a policy did wrong, until its text is changed."""
        return self.runner.failure

    @property
    def runs(self) -> bool:
        """Whether texts run while the lab does."""
        recorder = self._lab.recorder
        repeating = self.runner.repeating or (recorder is not None and recorder.repeats)
        return self.runner.enabled and any(map(self._is_used, self.chosen)) and not repeating

    def _is_used(self, interface: str) -> bool:
        """Return whether the host still asks the policy of an interface, and not a built-in one."""
        host = self._lab.host_config
        names = {
            "scheduler": host.scheduler,
            "replacement": host.giving.swap_policy,
            "balloon": host.giving.balloon_policy,
        }
        return names.get(interface, CUSTOM) == CUSTOM

    def state(self) -> list[Any]:
        """Return the plain state, for the state hash; nothing where no policy was ever chosen."""
        chosen = [
            [name, one.digest, list(asdict(one.traits).values())] for name, one in sorted(self.chosen.items())
        ]
        return [chosen, self._lab.hypervisor.desk.count] if chosen else []

    # Running texts

    def enable(self) -> None:
        """Let texts run from now on, those that are in use included."""
        self.runner.enabled = True
        self.runner.fresh = True
        if self.runner.hung is not None:
            self.runner.failure, self.runner.hung = self.runner.hung, None

    def halt(self, line: int) -> None:
        """Switch the policies off, until one is changed, as soon as they could run: a call never ended.

        `line` is the last that is known to have been reached, 0 for none.
        """
        problem = "a call did not end; the policy is off until it is changed"
        if line:
            problem = (
                "a call did not end, and this is the last line that is known; the policy is off until it is"
                " changed"
            )
        self.runner.hung = PolicyError(problem, line)

    def suspend(self) -> None:
        """Stop running texts, because the lab is taken elsewhere; they begin anew when it goes on."""
        _silence(self._lab)
        self.runner.fresh, self.runner.failure = True, None

    def forget_safe(self) -> None:
        """Let go of the checkpoint: an action has been applied, or its room is needed."""
        if self.runner.safe is not None:
            self.runner.safe.release()
            self.runner.safe = None

    def run_to(self, position: int) -> None:
        """Run the lab to a position with its texts. Raises LabError for what they do wrong."""
        if self.runner.failure is not None:
            raise _as_lab_error(self.runner.failure)
        self._begin()
        self._keep_safe()
        try:
            self._lab.run_plain(position)
        except PolicyError as error:
            self._recover(error)
            raise _as_lab_error(error) from error
        self.close()

    def _begin(self) -> None:
        """Let the policies begin, if they have not."""
        if not self.runner.fresh:
            return
        self.cut()
        self.seal()
        try:
            for interface, chosen in self.chosen.items():
                self._attach(interface, self._program(interface, chosen.text))
        except PolicyError as error:
            _silence(self._lab)
            self.runner.failure = error
            raise _as_lab_error(error) from error
        self.runner.fresh = False

    def _program(self, interface: str, text: str) -> Program:
        """Return the program of a text, compiled once. Raises PolicyError."""
        program = self.runner.programs.get(interface)
        if program is None or program.text != text:
            program = self.runner.programs[interface] = load(interface, text)
        return program

    def _attach(self, interface: str, program: Program) -> None:
        """Let a policy answer from now on; it is told first who there is. Raises PolicyError."""
        lab = self._lab
        hypervisor, live = lab.hypervisor, lab.hypervisor.desk.live
        caller = attach(live, program, lab.timeslice_cycles, lab.seed)
        self.runner.printed = caller.meter.printed
        if interface == "scheduler" and live.scheduler is not None:
            hypervisor.scheduler.tell(live.scheduler, hypervisor.vms.values(), hypervisor.now)
        if interface == "replacement" and live.replacement is not None:
            for frame in hypervisor.pager.reclaim.policy.frames:
                live.replacement.on_map(frame, hypervisor.pager.reclaim.candidates())

    def _keep_safe(self) -> None:
        """Have a checkpoint to come back to that is not far behind, with no action in between."""
        lab, safe = self._lab, self.runner.safe
        if safe is not None and lab.position - safe.position < SAFE_POSITIONS:
            return
        self.forget_safe()
        lab.make_room()
        self.runner.safe = lab.checkpoint()

    def _recover(self, error: PolicyError) -> None:
        """Take the lab to the last instant before the call that failed."""
        lab, safe = self._lab, self.runner.safe
        assert safe is not None
        goal = max(lab.hypervisor.position_before, safe.position)
        self.close()
        entries = lab.log[safe.actions :]
        self.runner.repeating = True
        lab.restore(safe)
        for entry in entries:
            lab.advance(entry["position"])
            lab.apply(entry["action"])
        lab.advance(goal)
        self.runner.repeating = False
        self.cut()
        self.runner.failure = error

    # The log

    def close(self) -> None:
        """Write what was decided into the log: into its last entry, if that is still open."""
        lab, desk = self._lab, self._lab.hypervisor.desk
        if desk.noted:
            runs = {method: noted.encoded() for method, noted in desk.noted.items()}
            action = {"verb": "decide", "until": lab.position, "choices": by_interface(runs)}
            if self.open:
                last = lab.log.pop()
                lab.log.append({**last, "action": action})
            else:
                lab.log.append({"seq": len(lab.log) + 1, "position": self.start, "action": action})
            self.open = True
        if sum(noted.items for noted in desk.noted.values()) > ENTRY_ITEMS or not desk.noted:
            self.seal()

    def seal(self) -> None:
        """Begin another entry with the next decision."""
        self._lab.hypervisor.desk.noted.clear()
        self.open = False
        self.start = self._lab.position

    def cut(self) -> None:
        """Take decisions that the lab has not come to out of its log: it goes on from here in its own way."""
        lab, desk = self._lab, self._lab.hypervisor.desk
        if not desk.left:
            return
        used = desk.drop_left()
        place = max(n for n, entry in enumerate(lab.log) if entry["action"].get("verb") == "decide")
        if used:
            action = {"verb": "decide", "until": lab.position, "choices": by_interface(used)}
            lab.log[place] = {**lab.log[place], "action": action}
        else:
            del lab.log[place]
            lab.log[place:] = [{**one, "seq": one["seq"] - 1} for one in lab.log[place:]]

    # Actions

    def completed(self, action: dict[str, Any]) -> dict[str, Any]:
        """Return a `set_policy` with what its text says, where texts run. Raises LabError."""
        if action.get("verb") != "set_policy" or not self.runner.enabled or self.runner.repeating:
            return action
        interface, text = action.get("interface"), action.get("text")
        if interface not in METHODS or not isinstance(text, str):
            return action
        program = _loaded(interface, text)
        self.runner.programs[interface] = program
        return {**action, "title": program.name, "traits": _shown(program.traits)}

    @contextmanager
    def during_action(self, action: Mapping[str, Any]) -> Generator[None]:
        """Let an action be applied: decided by defaults, and undone if a policy makes a mistake meanwhile."""
        lab, desk = self._lab, self._lab.hypervisor.desk
        if not self.chosen or action.get("verb") == "decide":
            yield
            return
        desk.muted = True
        try:
            if self.runs and self.runner.failure is None and not self.runner.fresh:
                lab.make_room()
                with all_or_nothing(lab):
                    yield
            else:
                yield
        except PolicyError as error:
            self.runner.failure = error
            raise _as_lab_error(error) from error
        finally:
            desk.muted = lab.hypervisor.desk.muted = False
        self.forget_safe()
        self.seal()


def _silence(lab: Lab) -> None:
    live = lab.hypervisor.desk.live
    live.scheduler = live.replacement = live.balloon = live.exits = None


def _loaded(interface: str, text: str) -> Program:
    try:
        return load(interface, text)
    except PolicyError as error:
        raise _as_lab_error(error) from error


def _as_lab_error(error: PolicyError) -> LabError:
    """Return a policy's error with its place, as one in a program's text."""
    place = Diagnostic(error.line, max(1, error.column), 1, error.problem)
    return LabError(f"policy: {error}", "text", [place] if error.line else [])


# Verbs


def _set_policy(lab: Lab, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Use a policy's text from now on, for one interface."""
    withheld = lab.policies.runner.takes_digests and "digest" in arguments
    known_keys = ("interface", "digest" if withheld else "text", "title", "traits")
    unknown = [key for key in arguments if key not in known_keys]
    if unknown:
        raise LabError(f"{unknown[0]!r} is no part of this action; known: interface, text", str(unknown[0]))
    interface, text, title = arguments.get("interface"), arguments.get("text"), arguments.get("title", "")
    if not isinstance(interface, str) or interface not in METHODS:
        known = ", ".join(METHODS)
        raise LabError(f"a lab of one host has no policy for {interface!r}; it has {known}", "interface")
    if withheld:
        text = ""
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise LabError(f"text must be Python text of at most {MAX_TEXT} characters", "text")
    if not isinstance(title, str) or len(title) > MAX_TITLE:
        raise LabError(f"title must be a text of at most {MAX_TITLE} characters", "title")
    if "traits" not in arguments:
        raise LabError(
            "policies run in your own browser, never on the server:"
            " switch this lab to `in this browser`, then use the policy",
            "text",
        )
    traits = _traits(interface, arguments["traits"])
    digest = arguments["digest"] if withheld else text_digest(text)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise LabError("digest must be the SHA-256 of the text, 64 hexadecimal digits", "digest")
    _use(lab, interface, Chosen(title or "policy", text, traits, digest))
    hypervisor = lab.hypervisor
    kind, used = INTERFACES[interface].title, title or "a policy"
    told = f"{kind}: {used} is used"
    hypervisor.trace.log("action", "set_policy", told, lab.position, hypervisor.now, None)
    return {"interface": interface, "title": title}


def text_digest(text: str) -> str:
    """Return what stands for a text in a state hash, and in a log that does not show it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _use(lab: Lab, interface: str, chosen: Chosen) -> None:
    """Let an interface's decisions come from a policy."""
    desk, before = lab.hypervisor.desk, lab.host_config
    giving = before.giving
    if interface == "replacement" and not giving.swap:
        raise LabError("this host has no swap area (host.swap), so no page ever has to go", "interface")
    _silence(lab)
    lab.policies.runner.fresh = True
    lab.policies.runner.failure = None
    old = desk.traits.get(interface)
    desk.traits[interface] = chosen.traits
    try:
        if interface == "scheduler":
            if before.scheduler == CUSTOM:
                lab.hypervisor.use_scheduler(Custom(lab.timeslice_cycles, lab.seed))
            else:
                defining.reconfigure_host(lab, replace(before, scheduler=CUSTOM))
        elif interface == "replacement":
            defining.reconfigure_host(lab, replace(before, giving=replace(giving, swap_policy=CUSTOM)))
        elif interface == "balloon":
            defining.reconfigure_host(lab, replace(before, giving=replace(giving, balloon_policy=CUSTOM)))
    except BaseException:
        desk.traits = {name: one for name, one in desk.traits.items() if name != interface}
        if old is not None:
            desk.traits[interface] = old
        raise
    lab.policies.chosen[interface] = chosen


def _shown(traits: Traits) -> dict[str, Any]:
    """Return traits as they stand in an action: those that are not as usual."""
    usual = asdict(Traits())
    table = {key: value for key, value in asdict(traits).items() if value != usual[key]}
    return {**table, "asks": list(traits.asks)}


def _traits(interface: str, value: object) -> Traits:
    """Return the traits of an action, which may come from anywhere. Raises LabError."""
    table: dict[str, Any] = cast("dict[str, Any]", value) if isinstance(value, dict) else {"": value}
    known = asdict(Traits())
    for key, value in table.items():
        if key not in known:
            raise LabError(f"traits has {key!r}; known: {', '.join(known)}", "traits")
        wanted = "list" if key == "asks" else type(known[key]).__name__
        if type(value).__name__ != wanted:
            raise LabError(f"traits.{key} is {value!r}; expected {wanted}", f"traits.{key}")
    asks: list[Any] = table.get("asks", [])
    if not asks or any(one not in METHODS[interface] for one in asks) or len(asks) > len(METHODS[interface]):
        raise LabError(f"traits.asks names methods of {', '.join(METHODS[interface])}", "traits.asks")
    given: dict[str, Any] = {**table, "asks": tuple(asks)}
    traits = Traits(**given)
    window_ok = 0 <= traits.size <= MAX_WINDOW and 0 <= traits.base <= RAM_BASE - traits.size
    if not window_ok or traits.base % PAGE_BYTES or traits.size % PAGE_BYTES:
        raise LabError("traits.base and traits.size are whole pages below RAM", "traits.base")
    return traits


def _decide(lab: Lab, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Take the decisions of what follows from the log."""
    until = arguments.get("until")
    if sorted(arguments) != ["choices", "until"] or not isinstance(until, int) or isinstance(until, bool):
        raise LabError("decide has `until`, a position, and `choices`", "until")
    if not lab.position <= until:
        raise LabError(f"decide reaches to {until}, and the lab stands at {lab.position} already", "until")
    try:
        choices = checked(arguments["choices"])
        missing = [one for one in choices if one not in lab.policies.chosen]
        if missing:
            raise DecisionError(f"no policy is in use for {', '.join(missing)}; set_policy comes first")
        if lab.hypervisor.desk.left:
            raise ImpossibleDecision(lab, lab.hypervisor.desk.left_over())
        lab.hypervisor.desk.feed(choices, until)
    except DecisionError as error:
        raise LabError(str(error), "choices") from error
    return {}


POLICY_VERBS = {"set_policy": _set_policy, "decide": _decide}
