"""A SessionHost holds many labs in one process and divides its time fairly among those that run.

It is plain and single-threaded: `handle` answers one request, `work` does one short round of work, and
both are called by the process that owns it (process.py; an actor of a cluster would do the same). Time,
the way to build a lab, the examiner and the way out are injected.
"""

from __future__ import annotations

import sys
import traceback
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from app.workers.contest import RunVerification
from app.workers.control import STOPS, TRAVELS, parse_control, steer
from app.workers.inspection import inspect
from app.workers.layers import Layers
from app.workers.memory import CHECK_SECONDS, DEFAULT_BYTES, pause_largest, used_bytes
from app.workers.protocol import JsonObject, Message
from app.workers.publishing import Publisher, Send, gone, state_of, whole
from app.workers.record import LabRecord, Stand
from app.workers.repetition import BuildLab, Clock
from app.workers.session import Session
from app.workers.verification import Verification, key_of
from emulator.errors import VmLabError
from emulator.lab import Lab, LabError
from emulator.lab.saving import SaveError

SLICE_SECONDS = 0.008
STEP_SECONDS = 0.05
SAVE_SECONDS = 1.0
KEEP_SECONDS = 600.0
MAX_LABS = 200
# A state is sent with a lab that took about a second to get where it is, if it is quickly made and sent.
WORTH_SAVING = 100_000_000
MAX_SAVED_BYTES = 16 << 20
MAX_STATE_BYTES = 8 << 20
IDLE_SECONDS = 60.0

Examine = Callable[[str, Lab, Any], JsonObject]


class Refusal(Exception):
    """A request that cannot be carried out now; `fault` says which kind of no it is."""

    def __init__(self, fault: str, message: str) -> None:
        """Keep the kind of refusal beside its sentence."""
        super().__init__(message)
        self.fault = fault


class Seat:
    """A session with its readers and what has been saved of it."""

    def __init__(self, session: Session) -> None:
        """Nothing is saved and nobody listens yet."""
        self.session = session
        self.publisher = Publisher(session)
        self.layers = Layers()
        self.saved: tuple[Stand, Any] | None = None
        self.saved_at = float("-inf")


class SessionHost:
    """Many labs in one process."""

    def __init__(
        self,
        build: BuildLab,
        examine: Examine,
        clock: Clock,
        send: Send,
        memory_limit: int = DEFAULT_BYTES,
        run_policies: bool = False,
    ) -> None:
        """Hold no lab yet; `send` takes every message that leaves; `memory_limit` is in bytes.

        `run_policies` lets the texts of students' policies run: only where that is the student's own browser.
        """
        self._run_policies = run_policies
        self._build = build
        self._examine = examine
        self._clock = clock
        self._send = send
        self._memory_limit = memory_limit
        self._memory_checked = clock()
        self._seats: dict[str, Seat] = {}
        self._unopened: dict[str, str] = {}

    def handle(self, message: Message) -> None:
        """Carry out one request and reply to it if a reply is wanted."""
        try:
            body = self._dispatch(message)
        except Refusal as refusal:
            self._refuse(message, {"fault": refusal.fault, "message": str(refusal)})
        except VmLabError as error:
            self._refuse(message, {"fault": "user", **describe(error)})
        except Exception:  # noqa: BLE001  one lab's bug must not take the others with it
            self._give_up(message.lab, message.kind in ("open", "apply", "control"))
            self._refuse(message, {"fault": "bug", "message": "an internal error; it is in the server's log"})
        else:
            self._save(self._seats.get(message.lab))  # before the reply: who has it may rely on it
            if message.call:
                self._send(Message("reply", message.lab, message.call, body))

    def work(self) -> float:
        """Give the next lab that can run a slice; return the seconds until there is more to do.

        Labs take turns, and readers are served on the way. There is only one slice per call, so that a
        request never waits for a whole round.
        """
        self._watch_memory()
        for lab in list(self._seats):
            seat = self._seats.pop(lab)
            self._seats[lab] = seat
            try:
                if self._serve(seat):
                    return 0.0
            except Exception:  # noqa: BLE001  one lab's bug must not take the others with it
                self._give_up(lab, stop=True)
        return min((self._delay(seat) for seat in self._seats.values()), default=IDLE_SECONDS)

    # Requests

    def _dispatch(self, message: Message) -> JsonObject:
        if message.kind == "open":
            return self._open(message)
        if message.kind == "verify":
            return self._verify(message)
        if message.kind == "enter":
            return self._enter(message)
        if message.kind == "ping":
            return {"labs": len(self._seats)}
        seat = self._seats.get(message.lab)
        if message.kind == "close":
            self._close(message.lab)
            return {}
        if message.lab in self._unopened:
            return self._excuse(message, self._unopened[message.lab])
        if seat is None:
            raise Refusal("missing", "this worker does not hold the lab")
        seat.session.used_at = self._clock()
        return self._request(message, seat)

    def _request(self, message: Message, seat: Seat) -> JsonObject:
        match message.kind:
            case "subscribe":
                seat.publisher.subscribe(str(message.body["stream"]))
            case "unsubscribe":
                seat.publisher.unsubscribe(str(message.body["stream"]))
            case "ready":
                seat.publisher.ready(str(message.body["stream"]))
            case "observe":
                return whole(self._standing(seat))
            case "state":
                return state_of(seat.session)
            case "run":
                return self._standing(seat).run_view()
            case "config":
                return self._standing(seat).lab.config.to_dict()
            case "apply":
                return self._apply(seat, message.body["action"])
            case "control":
                return self._control(self._at_home(seat, moving=True), message.body)
            case "lend":
                return self._lend(self._at_home(seat))
            case "hash":
                lab = self._standing(seat).lab
                stand = seat.session.stand
                at = {"position": stand.position, "actions": stand.actions, "present": stand.present}
                return {**at, "hash": lab.state_hash()}
            case "line":
                session = seat.session
                return {"log": session.line, "stand": session.stand, "there": not session.travels}
            case "inspect":
                return self._inspect(seat, str(message.body["view"]), message.body["args"])
            case "examine":
                session = self._standing(seat)
                return self._examine(session.lesson, session.lab, message.body)
            case _:
                raise Refusal("bug", f"unknown request {message.kind!r}")
        return {}

    def _inspect(self, seat: Seat, view: str, args: JsonObject) -> JsonObject:
        lab = self._standing(seat).lab
        return seat.layers.view(lab, args) if view == "layer" else inspect(lab, view, args)

    def _open(self, message: Message) -> JsonObject:
        """Take a lab in; one that cannot be built (an older VM Lab wrote it) says so to whoever asks."""
        if message.lab in self._seats:
            return {}
        self._make_room()
        self._unopened[message.lab] = "this lab cannot be opened; reset it to start again"
        try:
            record = LabRecord.from_message(message)
            session = Session(record, self._build, self._clock, self._proved(record), self._run_policies)
        except VmLabError as error:
            self._unopened[message.lab] = f"this lab cannot be opened ({error}); reset it to start again"
            raise
        del self._unopened[message.lab]
        self._seats[message.lab] = Seat(session)
        return {}

    def _excuse(self, message: Message, reason: str) -> JsonObject:
        """Tell a reader that there will be nothing to read, and anybody else why."""
        if message.kind != "subscribe":
            raise Refusal("failed", reason)
        body = {"stream": message.body["stream"]}
        self._send(Message("publish", message.lab, body=body, blobs=(gone(reason),)))
        return {}

    def _close(self, lab: str) -> None:
        self._seats.pop(lab, None)
        self._unopened.pop(lab, None)

    def _standing(self, seat: Seat, moving: bool = False) -> Session:
        """Return the session unless it is broken or being rebuilt; finish small rebuilds on the spot.

        The same holds while it is on its way to another instant, unless it may be `moving`.
        """
        session = seat.session
        if session.travels and not (moving and session.mode == "seeking"):
            session.work(STEP_SECONDS)
        share = session.run_view()["rebuilt"]
        if session.mode == "seeking" and not moving:
            raise Refusal(
                "rebuilding", f"the lab is on its way to another instant ({share:.0%}); try again in a moment"
            )
        if session.mode == "rebuilding":
            raise Refusal(
                "rebuilding",
                f"the lab is being rebuilt from its history ({share:.0%}); try again in a moment",
            )
        if session.mode == "failed":
            raise Refusal("failed", session.reason)
        return session

    def _at_home(self, seat: Seat, moving: bool = False) -> Session:
        """Return the session unless it is broken, being rebuilt, or lent to a browser."""
        session = self._standing(seat, moving)
        if session.lent:
            raise Refusal("lent", "this lab runs in a browser; take it back to go on here")
        return session

    def _lend(self, session: Session) -> JsonObject:
        """Stop where the lab stands; return what goes on elsewhere."""
        mode = session.wanted
        session.pause("lent to a browser")
        lab, state = session.lab, b""
        if lab.position >= WORTH_SAVING and lab.hypervisor.host.store_bytes <= MAX_SAVED_BYTES:
            with suppress(SaveError):  # then the browser repeats the history
                state = lab.save()
        saved = b64encode(state).decode() if len(state) <= MAX_STATE_BYTES else ""
        stand = session.stand
        at = {"position": lab.position, "actions": stand.actions, "present": stand.present}
        return {**at, "now_ns": lab.now_ns, "mode": mode, "state": saved}

    def _verify(self, message: Message) -> JsonObject:
        """Begin to verify a submission, or say how far that is; a new submission replaces an older one."""
        claim, name = message.body["claim"], key_of(message.lab)
        seat = self._seats.get(name)
        known = seat.session if seat is not None else None
        if not isinstance(known, Verification) or known.digest != claim["digest"]:
            if "config" not in message.body:
                return {"unknown": True}
            self._make_room()
            record = LabRecord.from_message(message)
            before = known if isinstance(known, Verification) and known.leads_to(record) else None
            known = Verification(record, claim, self._build, self._clock, before)
            self._seats[name] = Seat(known)
        known.used_at = self._clock()
        return known.answer

    def _enter(self, message: Message) -> JsonObject:
        """Begin to repeat a run of a policy, or say how far that is; a new run replaces an older one."""
        seat = self._seats.get(message.lab)
        known = seat.session if seat is not None else None
        if not isinstance(known, RunVerification) or known.digest != message.body["digest"]:
            if "run" not in message.body:
                return {"unknown": True}
            self._make_room()
            known = RunVerification(message.lab, message.body, self._build, self._clock)
            self._seats[message.lab] = Seat(known)
        known.used_at = self._clock()
        return known.answer

    def _proved(self, record: LabRecord) -> Lab | None:
        """Return the lab of a verification that ended where `record` stands; it is used up.

        While the lab is lent another submission may go on from there, so it stays.
        """
        seat = self._seats.get(key_of(record.lab))
        if seat is None or record.lent or not isinstance(seat.session, Verification):
            return None
        lab = seat.session.proves(record)
        if lab is not None:
            del self._seats[key_of(record.lab)]
        return lab

    def _apply(self, seat: Seat, action: dict[str, Any]) -> JsonObject:
        session = self._at_home(seat)
        applied = session.apply(action)
        if action["verb"] == "console_input":
            seat.publisher.typed(self._clock())
        return {**applied, "state": state_of(session)}

    def _control(self, session: Session, body: JsonObject) -> JsonObject:
        control = parse_control(body)
        steer(session, control)
        log = session.line if control.verb in TRAVELS else []
        if session.mode in ("until", "seeking", "rebuilding"):
            session.work(STEP_SECONDS)
        reply = {"position": session.lab.position, "now_ns": session.lab.now_ns, "state": state_of(session)}
        if control.verb in STOPS:
            return {**reply, "stops": session.stops.records()}
        return {**reply, "log": log, "stand": session.stand} if control.verb in TRAVELS else reply

    # Work

    def _serve(self, seat: Seat) -> bool:
        """Do what is due for one lab; return whether it took a slice of time."""
        session = seat.session
        session.notice_nobody(bool(seat.publisher))
        due = session.busy() and session.delay() <= 0
        if due:
            session.work(SLICE_SECONDS)
        seat.publisher.publish(self._clock(), self._send)
        self._save(seat)
        return due

    def _delay(self, seat: Seat) -> float:
        """Return the seconds until this lab needs the worker again."""
        session = seat.session
        work = session.delay() if session.busy() else IDLE_SECONDS
        return min(work, seat.publisher.delay(self._clock()))

    def _save(self, seat: Seat | None) -> None:
        """Report position and mode: about once a second, at once when the lab stands or its mode changed."""
        if seat is None or seat.session.lent or seat.session.travels or seat.session.mode == "failed":
            return
        session, wall = seat.session, self._clock()
        state = (session.stand, session.wanted)
        changed = seat.saved is None or seat.saved[1] != state[1] or not session.busy()
        if state != seat.saved and (changed or wall - seat.saved_at >= SAVE_SECONDS):
            seat.saved, seat.saved_at = state, wall
            body = {"stand": state[0], "generation": session.generation, "mode": session.wanted}
            self._send(Message("progress", session.id, body=body))

    def _make_room(self) -> None:
        """Close labs that have not been used for long, and more if there are too many."""
        wall = self._clock()
        for seat in self._unused():
            crowded = len(self._seats) >= MAX_LABS
            if crowded or wall - seat.session.used_at >= KEEP_SECONDS:
                self._drop(seat)

    def _watch_memory(self) -> None:
        """Close or pause labs while they hold more memory than there is for them."""
        if self._clock() - self._memory_checked < CHECK_SECONDS:
            return
        self._memory_checked = self._clock()
        excess = sum(used_bytes(seat.session) for seat in self._seats.values()) - self._memory_limit
        for seat in self._unused():
            if excess > 0:
                excess -= used_bytes(seat.session)
                self._drop(seat)
        if excess > 0:
            pause_largest(seat.session for seat in self._seats.values())

    def _drop(self, seat: Seat) -> None:
        """Close a lab, or forget a verification."""
        self._seats = {name: one for name, one in self._seats.items() if one is not seat}

    def _unused(self) -> list[Seat]:
        """Return the labs that can be closed, as nobody reads and nothing runs, longest unused first."""
        idle = [seat for seat in self._seats.values() if not seat.publisher and not seat.session.busy()]
        return sorted(idle, key=lambda seat: seat.session.used_at)

    # Failures

    def _refuse(self, message: Message, body: JsonObject) -> None:
        if message.call:
            self._send(Message("error", message.lab, message.call, body))

    def _give_up(self, lab: str, stop: bool) -> None:
        """Write our own bug to the log and, if the lab's state may be half changed, stop this lab only."""
        traceback.print_exc(file=sys.stderr)
        seat = self._seats.get(lab)
        if seat is not None and stop:
            seat.session.fail("an internal error stopped this lab; reset it to start again")


def describe(error: VmLabError) -> JsonObject:
    """Return a user error as JSON: the sentence, the place, and one diagnostic per mistake in a program."""
    diagnostics = error.diagnostics if isinstance(error, LabError) else []
    return {
        "message": str(error),
        "where": str(getattr(error, "path", "")),
        "diagnostics": [{**asdict(diagnostic), "hint": ""} for diagnostic in diagnostics],
    }
