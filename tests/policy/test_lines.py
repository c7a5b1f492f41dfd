"""Somebody outside hears which lines a policy comes to: each once, until that is renewed."""

import sys
from collections.abc import Iterator

import pytest

from emulator.policy import load
from emulator.policy.lines import renew, stop, tell_lines
from emulator.policy.program import Caller

TEXT = """\
class Mine(Placement):
    def place(self, vm, hosts):
        if vm == "far":
            return None
        return "here"
"""


@pytest.fixture
def told() -> Iterator[list[int]]:
    lines: list[int] = []
    tell_lines(lines.append)
    yield lines
    stop()


def come(policy: Caller, vm: str) -> None:
    policy(policy.policy.place, vm, ())


def test_lines_are_told_once_and_again_when_renewed(told: list[int]) -> None:
    known = hasattr(sys, "monitoring")  # Python 3.12, and so the browser's
    policy = load("placement", TEXT).start(1, 0)
    told.clear()
    come(policy, "near")
    assert told[-2:] == ([3, 5] if known else [])
    told.clear()
    for _ in range(3):
        come(policy, "far")
    assert told == ([4] if known else [])
    renew()
    come(policy, "far")
    assert told[-2:] == ([3, 4] if known else [])
    stop()
    told.clear()
    renew()
    come(policy, "far")
    assert told == []
