"""What is handed in is repeated fairly, within bounds, and whatever it holds ends in a yes or a reason."""

import json
from base64 import b64decode
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.workers import verification
from app.workers.protocol import Message
from app.workers.record import PAUSED, LabBuilder, LabRecord, ProgramText
from app.workers.submission import MAX_ENTRIES, Submission, SubmissionError, log_digest, read_submission
from app.workers.verification import Verification
from emulator.build.engine import Engine
from emulator.lab import Lab, LogEntry
from tests.workers.conftest import CONFIG, COUNT
from tests.workers.test_host import Bench

HASH = "0" * 64


@pytest.fixture(scope="module")
def build(engine: Engine) -> LabBuilder:
    return LabBuilder(engine)


@pytest.fixture
def bench(build: LabBuilder) -> Bench:
    return Bench(build)


def record(lab: str = "lab", log: tuple[LogEntry, ...] = (), position: int = 0) -> LabRecord:
    programs = (ProgramText("count.s", source=COUNT),)
    return LabRecord(lab, "none", CONFIG, programs, seed=1, log=log, position=position)


@pytest.fixture(scope="module")
def honest(build: LabBuilder) -> Lab:
    """A lab after some work."""
    lab = build(record())
    for step in (
        {"verb": "start", "vm": "a"},
        {"verb": "set_vm", "vm": "a", "weight": 512},
        {"verb": "start", "vm": "b"},
        {"verb": "snapshot_create", "vm": "b", "name": "s"},
        {"verb": "suspend", "vm": "b"},
        {"verb": "snapshot_revert", "vm": "b", "name": "s"},
    ):
        lab.apply(step)
        lab.advance(lab.position + 30_000)
    return lab


def ask(
    bench: Bench, asked: LabRecord, claimed: str = HASH, digest: str = "d", whole: bool = True
) -> dict[str, Any]:
    claim = {"digest": digest, "hash": claimed, "mode": PAUSED}
    opened = asked.to_message()
    body = {**opened.body, "claim": claim} if whole else {"claim": claim}
    bench.host.handle(Message("verify", asked.lab, call=1, body=body))
    return [message for message in bench.sent if message.kind in ("reply", "error")][-1].body


def finish(bench: Bench, asked: LabRecord, claimed: str) -> dict[str, Any]:
    while not (answer := ask(bench, asked, claimed)).get("verified") and "refused" not in answer:
        bench.host.work()
    return answer


def test_an_honest_log_is_verified_and_the_lab_is_kept_for_who_opens_it(bench: Bench, honest: Lab) -> None:
    asked = record(log=tuple(honest.log), position=honest.position)
    assert finish(bench, asked, honest.state_hash()) == {"verified": True, "share": 1.0}
    bench.open(asked)
    stand = {"position": honest.position, "actions": len(honest.log), "present": honest.position}
    assert bench.ask("hash").body == {**stand, "hash": honest.state_hash()}
    assert bench.state()["run"]["mode"] == "paused"


def test_the_next_submission_goes_on_from_the_one_before(
    bench: Bench, build: LabBuilder, honest: Lab
) -> None:
    first = record(log=tuple(honest.log[:2]), position=honest.log[2]["position"])
    there = Lab.replay(
        honest.config_at_start, honest.programs, 1, first.log, first.position, honest.engine
    ).state_hash()
    assert finish(bench, first, there)["verified"]
    then = replace(first, log=tuple(honest.log), position=honest.position)
    answer = ask(bench, then, honest.state_hash(), digest="two")
    assert answer["share"] >= first.position / then.position
    while not (answer := ask(bench, then, honest.state_hash(), digest="two")).get("verified"):
        assert "refused" not in answer
        bench.host.work()
    back = ask(bench, first, there, digest="three")
    assert back["share"] == 0  # earlier: from the beginning


def test_a_lab_is_lent_with_its_state_if_its_history_is_long(bench: Bench, build: LabBuilder) -> None:
    bench.start(record(), "a")
    assert bench.ask("lend").body["state"] == ""
    bench.host.handle(Message("close", "lab"))
    log: tuple[LogEntry, ...] = ({"seq": 1, "position": 0, "action": {"verb": "start", "vm": "a"}},)
    bench.open(record(log=log, position=120_000_000))
    while "fault" in (lent := bench.ask("lend").body):
        bench.host.work()
    state = b64decode(lent["state"])
    assert state
    there = build(record(log=log, position=lent["position"]))
    loaded = build(replace(record(log=log, position=lent["position"]), state=state))
    assert build(replace(record(log=log, position=5), state=state)).position == 0
    assert build(replace(record(position=5), state=state)).position == 0
    assert (there.position, loaded.position) == (0, lent["position"])
    assert bench.ask("hash").body["hash"] == loaded.state_hash()
    changed = state.replace(b'"version": "', b'"version": "x')
    older = build(replace(record(log=log, position=lent["position"]), state=changed))
    assert older.position == 0


def test_a_verification_takes_one_turn_among_the_labs_that_run(bench: Bench) -> None:
    for name in ("one", "two"):
        bench.start(record(name), "a")
        bench.run(name)
    log = ({"seq": 1, "position": 0, "action": {"verb": "start", "vm": "a"}},)
    asked = record("three", cast("tuple[LogEntry, ...]", log), 1 << 40)
    ask(bench, asked)
    turns = {"one": 0, "two": 0, "three": 0}
    seats = cast("dict[str, Any]", bench.host._seats)  # pyright: ignore[reportPrivateUsage]
    before = {name: seat.session.lab.position for name, seat in seats.items()}
    for _ in range(90):
        bench.host.work()
        for name, seat in seats.items():
            turns[name[: name.find(" ")] if " " in name else name] += (
                seat.session.lab.position != before[name]
            )
            before[name] = seat.session.lab.position
    assert all(28 <= turn <= 32 for turn in turns.values()), turns


def test_a_verification_that_nobody_asks_for_rests(bench: Bench) -> None:
    asked = record(position=1 << 40, log=({"seq": 1, "position": 0, "action": {"verb": "start", "vm": "a"}},))
    ask(bench, asked)
    assert bench.host.work() == 0
    bench.now += verification.UNASKED_SECONDS
    assert bench.host.work() > 0
    ask(bench, asked, whole=False)
    assert bench.host.work() == 0


def test_another_submission_takes_the_place_of_the_one_before(bench: Bench, honest: Lab) -> None:
    asked = record(position=1 << 40, log=({"seq": 1, "position": 0, "action": {"verb": "start", "vm": "a"}},))
    ask(bench, asked)
    assert ask(bench, asked, digest="other", whole=False) == {"unknown": True}
    ask(bench, record(log=tuple(honest.log), position=honest.position), digest="other")
    assert ask(bench, asked, whole=False) == {"unknown": True}


def test_a_verification_may_take_so_long_and_no_longer(build: LabBuilder) -> None:
    asked = record(position=1 << 40, log=({"seq": 1, "position": 0, "action": {"verb": "start", "vm": "a"}},))
    now = iter(range(1 << 30))
    claim = {"digest": "d", "hash": HASH, "mode": PAUSED}
    long = Verification(asked, claim, build, lambda: next(now) / 1000, seconds=1)
    for _ in range(1000):
        long.work(0.01)
    assert long.refusal is not None
    assert "takes longer" in long.refusal["message"]


LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(), st.text(max_size=8),
    st.sampled_from(["a", "b", "start", "256 KiB", "count.s", "\ud800"]),
)  # fmt: skip
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
KEYS = st.sampled_from(
    ["vm", "name", "memory", "vcpus", "text", "source", "value", "question", "archive", "weight", "network"]
)
VERBS = [
    "start",
    "set_vm",
    "define",
    "import_vm",
    "clone",
    "set_host",
    "answer",
    "decide",
    "set_policy",
    "vol_create",
    "win",
]


def submission(**changes: Any) -> dict[str, Any]:
    return {
        "lesson_version": "v",
        "seed": 1,
        "generation": 1,
        "log": [],
        "position": 0,
        "hash": HASH,
        **changes,
    }


@given(body=st.dictionaries(st.sampled_from([*submission(), "mode", "base_seq", "base_hash"]), VALUE))
@settings(max_examples=200)
def test_whatever_is_handed_in_is_read_or_refused(body: dict[str, Any]) -> None:
    read = attempt({**submission(), **body})
    if isinstance(read, SubmissionError):
        assert len(str(read)) < 400
    else:
        json.dumps(read.log)


def attempt(body: dict[str, Any]) -> Submission | SubmissionError:
    """Return what there is in a body, or why nothing."""
    try:
        return read_submission(body)
    except SubmissionError as error:
        return error


@given(
    place=st.integers(0, 5),
    verb=st.sampled_from(VERBS),
    arguments=st.dictionaries(KEYS, VALUE, max_size=3),
    shift=st.sampled_from([0, 0, 1, -1, 10_000]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_log_is_refused_at_the_change_or_comes_to_another_state(
    build: LabBuilder, honest: Lab, place: int, verb: str, arguments: dict[str, Any], shift: int
) -> None:
    log: list[dict[str, Any]] = [dict(entry) for entry in honest.log]
    log[place] = {**log[place], "action": {**arguments, "verb": verb}}
    log[place]["position"] += shift
    read = attempt(submission(log=log, position=honest.position, hash=honest.state_hash()))
    if isinstance(read, SubmissionError):
        assert read.entry in (place + 1, place + 2)
        return
    claim = {"digest": "d", "hash": read.hash, "mode": PAUSED}
    tried = Verification(record(log=read.log, position=read.position), claim, build, lambda: 0.0)
    for _ in range(10_000):
        if tried.mode != "rebuilding":
            break
        tried.work(1.0)
    if tried.refusal is None:
        assert tried.lab.state_hash() == honest.state_hash()
    else:
        assert tried.refusal["entry"] is None or tried.refusal["entry"] > place
        assert "internal error" not in tried.refusal["message"]


def nested(depth: int) -> Any:
    return [] if depth == 0 else [nested(depth - 1)]


@pytest.mark.parametrize(
    ("log", "entry"),
    [
        ([{"seq": 2, "position": 0, "action": {"verb": "start"}}], 1),
        ([{"seq": True, "position": 0, "action": {"verb": "start"}}], 1),
        ([{"seq": 1, "position": 1, "action": {"verb": "start"}}], 1),
        ([{"seq": 1, "position": -1, "action": {"verb": "start"}}], 1),
        ([{"seq": 1, "position": 0.0, "action": {"verb": "start"}}], 1),
        ([{"seq": 1, "position": 0, "action": ["start"]}], 1),
        ([{"seq": 1, "position": 0, "action": {"verb": 1}}], 1),
        ([{"seq": 1, "position": 0, "action": {"verb": "start"}, "more": 1}], 1),
        ([{"seq": 1, "position": 0, "action": {"verb": "start", "vm": nested(13)}}], 1),
        ([{"seq": 1, "position": 0, "action": {"verb": "start", "vm": nested(500)}}], 1),
        ([{"seq": 1, "position": 0, "action": {"verb": "start", "vm": "x" * 300_000}}], 1),
        ([{"seq": 1, "position": 0, "action": {"verb": "start", "vm": "\ud800"}}], 1),
        ([{"seq": 1, "position": 0, "action": {"verb": "start", "vm": 1 << 64}}], 1),
        ([{"seq": 1, "position": 0, "action": {"verb": "start", "vm": float("nan")}}], 1),
        ([None] * (MAX_ENTRIES + 1), None),
        ("log", None),
    ],
)
def test_what_is_no_log_is_refused_before_anything_runs(log: Any, entry: int | None) -> None:
    with pytest.raises(SubmissionError) as caught:
        read_submission(submission(log=log))
    assert caught.value.entry == entry


def test_positions_that_decrease_are_refused() -> None:
    log = [{"seq": n + 1, "position": at, "action": {"verb": "start"}} for n, at in enumerate((5, 9, 8))]
    with pytest.raises(SubmissionError, match="action 3 of the log: position is 8"):
        read_submission(submission(log=log, position=10))


def test_a_log_has_the_same_name_after_javascript_had_it() -> None:
    one: LogEntry = {"seq": 1, "position": 0, "action": {"verb": "answer", "value": 2.0, "question": "é"}}
    other: LogEntry = {"action": {"question": "é", "value": 2, "verb": "answer"}, "position": 0, "seq": 1}
    assert log_digest([one]) == log_digest([other])
    assert log_digest([one]) != log_digest([replace_value(one)])


def replace_value(entry: LogEntry) -> LogEntry:
    return {**entry, "action": {**entry["action"], "value": 3}}


def test_a_lab_that_stands_in_its_past_is_verified_to_the_end_of_its_line(bench: Bench, honest: Lab) -> None:
    end, log, state = honest.position, tuple(honest.log), honest.state_hash()
    there = log[3]["position"] - 1
    before = Lab.replay(honest.config_at_start, honest.programs, 1, log[:3], there, honest.engine)
    asked = replace(record(log=log, position=there), actions=3, present=end)
    assert finish(bench, asked, before.state_hash()) == {"verified": True, "share": 1.0}
    bench.open(asked)
    stand = {"position": there, "actions": 3, "present": end}
    assert bench.ask("hash").body == {**stand, "hash": before.state_hash()}
    bench.ask("control", verb="seek", position=end)
    while bench.state()["run"]["mode"] == "seeking":
        bench.work(1)
    assert bench.ask("hash").body["hash"] == state
    wrong = replace(asked, actions=2)
    assert "refused" in finish(bench, wrong, before.state_hash())
