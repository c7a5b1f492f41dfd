"""What a student can do with a lab, and the order that makes it durable: apply, commit, acknowledge.

Every change of a lab happens under that lab's lock. The worker applies an action; the database commits it
with the position at which it was applied; only then is there a reply. If the commit fails, the worker's
copy, which has seen too much, is dropped and rebuilt. If the worker dies or the answer does not come,
nothing was committed and the action can simply be tried again. A request with a `request_id` is applied
once however often it arrives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import DBAPIError

from app.desk.config_text import commented, read_draft
from app.desk.configuration import changes, config_text
from app.desk.preview import preview, states_of, with_restarts
from app.desk.problem import Problem
from app.lessons import Course, Lesson
from app.lessons.editions import Editions
from app.lessons.seeds import student_seed
from app.texts import gettext as _
from app.texts import language
from app.web.dates import at, counted
from app.web.errors import busy, not_found
from app.web.leases import LabLeases
from app.web.store import Beginning, LabRow, LabStore, Reply, ResultStore
from app.web.store.sharing import SharedStore
from app.workers.connection import WorkerLost
from app.workers.control import STOPS, TRAVELS
from app.workers.pool import CallFailed, LabUnknown, Overloaded, Pool
from app.workers.protocol import JsonObject
from app.workers.record import ProgramText, Stand
from emulator.lab.provisioning import Step

NEIGHBOURS = 8
TURNS = 16
FIRST_LOOK_SECONDS = 2.0
TRAVEL_SECONDS = 60.0


class LabWork:
    """Labs as the page works with them."""

    def __init__(
        self,
        course: Course,
        labs: LabStore,
        results: ResultStore,
        shared: SharedStore,
        leases: LabLeases,
        pool: Pool,
        editions: Editions,
        secret: bytes,
        now: Callable[[], float],
    ) -> None:
        """Work with the labs of `labs` on the workers of `pool`; `secret` decides what students draw.

        `now` gives Unix seconds, for what is handed in late.
        """
        self._now = now
        self._course = course
        self._editions = editions
        self._secret = secret
        self._labs = labs
        self._results = results
        self._shared = shared
        self._leases = leases
        self._pool = pool

    # Labs

    def lab_of(self, student: str, lesson: Lesson) -> LabRow:
        """Return the student's lab for a lesson, created if this is the first visit."""
        found = self._labs.of_lesson(student, lesson.id)
        return found or self._labs.create(student, self._begin(lesson, self._seed(student, lesson)))

    def lesson_of(self, row: LabRow) -> Lesson:
        """Return the version of the lesson that a lab began with, with the student's own numbers.

        A version that was not kept is replaced by the lesson as it is now; raise a 409 Problem without one.
        """
        kept = self._editions.read(row.lesson_version)
        try:
            now = self._course.lesson(row.lesson)
        except KeyError:
            if kept is None:
                raise Problem(
                    409, _("The lesson %(name)r is not part of this course any more.", name=row.lesson)
                ) from None
            return kept.drawn(row.seed)
        return (now if kept is None or now.version == row.lesson_version else kept).drawn(row.seed)

    def _seed(self, student: str, lesson: Lesson) -> int:
        """Return a student's seed, whose numbers none of those has who began just before."""
        drawn = lesson.parameters.draw
        near = [drawn(seed) for seed in self._labs.newest_seeds(lesson.id, NEIGHBOURS)]
        seeds = [student_seed(self._secret, student, lesson.id, turn) for turn in range(TURNS)]
        if not lesson.parameters.items:
            return seeds[0]
        return next((seed for seed in seeds if drawn(seed) not in near), seeds[0])

    def _begin(self, lesson: Lesson, seed: int) -> Beginning:
        try:
            self._editions.keep(lesson)
        except OSError as error:
            raise busy(_("The lesson could not be kept for this lab.")) from error
        return beginning(lesson.drawn(seed))

    def first_look(self, row: LabRow) -> JsonObject | None:
        """Return the whole observation, None if it cannot be had at once."""
        with suppress(CallFailed, WorkerLost, Overloaded, LabUnknown):
            return self._pool.call(row.id, "observe", seconds=FIRST_LOOK_SECONDS)
        return None

    def observe(self, row: LabRow) -> JsonObject:
        """Return the whole observation; raise like Pool.call."""
        return self._pool.call(row.id, "observe")

    def inspect(self, row: LabRow, view: str, args: Mapping[str, str]) -> JsonObject:
        """Return one view of the lab; raise like Pool.call."""
        return self._pool.call(row.id, "inspect", {"view": view, "args": dict(args)})

    def run_view(self, row: LabRow) -> JsonObject:
        """Return what the lab's time does; raise like Pool.call."""
        return self._pool.call(row.id, "run")

    def programs(self, row: LabRow, lesson: Lesson) -> JsonObject:
        """Return VM name -> its program as it is now; as in the lesson if that cannot be had at once."""
        with suppress(CallFailed, WorkerLost, Overloaded, LabUnknown):
            return self._pool.call(row.id, "inspect", {"view": "programs", "args": {}}, FIRST_LOOK_SECONDS)
        return {
            vm.name: {"vm": vm.name, "name": vm.program, "source": lesson.programs[vm.program].source or ""}
            for vm in lesson.lab_config.vms
        }

    def control(self, row: LabRow, fields: JsonObject) -> JsonObject:
        """Run, pause, step, go back; raise like Pool.call, and a Problem while the lab runs in a browser."""
        self._leases.require_here(row)
        if fields.get("verb") not in TRAVELS:
            reply = self._pool.call(row.id, "control", fields)
            self._pool.flush_positions()  # what is shown to stand still must still be there after a crash
            if fields.get("verb") in STOPS:
                self._labs.save_stops(row.id, reply.pop("stops"))
            return reply
        with self._pool.lock(row.id):
            return self._travel(self._labs.find(row.id, row.student) or row, fields)

    def _travel(self, row: LabRow, fields: JsonObject) -> JsonObject:
        """Take up another line of history, whose action log is the lab's from now on."""
        try:
            reply = self._pool.call(row.id, "control", fields, TRAVEL_SECONDS)
        except Overloaded:
            self._pool.discard(row.id)
            raise
        log, stand = reply.pop("log"), Stand(*reply.pop("stand"))
        self._commit(row, lambda: self._labs.replace_log(row, log, stand))
        return reply

    # Changes

    def act(self, row: LabRow, action: JsonObject, request_id: str | None) -> JsonObject:
        """Apply one action and return what it did; it is durable when this returns."""
        if action.get("verb") == "reset_lab":
            return self.reset(row, request_id)
        return self._once(row, request_id, action, lambda now, key: self._act(now, action, key))

    def reset(self, row: LabRow, request_id: str | None) -> JsonObject:
        """Begin the lab again from its lesson as it is today; a copy of a shared run, from that run."""
        action = {"verb": "reset_lab"}
        return self._once(row, request_id, action, lambda now, key: self._restart(now, key))

    def configure(self, row: LabRow, fields: JsonObject, request_id: str | None) -> JsonObject:
        """Change the lab so that its configuration is the one that was sent, by ordinary actions."""
        return self._once(row, request_id, fields, lambda now, key: self._configure(now, fields, key))

    def virsh(self, row: LabRow, line: str, request_id: str | None) -> JsonObject:
        """Carry out a line of the host console and return its `output`, errors of the lab included."""
        return self._once(row, request_id, {"virsh": line}, lambda now, key: self._virsh(now, line, key))

    def config(self, row: LabRow) -> JsonObject:
        """Return the lab's configuration as it is now: `text` (YAML), `host`, `vms`."""
        current = self._pool.call(row.id, "config")
        return {**current, "text": config_text(current)}

    def preview(self, row: LabRow, fields: JsonObject) -> JsonObject:
        """Return what a configuration would change, without changing anything; `wanted` is all of it."""
        current = self._pool.call(row.id, "config")
        wanted, text, _restart = read_draft(fields, current)
        found = preview(current, wanted, states_of(self._state(row)), text)
        return {**found, "wanted": wanted.config.to_dict()}

    def check(self, row: LabRow) -> JsonObject:
        """Grade the lab as it stands now and keep the results."""
        asked = {
            "language": language(),
            "version": row.lesson_version,
            "earlier": self._results.earlier_tries(row.id),
        }
        results = self._pool.call(row.id, "examine", asked)
        checks = results["checks"]
        passed = sum(1 for check in checks if check["passed"])
        with suppress(KeyError):  # a lesson that left the course counts for nothing in it
            place = self._course.entry(self._course.lesson(row.lesson))
            results["course"] = counted(place, results, at(self._now()), self._results.last(row.id))
        self._results.save(row, results["position"], passed, len(checks), results)
        return results

    def answer(self, row: LabRow, question: str, value: Any, request_id: str | None) -> JsonObject:
        """Record the answer to a question of the lesson, and return the verdict."""
        verdict = self.judge(row, question, value)
        self.act(row, {"verb": "answer", "question": question, "value": value}, request_id)
        return {"question": question, "value": value, "verdict": verdict}

    def judge(self, row: LabRow, question: str, value: Any) -> JsonObject:
        """Return what an answer is worth, without recording it; raise LessonError if it is no answer."""
        return self.verdict(self.lesson_of(row), question, value)

    def verdict(self, lesson: Lesson, question: str, value: Any) -> JsonObject:
        """Return what an answer was worth; raise LessonError if it is no answer."""
        judged = lesson.question(question).judge(value)
        return {
            "correct": judged.correct,
            "answer": judged.answer,
            "explanation_html": judged.explanation_html,
            "hint": judged.is_hint,
        }

    # Exactly once

    def _once(
        self,
        row: LabRow,
        request_id: str | None,
        body: Mapping[str, Any],
        work: Callable[[LabRow, Key | None], JsonObject],
    ) -> JsonObject:
        """Do `work` under the lab's lock unless this request was answered before."""
        with self._pool.lock(row.id):
            now = self._labs.find(row.id, row.student) or row
            key = None if request_id is None else Key(request_id, digest(body))
            known = None if request_id is None else self._labs.reply_to(row.id, request_id)
            if key is None or known is None:
                self._leases.require_here(now)
                return work(now, key)
            if known.digest != key.digest:
                raise Problem(
                    422, _("This request_id was used for another request; use a new one for each click.")
                )
            return {**known.body, "state": self._state(row)}

    def _act(self, row: LabRow, action: JsonObject, key: Key | None) -> JsonObject:
        applied = self._apply(row, action)
        state = applied.pop("state")
        reply: JsonObject = {"position": applied["position"], "result": applied["result"]}
        stand, log = Stand(*applied["stand"]), applied.get("log")

        def make_reply(seq: int) -> Reply | None:
            reply["seq"] = seq
            return None if key is None else key.reply(reply)

        def write() -> None:
            if log is None:
                self._labs.append(row, applied["position"], applied["action"], make_reply, stand)
            else:  # the lab stood in the past: another line of history begins there
                self._labs.replace_log(row, log, stand, make_reply(len(log)))

        self._commit(row, write)
        return {**reply, "state": state}

    def _apply(self, row: LabRow, action: JsonObject) -> JsonObject:
        """Let the worker apply an action, trying once more if it died: nothing was committed yet."""
        try:
            return self._pool.call(row.id, "apply", {"action": action})
        except WorkerLost:
            return self._pool.call(row.id, "apply", {"action": action})
        except Overloaded:
            self._pool.discard(row.id)
            raise
        except CallFailed as failure:
            if failure.fault == "bug":
                self._pool.discard(row.id)
            raise

    def _commit(self, row: LabRow, write: Callable[[], object]) -> None:
        """Commit what the worker has applied, or make the worker forget it."""
        try:
            write()
        except DBAPIError as error:
            self._pool.discard(row.id)
            raise busy(_("The change could not be saved and was undone.")) from error

    def _restart(self, row: LabRow, key: Key | None) -> JsonObject:
        if row.shared is not None:
            return self._copy_again(row, row.shared, key)
        reply: JsonObject = {"seq": 0, "position": 0, "result": {}}
        start = self._begin(self._lesson(row), row.seed)
        self._labs.restart(row.id, start, None if key is None else key.reply(reply))
        self._pool.discard(row.id)
        return {**reply, "state": self._state(row)}

    def _copy_again(self, row: LabRow, token: str, key: Key | None) -> JsonObject:
        run = self._shared.find(token)
        if run is None:  # it has just gone, and the copy with it
            raise not_found()
        reply: JsonObject = {"seq": len(run.log), "position": run.position, "result": {}}
        self._shared.restart(row, run, None if key is None else key.reply(reply))
        self._pool.discard(row.id)
        return {**reply, "state": self._state(row)}

    def _configure(self, row: LabRow, fields: JsonObject, key: Key | None) -> JsonObject:
        current = self._pool.call(row.id, "config")
        wanted, text, restart = read_draft(fields, current)
        steps = changes(current, wanted)
        if restart:
            steps = with_restarts(current, steps, states_of(self._state(row)))
        done: list[JsonObject] = []
        for change in steps:
            self._change(row, change, done)
        reply: JsonObject = {"actions": done}
        if key is not None:
            self._labs.keep_reply(row.id, key.reply(reply))
        changed = self._pool.call(row.id, "config")
        kept = commented(text, changed)
        return {**reply, **changed, "text": kept, "state": self._state(row)}

    def _virsh(self, row: LabRow, line: str, key: Key | None) -> JsonObject:
        asked = self.inspect(row, "virsh", {"line": line})
        output = self._output(row, asked) if "action" in asked else asked["output"]
        reply: JsonObject = {"line": line, "output": output}
        if key is not None:
            self._labs.keep_reply(row.id, key.reply(reply))
        return {**reply, "state": self._state(row)}

    def _output(self, row: LabRow, asked: JsonObject) -> str:
        """Do what a line asks for, as an ordinary action; return what virsh prints then."""
        try:
            self._act(row, asked["action"], None)
        except CallFailed as failure:
            if failure.fault == "bug":
                raise
            return f"error: {asked['failed']}\nerror: {failure.body['message']}\n"
        return asked["done"]

    def _change(self, row: LabRow, change: Step, done: list[JsonObject]) -> None:
        """Apply one step of a new configuration; an error says where, and what was already done."""
        try:
            self._act(row, change.action, None)
        except CallFailed as failure:
            kept = f" ({len(done)} earlier changes were made.)" if done else ""
            body = {
                **failure.body,
                "where": change.path_of(failure.body["where"]),
                "message": f"{failure.body['message']}{kept}",
            }
            raise CallFailed(body) from failure
        done.append(change.action)

    def _state(self, row: LabRow) -> JsonObject | None:
        with suppress(CallFailed, WorkerLost, Overloaded):
            return self._pool.call(row.id, "state")
        return None

    def _lesson(self, row: LabRow) -> Lesson:
        try:
            return self._course.lesson(row.lesson)
        except KeyError:
            raise Problem(
                409, _("The lesson %(name)r is not part of this course any more.", name=row.lesson)
            ) from None


class Key:
    """What makes a request recognisable: its id, and a digest of what it asked for."""

    def __init__(self, request_id: str, digest: str) -> None:
        """Keep both."""
        self.request_id = request_id
        self.digest = digest

    def reply(self, body: JsonObject) -> Reply:
        """Return the reply to keep for this request."""
        return Reply(self.request_id, self.digest, body)


def digest(body: Mapping[str, Any]) -> str:
    """Return a digest of a flat request body."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def beginning(lesson: Lesson) -> Beginning:
    """Return what a new lab of a lesson starts from."""
    programs = tuple(ProgramText(p.name, p.source, p.elf) for p in lesson.programs.values())
    return Beginning(lesson.id, lesson.version, lesson.seed, lesson.lab_config.to_dict(), programs)
