"""What is needed to rebuild a lab anywhere: its beginning, its action log and the position it had reached."""

from __future__ import annotations

from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict
from weakref import WeakValueDictionary

from app.workers.protocol import Message
from app.workers.stops import StopRecord
from emulator.lab import Lab, LogEntry
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.lab.saving import SaveError
from emulator.machine.engine import Engine

RunMode = Literal["paused", "running", "until", "seeking", "rebuilding", "failed"]


class Mode(TypedDict):
    """What the student asked for: whether the lab runs, how fast, until when, and at what it stops."""

    mode: Literal["paused", "running", "until"]
    speed: str
    condition: dict[str, Any] | None
    reason: str
    stops: NotRequired[list[StopRecord]]


PAUSED: Mode = {"mode": "paused", "speed": "0.01", "condition": None, "reason": ""}


class Stand(NamedTuple):
    """Where a lab stands on its line of history, which reaches to `present` and has `total` actions."""

    position: int
    actions: int
    present: int
    total: int


@dataclass(frozen=True, slots=True)
class ProgramText:
    """A guest program as a lesson holds it: assembly `source`, or an ELF image."""

    name: str
    source: str | None = None
    elf: bytes | None = None


@dataclass(frozen=True, slots=True)
class LabRecord:
    """Everything that determines a lab's state; `lesson` is the lesson's slug, for the examiner.

    The lab stands at `position`, after the first `actions` of the log (None: all), and its line of history
    reaches to `present`. `lent`: the lab runs in a browser for now; here it only stands to be looked at.
    `state` is what `Lab.save` made of it, to be spared its history; only who trusts the sender may use it.
    """

    lab: str
    lesson: str
    config: dict[str, Any]
    programs: tuple[ProgramText, ...]
    seed: int
    generation: int = 1
    log: tuple[LogEntry, ...] = ()
    position: int = 0
    mode: Mode = field(default_factory=lambda: PAUSED)
    lent: bool = False
    state: bytes = b""
    actions: int | None = None
    present: int = 0

    @property
    def applied(self) -> int:
        """How many actions of the log come before where the lab stands."""
        return len(self.log) if self.actions is None else min(self.actions, len(self.log))

    @property
    def goal(self) -> int:
        """Where the lab stands."""
        return max([self.position, *(entry["position"] for entry in self.log[: self.applied])])

    @property
    def furthest(self) -> int:
        """How far the line of history reaches."""
        return max([self.present, self.position, *(entry["position"] for entry in self.log[-1:])])

    def to_message(self) -> Message:
        """Return the `open` request."""
        body = {
            "lesson": self.lesson,
            "config": self.config,
            "sources": {
                program.name: program.source for program in self.programs if program.source is not None
            },
            "seed": self.seed,
            "generation": self.generation,
            "log": list(self.log),
            "position": self.position,
            "actions": self.actions,
            "present": self.present,
            "mode": self.mode,
            "lent": self.lent,
            "state": b64encode(self.state).decode(),
        }
        images = tuple((program.name, program.elf) for program in self.programs if program.elf is not None)
        return Message("open", self.lab, body=body, blobs=images)

    @classmethod
    def from_message(cls, message: Message) -> LabRecord:
        """Return the record that an `open` request carries."""
        body = message.body
        sources = tuple(ProgramText(name, source=text) for name, text in body["sources"].items())
        images = tuple(ProgramText(name, elf=image) for name, image in message.blobs)
        return cls(
            lab=message.lab,
            lesson=body["lesson"],
            config=body["config"],
            programs=sources + images,
            seed=body["seed"],
            generation=body["generation"],
            log=tuple(body["log"]),
            position=body["position"],
            mode=body["mode"],
            lent=body.get("lent", False),
            state=b64decode(body.get("state", "")),
            actions=body.get("actions"),
            present=body.get("present", 0),
        )


class LabBuilder:
    """Builds labs in one process. Labs with the same compiled program hold one copy of it."""

    def __init__(self, engine: Engine) -> None:
        """Run labs on `engine`."""
        self._engine = engine
        self._images: WeakValueDictionary[tuple[str, bytes], Program] = WeakValueDictionary()

    def __call__(self, record: LabRecord) -> Lab:
        """Return the lab of a record at its beginning, or at its `state`; raise LabError or ConfigError."""
        programs = {text.name: self._program(text) for text in record.programs}
        config = LabConfig.from_dict(record.config)
        if record.state:
            with suppress(SaveError):  # of another version or line: then the history is repeated
                lab = Lab.load(record.state, config, programs, record.seed, record.log, self._engine)
                if lab.position <= record.position and len(lab.log) <= record.applied:
                    return lab
        return Lab(config, programs, record.seed, self._engine)

    def _program(self, text: ProgramText) -> Program:
        program = Program(text.name, text.source, text.elf)
        if text.elf is None:
            return program
        return self._images.setdefault((text.name, sha256(text.elf).digest()), program)
