"""A policy's text is refused, or ends, with a sentence and its line."""

import pytest

from emulator.hypervisor.scheduler import RunQueue, VcpuInfo
from emulator.policy import INTERFACES, PolicyError, Program, load
from emulator.policy.live import LiveScheduler

HEAD = "class Mine(Scheduler):\n    def pick(self, runqueue, now):\n"
KEEPING = """\
class Mine(Scheduler):
    def __init__(self, timeslice, seed):
        super().__init__(timeslice, seed)
        self.kept = []

    def pick(self, runqueue, now):
        self.kept.append(bytes(1_000_000))
        return runqueue[0]
"""
QUEUE = RunQueue([VcpuInfo(1, "a", 0, since=40), VcpuInfo(2, "b", 0, since=20)])


def picked(text: str, times: int = 1) -> VcpuInfo | None:
    """Return what a scheduler of this text picks in the end."""
    live = LiveScheduler(load("scheduler", text).start(1000, 1))
    return [live.pick(QUEUE, number) for number in range(times)][-1]


@pytest.mark.parametrize("name", INTERFACES)
def test_starters_load_and_say_what_they_answer(name: str) -> None:
    program = load(name, INTERFACES[name].starter)
    assert program.name == "Mine"
    assert set(program.traits.asks) <= set(INTERFACES[name].answers)


@pytest.mark.parametrize(
    ("body", "line", "sentence"),
    [
        ("while True:\n    pass", 3, "more than 100,000 steps in one call"),
        ("while True:\n    try:\n        now += 1\n    except Exception:\n        pass", 3, "100,000 steps"),
        ("return [a for a in range(1000) for b in range(1000)]", 3, "100,000 steps"),
        ("return max(runqueue, key=lambda one: [x for x in iter(range(10**6))])", 3, "100,000 steps"),
        ("return self.pick(runqueue, now)", 2, "functions call each other too deep"),
        ("now = 1\nreturn {}['x']", 4, "KeyError: 'x'"),
        ("return 1 // 0", 3, "ZeroDivisionError"),
        ("return [0] * 200_000_000", 3, "more than 64 MiB of memory in one call"),
        ("return bytearray(200 * 1024 * 1024)", 3, "more than 64 MiB"),
        ("x = 'a'\nwhile True:\n    x += x", 5, "more than 64 MiB"),
        ("x = [1]\nwhile True:\n    x.extend(x)", 5, "more than 64 MiB"),
        ("x = [1]\nwhile True:\n    x[0:0] = x", 5, "more than 64 MiB"),
        ("x = [list(range(1000)) for _ in range(90_000)]", 3, "more than 64 MiB"),
        ("x = 3\nwhile True:\n    x *= x", 5, "a number of more than 100,000 bits"),
        ("return 10 ** 10 ** 8", 3, "a number of more than 100,000 bits"),
        ("return list(range(10**12))", 3, "range has more than 1,000,000 numbers"),
        ("return 7", 3, "pick returned 7, which is not in the run queue; it holds a.0, b.0"),
        ("return 'a'", 3, "pick returned 'a', which is not in the run queue"),
        ("runqueue[0].weight = 5", 3, "AttributeError"),
    ],
)
def test_a_call_that_goes_wrong_says_what_and_where(body: str, line: int, sentence: str) -> None:
    text = HEAD + "".join(f"        {one}\n" for one in body.split("\n"))
    with pytest.raises(PolicyError) as caught:
        picked(text)
    assert caught.value.line == line
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("import os\n" + HEAD + "        return None", 1, "a policy cannot import os"),
        (HEAD + "        return self.__class__", 3, "names with two underscores"),
        (HEAD + "        return __import__", 3, "names with two underscores"),
        (HEAD + "        global x", 3, "a policy keeps what it remembers in self"),
        (
            HEAD + "        try:\n            pass\n        except:\n            pass",
            5,
            "name the exceptions",
        ),
        (HEAD + "        return f'{now:>100000000}'", 3, "widths up to 999"),
        (HEAD + "        return '{}'.format(now)", 3, "use an f-string"),
        ("class Mine(Scheduler)\n    pass", 1, "expected ':'"),
        ("x = 1", 1, "there is no class here that extends Scheduler"),
        ("class Mine(Scheduler):\n    pass", 1, "Mine defines none of pick, timeslice, preempts"),
        ("while True:\n    pass\n", 1, "100,000 steps"),
        ("x = " + "(" * 150 + "1" + ")" * 150, 1, ""),
    ],
)
def test_a_text_that_makes_no_sense_is_refused_with_its_line(text: str, line: int, sentence: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load("scheduler", text)
    assert caught.value.line == line
    assert sentence in str(caught.value)


def test_memory_kept_from_call_to_call_is_limited() -> None:
    assert picked(KEEPING, 30) is QUEUE[0]
    with pytest.raises(PolicyError, match="line 8: the policy keeps more than 64 MiB from call to call"):
        picked(KEEPING, 200)


def test_counting_changes_nothing_that_a_policy_computes() -> None:
    body = """\
    from __future__ import annotations
    from collections import defaultdict, deque
    import heapq, math
    from random import Random
    class Mine(Scheduler):
        def pick(self, runqueue: list, now: int):
            table = defaultdict(list)
            table["x"] += [1, 2]
            table["x"] *= 2
            word = f"{7:03d}" + "-" * 3
            first, *rest = [*range(4), *{5: 6}]
            total = sum(x ** 2 for x in rest) << 1
            total %= 47
            self.a = {"k": 3}
            self.a["k"] *= 4
            queue = deque([1, 2]); queue.extend(n for n in (3, 4))
            best = sorted(runqueue, key=lambda one: -one.since)
            same = Random(3).random() == Random(3).random()
            values = (table["x"], word, first, rest, total, self.a, list(queue)[1:], same, math.sqrt(16))
            expected = ([1, 2, 1, 2], "007---", 0, [1, 2, 3, 5], 31, {"k": 12}, [2, 3, 4], True, 4.0)
            if values != expected:
                raise ValueError(repr(values))
            return best[-1]
    """
    text = "\n".join(line[4:] for line in body.splitlines())
    assert picked(text) is QUEUE[1]


def test_a_policy_cannot_change_those_of_others() -> None:
    evil = "Scheduler.pick = lambda self, runqueue, now: None\n" + INTERFACES["scheduler"].starter
    assert picked(evil) is QUEUE[1]
    program = Program(INTERFACES["scheduler"], HEAD + "        return super().pick(runqueue, now)\n")
    assert LiveScheduler(program.start(1, 0)).pick(QUEUE, 0) is QUEUE[0]
