"""One lab in the student's browser: the requests of its page, answered by a SessionHost beside it.

What `app.web` does for many students with a database is done here for one lab without: a request goes in, an
answer comes out, and the page keeps the action log. Nothing is graded and no answer judged here: both need
what only the server has, so the lab only takes down what is to be judged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from app.desk.archives import import_action, require_room
from app.desk.configuration import Wanted, changes, config_text
from app.desk.fragments import Fragments
from app.desk.preview import preview, states_of, with_restarts
from app.desk.problem import Problem, from_refusal, from_user_error
from app.desk.requests import PAGES, Answer, Fields, Request, with_numbers
from app.texts import gettext as _
from app.workers.control import TRAVELS
from app.workers.host import SessionHost
from app.workers.protocol import JsonObject, Message
from app.workers.record import PAUSED, LabRecord, Mode, Stand
from app.workers.repetition import BuildLab, Clock
from emulator.errors import VmLabError
from emulator.lab import Lab

# What a stream gets: its name, and its events as (name, finished JSON).
Publish = Callable[[str, list[tuple[str, str]]], object]


class Desk:
    """The lab of one page and the answers to what the page asks."""

    def __init__(
        self,
        record: LabRecord,
        build: BuildLab,
        clock: Clock,
        publish: Publish,
        halted: int | None = None,
    ) -> None:
        """Take the lab of `record` in; `work` then brings it to where it was. Raise Problem.

        `halted` is the line in which a policy never ended, if that ended the lab's interpreter before.
        """
        self._halted = halted
        self._build = build
        self._publish = publish
        self._host = SessionHost(
            self._built, lambda _slug, _lab, _asked: {}, clock, self._take, run_policies=True
        )
        self._fragments = Fragments(
            {"id": record.lab, "lesson": record.lesson, "url": f"/labs/{record.lab}"},
        )
        self._reply: Message | None = None
        self._open(record)

    # What the owner of the interpreter calls

    def handle(self, request: Request) -> Answer:
        """Answer a request of the page."""
        try:
            return self._answer(request)
        except Problem as problem:
            return self._problem(request, problem)
        except VmLabError as error:
            return self._problem(request, from_user_error(error))

    def work(self) -> float:
        """Do a short round of work; return the seconds until there is more."""
        return self._host.work()

    def follow(self, stream: str) -> None:
        """Publish the lab's observations to a stream, everything first."""
        self._host.handle(Message("subscribe", self._record.lab, body={"stream": stream}))

    def ready(self, stream: str) -> None:
        """Take note that a stream has handed on what it got."""
        self._host.handle(Message("ready", self._record.lab, body={"stream": stream}))

    def leave(self, stream: str) -> None:
        """Publish nothing more to a stream."""
        self._host.handle(Message("unsubscribe", self._record.lab, body={"stream": stream}))

    @property
    def position(self) -> int:
        """Return where the lab stands, also while it is being rebuilt."""
        return self._lab.position

    def line(self, hashed: bool = False) -> JsonObject:
        """Return where the lab stands in its history: what a server needs to repeat it, and to compare.

        `hash` is computed only if asked for. While the lab is on its way somewhere this is where it is going.
        """
        if hashed:
            self._lab.policies.seal()  # what is handed in does not change any more
        line = self._call("line")
        stand = Stand(*line["stand"])
        return {
            "generation": self._record.generation,
            "log": line["log"],
            "position": stand.position,
            "actions": stand.actions,
            "present": stand.present,
            "mode": self._mode,
            "hash": self._lab.state_hash() if hashed and line["there"] else None,
        }

    # Requests

    def _answer(self, request: Request) -> Answer:
        if request.method == "GET":
            return self._look(request)
        posts: dict[str, Callable[[Request], Answer]] = {
            "actions": lambda request: self._acted(request, with_numbers(request.fields)),
            "control": self._control,
            "program": self._assemble,
            "config": self._configure,
            "virsh": self._virsh,
            "reset": lambda request: self._acted(request, {"verb": "reset_lab"}),
            "answers": self._note_answer,
            "check": self._note_check,
            "import": self._import,
            "gdb": self._refuse_gdb,
        }
        if request.path not in posts:
            raise Problem(405, _("This needs the server."))
        return posts[request.path](request)

    def _look(self, request: Request) -> Answer:
        if request.path in PAGES:
            value = self._inspect(request.path, request.query)
            return self._show(request, f"labs/_{request.path}.html", request.path, value)
        if request.path in ("export", "pcap"):
            return Answer(200, "application/json", json.dumps(self._inspect(request.path, request.query)))
        if request.path == "config":
            return self._show(request, "labs/_config.html", "config", self._config())
        if request.path == "state":
            return self._show(request, "labs/_state.html", "observation", self._call("observe"))
        raise Problem(404, _("This is not kept in the browser."))

    def _show(self, request: Request, template: str, name: str, value: Any) -> Answer:
        if request.form == "json":
            return Answer(200, "application/json", json.dumps(value))
        return Answer(200, "text/html", self._fragments.render(template, request.path, **{name: value}))

    def _acted(self, request: Request, action: JsonObject) -> Answer:
        if action.get("verb") == "reset_lab":
            return self._show(request, "labs/_done.html", "outcome", self._reset())
        return self._show(request, "labs/_done.html", "outcome", self._act(action))

    def _control(self, request: Request) -> Answer:
        reply = self._call("control", with_numbers(request.fields))
        if request.fields.get("verb") in TRAVELS:
            del reply["log"], reply["stand"]
        return self._show(request, "labs/_done.html", "outcome", reply)

    def _assemble(self, request: Request) -> Answer:
        source = str(request.fields.get("source", "")).replace("\r\n", "\n")
        action = {"verb": "set_program", "vm": request.fields.get("vm"), "source": source}
        return self._acted(request, action)

    def _configure(self, request: Request) -> Answer:
        # What reads YAML is imported when the first configuration is edited.
        from app.desk.config_text import commented, read_draft

        current = self._call("config")
        wanted, text, restart = read_draft(request.fields, current)
        if "preview" in request.fields:
            found = preview(current, wanted, states_of(self._call("state")), text)
            return self._previewed(request, found, wanted)
        steps = changes(current, wanted)
        if restart:
            steps = with_restarts(current, steps, states_of(self._call("state")))
        done: list[JsonObject] = []
        for change in steps:
            try:
                self._act(change.action)
            except Problem as problem:
                problem.where = change.path_of(problem.where)
                problem.message += f" ({len(done)} earlier changes were made.)" if done else ""
                raise
            done.append(change.action)
        current = self._call("config")
        kept = {**current, "text": commented(text, current)}
        changed = {"actions": done, **kept, "state": self._call("state")}
        return self._show(request, "labs/_config.html", "config", changed)

    def _previewed(self, request: Request, found: JsonObject, wanted: Wanted) -> Answer:
        """Return what would change; after an edit of the text also the form for it."""
        if "text" in request.fields:
            config = {**wanted.config.to_dict(), "text": found["text"]}
            found["form"] = self._fragments.render("labs/_config.html", request.path, config=config)
        return Answer(200, "application/json", json.dumps(found))

    def _import(self, request: Request) -> Answer:
        action = import_action(request.fields)
        require_room(self._lab.line, action)
        return self._acted(request, action)

    def _refuse_gdb(self, _request: Request) -> Answer:
        raise Problem(
            409,
            _("A browser cannot wait for a debugger to connect."),
            title=_("gdb needs the server"),
            remedy=_("Let the lab run on the server, and open the port there."),
        )

    def _virsh(self, request: Request) -> Answer:
        line = str(request.fields.get("line", ""))
        asked = self._inspect("virsh", {"line": line})
        output = asked.get("output", asked.get("done"))
        if "action" in asked:
            try:
                self._act(asked["action"])
            except Problem as problem:
                output = f"error: {asked['failed']}\nerror: {problem.message}\n"
        printed = {"line": line, "output": output, "state": self._call("state")}
        return self._show(request, "labs/_virsh.html", "printed", printed)

    def _note_answer(self, request: Request) -> Answer:
        """Take an answer down; only the server knows whether it is right."""
        question, value = request.fields.get("question"), request.fields.get("value")
        self._act({"verb": "answer", "question": question, "value": value})
        given = {"question": question, "value": value, "verdict": None, "waiting": True}
        return self._show(request, "labs/_answer.html", "answer", given)

    def _note_check(self, request: Request) -> Answer:
        """Say that the server will grade what was done."""
        return self._show(request, "labs/_results.html", "results", {"waiting": True})

    def _act(self, action: JsonObject) -> JsonObject:
        applied = self._call("apply", {"action": action})
        return {
            "seq": len(self._lab.line),
            "position": applied["position"],
            "result": applied["result"],
            "state": applied["state"],
        }

    def _reset(self) -> JsonObject:
        generation = self._record.generation + 1
        mode: Mode = {**PAUSED, "stops": self._mode.get("stops", [])}
        self._host.handle(Message("close", self._record.lab))
        start = {"log": (), "position": 0, "actions": None, "present": 0, "mode": mode}
        self._open(replace(self._record, generation=generation, **start))
        return {"seq": 0, "position": 0, "result": {}, "state": self._call("state")}

    def _config(self) -> JsonObject:
        current = self._call("config")
        return {**current, "text": config_text(current)}

    def _inspect(self, view: str, args: Fields) -> JsonObject:
        return self._call("inspect", {"view": view, "args": args})

    def _problem(self, request: Request, problem: Problem) -> Answer:
        error = problem.as_dict()
        if request.form == "json":
            return Answer(problem.status, "application/json", json.dumps({"error": error}))
        html = self._fragments.render("errors/_error.html", request.path, error=error)
        return Answer(problem.status, "text/html", html)

    # The host

    def _open(self, record: LabRecord) -> None:
        self._record = record
        self._mode: Mode = record.mode
        opened = record.to_message()
        self._call("open", opened.body, opened.blobs)

    def _built(self, record: LabRecord) -> Lab:
        self._lab = self._build(record)
        if self._halted is not None:
            self._lab.policies.halt(self._halted)
            self._halted = None
        return self._lab

    def _call(
        self, kind: str, body: JsonObject | None = None, blobs: tuple[tuple[str, bytes], ...] = ()
    ) -> JsonObject:
        """Return the host's reply to a request; raise Problem."""
        self._host.handle(Message(kind, self._record.lab, 1, body or {}, blobs))
        reply, self._reply = self._reply, None
        if reply is None or reply.kind == "error":
            raise from_refusal(reply.body if reply else {})
        return reply.body

    def _take(self, message: Message) -> None:
        match message.kind:
            case "publish":
                events = [(name, text.decode()) for name, text in message.blobs]
                self._publish(str(message.body["stream"]), events)
            case "progress":
                self._mode = message.body["mode"]
            case _:
                self._reply = message
