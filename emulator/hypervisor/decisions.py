"""Decisions of policies that are written outside the hypervisor: asked for here, kept, and repeated.

A policy `custom` (scheduler, page replacement, balloons, exits) is a question to the *desk*. Where the
policy's text may run, `Desk.live` holds what answers, and every answer that has an effect is noted. Where
it may not (a server that repeats a log), the desk has the noted answers in a queue and gives them in the
same order, so that the same history happens without the text. With neither, the policy's plain default
answers.

Answers are plain JSON. They are written as runs, `[[count, [answer, ...]], ...]`: a pattern of up to 8
answers and how often it is repeated, which is all that is left of a thousand turns in a circle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from emulator.errors import VmLabError
from emulator.hypervisor.scheduler.interface import RunQueue, VcpuInfo

_HEXADECIMAL = re.compile(r"0x[0-9a-f]{1,16}")
MAX_PERIOD = 8
FOLD_AT = 64  # answers that are looked at together for repetitions
MAX_ITEMS = 50_000  # answers written out in one entry
MAX_COUNT = 1 << 40
NOBODY = -1  # a pick of None, a victim of None, an access that is not taken

Run = list[Any]  # [count, [answer, ...]]


class DecisionError(VmLabError):
    """A decision of a log is impossible: 'decision 3 of pick is vCPU 9, which is not in the run queue'."""


class SchedulerAnswers(Protocol):
    """A scheduler that runs here; it checks what it answers."""

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None: ...
    def on_wake(self, vcpu: VcpuInfo, now: int) -> None: ...
    def on_sleep(self, vcpu: VcpuInfo, now: int) -> None: ...
    def on_exit(self, vcpu: VcpuInfo, ran: int, now: int) -> None: ...
    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None: ...
    def timeslice(self, vcpu: VcpuInfo, now: int) -> int: ...
    def preempts(self, vcpu: VcpuInfo, running: VcpuInfo, now: int) -> bool: ...


class ReplacementAnswers(Protocol):
    """A page replacement that runs here; `victim` also returns the frames whose A bits it clears."""

    def on_map(self, frame: int, bits: Any) -> None: ...
    def on_unmap(self, frame: int) -> None: ...
    def on_age(self, accessed: Any, bits: Any) -> None: ...
    def victim(self, bits: Any) -> tuple[int | None, list[int]]: ...


class BalloonAnswers(Protocol):
    """A balloon policy that runs here."""

    def targets(self, vms: Sequence[Any], host: Any) -> dict[str, int]: ...


class ExitAnswers(Protocol):
    """An exit handler that runs here; None leaves the exit to the hypervisor."""

    def read(self, vm: str, offset: int, size: int) -> int | None: ...
    def write(self, vm: str, offset: int, size: int, value: int) -> bool: ...
    def csr(self, vm: str, number: int, operation: str, value: int) -> int | None: ...


class Live:
    """The policies that run here. No part of a lab's state: a checkpoint leaves it alone."""

    def __init__(self) -> None:
        """None does."""
        self.scheduler: SchedulerAnswers | None = None
        self.replacement: ReplacementAnswers | None = None
        self.balloon: BalloonAnswers | None = None
        self.exits: ExitAnswers | None = None


@dataclass(frozen=True, slots=True)
class Traits:
    """What is fixed about a policy as long as it is used.

    `asks` names the methods that it answers; for the others the default holds. `base` and `size` are the
    device window of an exit handler, in guest-physical addresses.
    """

    asks: tuple[str, ...] = ()
    preemptive: bool = False
    always_asks: bool = False
    ages: bool = False
    base: int = 0
    size: int = 0


class Queue:
    """Answers to be given again, in order; runs are not written out."""

    def __init__(self, runs: Iterable[Run]) -> None:
        """Take checked runs."""
        self.runs = [(int(count), list(pattern)) for count, pattern in runs]
        self.place, self.repeated, self.index = 0, 0, 0
        self.given = 0

    def __bool__(self) -> bool:
        """Return whether there is another answer."""
        return self.place < len(self.runs)

    def next(self) -> Any:
        """Return the next answer; there is one."""
        count, pattern = self.runs[self.place]
        answer = pattern[self.index]
        self.given += 1
        self.index += 1
        if self.index == len(pattern):
            self.index, self.repeated = 0, self.repeated + 1
            if self.repeated == count:
                self.repeated, self.place = 0, self.place + 1
        return answer

    def used(self) -> list[Run]:
        """Return the runs of the answers that were given."""
        runs: list[Run] = [[count, pattern] for count, pattern in self.runs[: self.place]]
        if self:
            pattern = self.runs[self.place][1]
            if self.repeated:
                runs.append([self.repeated, pattern])
            if self.index:
                runs.append([1, pattern[: self.index]])
        return runs


class Runs:
    """Answers as they are given, written as runs; the work for each is bounded.

    While answers go on as the pattern of the last run says, only its count grows.
    """

    def __init__(self) -> None:
        """Nothing was answered."""
        self.closed: list[Run] = []
        self.tail: list[Any] = []
        self.items = 0
        self._pattern: list[Any] = []  # of the last run, while it goes on
        self._index = 0

    def append(self, answer: Any) -> None:
        """Add an answer."""
        pattern = self._pattern
        if pattern:
            if pattern[self._index] == answer:
                self._index += 1
                if self._index == len(pattern):
                    self._index = 0
                    self.closed[-1][0] += 1
                return
            self.tail, self._pattern = pattern[: self._index], []
        self.tail.append(answer)
        if len(self.tail) >= FOLD_AT:
            self._fold()

    def _fold(self) -> None:
        runs = folded(self.tail)
        # An unfinished pattern may go on: it is looked at again with what comes.
        self.tail = list(runs.pop()[1]) if len(runs) > 1 and runs[-1][0] == 1 else []
        _join(self.closed, runs)
        self.items = sum(len(pattern) for _, pattern in self.closed)
        count, pattern = self.closed[-1]
        if count > 1 and self.tail == pattern[: len(self.tail)] and len(self.tail) < len(pattern):
            self._pattern, self._index, self.tail = pattern, len(self.tail), []

    def encoded(self) -> list[Run]:
        """Return all runs, in a new list."""
        runs: list[Run] = [[count, list(pattern)] for count, pattern in self.closed]
        _join(runs, folded([*self._pattern[: self._index], *self.tail]))
        return runs


def folded(answers: Sequence[Any]) -> list[Run]:
    """Return a sequence of answers as runs."""
    runs: list[Run] = []
    place, literal = 0, 0
    while place < len(answers):
        period, count = _best(answers, place)
        if count == 1:
            place += 1
            continue
        _join(runs, [[1, list(answers[literal:place])]] if literal < place else [])
        _join(runs, [[count, list(answers[place : place + period])]])
        place += period * count
        literal = place
    _join(runs, [[1, list(answers[literal:])]] if literal < len(answers) else [])
    return runs


def _best(answers: Sequence[Any], place: int) -> tuple[int, int]:
    """Return period and count of the repetition at a place that saves most; (1, 1) if none does."""
    best, most = (1, 1), 1
    for period in range(1, MAX_PERIOD + 1):
        pattern, count = answers[place : place + period], 1
        while answers[place + count * period : place + (count + 1) * period] == pattern:
            count += 1
        if (count - 1) * period > most:
            best, most = (period, count), (count - 1) * period
    return best


def _join(runs: list[Run], more: Iterable[Run]) -> None:
    """Append runs; equal ones in line are counted together, single ones written in one."""
    for count, pattern in more:
        if runs and runs[-1][1] == pattern:
            runs[-1] = [runs[-1][0] + count, pattern]
        elif runs and count == 1 == runs[-1][0]:
            runs[-1] = [1, [*runs[-1][1], *pattern]]
        else:
            runs.append([count, pattern])


@dataclass
class Desk:
    """Asks who answers, and notes or repeats the answers. `position` says where the host stands.

    `traits` are those of the policies in use, by interface; `until` is where the queued answers end.
    """

    position: Callable[[], int]
    live: Live = field(default_factory=Live)
    traits: dict[str, Traits] = field(default_factory=dict[str, Traits])
    queues: dict[str, Queue] = field(default_factory=dict[str, Queue])
    until: int = 0
    noted: dict[str, Runs] = field(default_factory=dict[str, Runs])
    count: int = 0  # answers that were given, live or again
    taken: int = 0  # accesses of guests that an exit handler has answered
    muted: bool = False  # defaults decide

    def note(self, method: str, answer: Any) -> Any:
        """Keep an answer that was just given; return it."""
        self.count += 1
        runs = self.noted.get(method)
        if runs is None:
            runs = self.noted[method] = Runs()
        runs.append(answer)
        return answer

    def has(self, method: str) -> bool:
        """Return whether an answer is queued. Raises DecisionError if one has to be and is not."""
        if self.queues.get(method):
            return True
        if self.position() < self.until:
            raise DecisionError(
                f"the log has no decision of {method} at position {self.position()}, though its decisions"
                f" reach to {self.until}: this log was not made by this lab"
            )
        return False

    def again(self, method: str) -> Any:
        """Return the next queued answer; there is one."""
        self.count += 1
        return self.queues[method].next()

    def impossible(self, method: str, problem: str) -> DecisionError:
        """Return the error for the answer that was just repeated."""
        number = self.queues[method].given
        return DecisionError(
            f"decision {number} of {method}, at position {self.position()}, {problem}:"
            " this log was not made by this lab"
        )

    def asks(self, interface: str, method: str) -> bool:
        """Return whether a policy in use answers a method itself."""
        return interface in self.traits and method in self.traits[interface].asks and not self.muted

    def feed(self, choices: Mapping[str, Any], until: int) -> None:
        """Queue answers, in the form that `checked` has let pass. Raises DecisionError."""
        if self.left:
            raise DecisionError(self.left_over())
        self.queues = {method: Queue(runs) for table in choices.values() for method, runs in table.items()}
        self.until = until

    @property
    def left(self) -> bool:
        """Whether answers are queued that were not given yet."""
        return any(self.queues.values())

    def left_over(self) -> str:
        """Return the problem with answers that are queued where nobody asks for them any more."""
        left = ", ".join(method for method, queue in self.queues.items() if queue)
        return (
            f"decisions of {left} are left over when another entry begins: this log was not made by this lab"
        )

    def drop_left(self) -> dict[str, list[Run]]:
        """Forget the queued answers that were not given; return those that were, by method."""
        used = {method: queue.used() for method, queue in self.queues.items()}
        self.queues, self.until = {}, 0
        return {method: runs for method, runs in used.items() if runs}


METHODS: dict[str, tuple[str, ...]] = {
    "scheduler": ("pick", "timeslice", "preempts"),
    "replacement": ("victim",),
    "balloon": ("targets",),
    "exits": ("read", "write", "csr"),
}


def interface_of(method: str) -> str:
    """Return the interface that a method belongs to."""
    return next(interface for interface, methods in METHODS.items() if method in methods)


def by_interface(runs: Mapping[str, list[Run]]) -> dict[str, dict[str, list[Run]]]:
    """Return runs by method as they stand in a log: by interface and method."""
    table: dict[str, dict[str, list[Run]]] = {}
    for method, items in runs.items():
        table.setdefault(interface_of(method), {})[method] = items
    return table


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 64


def _is_victim(value: object) -> bool:
    if not isinstance(value, list) or len(cast("list[Any]", value)) != 2:
        return False
    victim, cleared = cast("list[Any]", value)
    return (
        _is_number(victim) and isinstance(cleared, list) and all(map(_is_number, cast("list[Any]", cleared)))
    )


def _is_target(value: object) -> bool:
    if not isinstance(value, list):
        return False
    for pair in cast("list[Any]", value):
        if not isinstance(pair, list) or len(cast("list[Any]", pair)) != 2:
            return False
        name, size = cast("list[Any]", pair)
        if not isinstance(name, str) or not _is_number(size):
            return False
    return True


def _is_value(value: object) -> bool:
    return _is_number(value) or (isinstance(value, str) and _HEXADECIMAL.fullmatch(value) is not None)


_FORMS: dict[str, Callable[[object], bool]] = {
    "victim": _is_victim,
    "targets": _is_target,
    "read": _is_value,
    "csr": _is_value,
}


def checked(choices: object) -> dict[str, dict[str, list[Run]]]:
    """Return `{interface: {method: runs}}` if it has that form. Raises DecisionError.

    It comes from a log, which may come from anywhere.
    """
    if not isinstance(choices, dict) or not choices:
        raise DecisionError("choices must be a table of interfaces, with the runs of each method")
    items = 0
    for interface, table in cast("dict[Any, Any]", choices).items():
        if interface not in METHODS or not isinstance(table, dict):
            raise DecisionError(f"choices has {interface!r}; interfaces are {', '.join(METHODS)}")
        for method, runs in cast("dict[Any, Any]", table).items():
            if method not in METHODS[interface] or not isinstance(runs, list):
                known = ", ".join(METHODS[interface])
                raise DecisionError(f"choices.{interface} has {method!r}; methods are {known}")
            for number, run in enumerate(cast("list[Any]", runs), 1):
                items += _checked_run(run, f"run {number} of {method}", _FORMS.get(method, _is_number))
    if items > MAX_ITEMS:
        raise DecisionError(f"choices has {items} decisions; an entry has at most {MAX_ITEMS}")
    return cast("dict[str, dict[str, list[Run]]]", choices)


def _checked_run(run: object, where: str, form: Callable[[object], bool]) -> int:
    parts = cast("list[Any]", run) if isinstance(run, list) else []
    if len(parts) != 2 or not _is_number(parts[0]) or not 0 < parts[0] <= MAX_COUNT:
        raise DecisionError(f"{where} is not [count, [decision, ...]]")
    pattern = cast("list[Any]", parts[1]) if isinstance(parts[1], list) else []
    if not pattern or not all(map(form, pattern)):
        raise DecisionError(f"{where} holds what is no decision")
    return len(pattern)
