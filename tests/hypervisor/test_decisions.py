"""Decisions are written as runs, and repeated exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.hypervisor.decisions import DecisionError, Queue, Runs, checked


@given(st.lists(st.integers(0, 2) | st.sampled_from([[1, [2]], [1, []]]), max_size=300))
def test_what_is_written_is_read_again(answers: list[object]) -> None:
    runs = Runs()
    for answer in answers:
        runs.append(answer)
    queue = Queue(runs.encoded())
    assert [queue.next() for _ in answers] == answers
    assert not queue
    assert Queue(queue.used()).runs == Queue(runs.encoded()).runs


@given(st.lists(st.integers(0, 1), max_size=150), st.data())
def test_what_was_used_is_the_beginning(answers: list[int], data: st.DataObject) -> None:
    runs = Runs()
    for answer in answers:
        runs.append(answer)
    queue = Queue(runs.encoded())
    used = data.draw(st.integers(0, len(answers)))
    for _ in range(used):
        queue.next()
    again = Queue(queue.used())
    assert [again.next() for _ in range(used)] == answers[:used]
    assert not again


@pytest.mark.parametrize("period", [1, 2, 3, 7])
def test_a_circle_of_turns_takes_no_more_room_the_longer_it_lasts(period: int) -> None:
    runs = Runs()
    for number in range(10_000):
        runs.append(number % period)
    assert sum(len(pattern) for _, pattern in runs.encoded()) < 20 * period


@pytest.mark.parametrize(
    "choices",
    [
        None,
        {},
        {"x": {}},
        {"scheduler": []},
        {"scheduler": {"victim": []}},
        {"scheduler": {"pick": [[1]]}},
        {"scheduler": {"pick": [[0, [1]]]}},
        {"scheduler": {"pick": [[True, [1]]]}},
        {"scheduler": {"pick": [[1 << 60, [1]]]}},
        {"scheduler": {"pick": [[1, []]]}},
        {"scheduler": {"pick": [[1, ["a"]]]}},
        {"scheduler": {"pick": [[1, [1] * 60_000]]}},
        {"replacement": {"victim": [[1, [3]]]}},
        {"replacement": {"victim": [[1, [[1, ["x"]]]]]}},
        {"balloon": {"targets": [[1, [[["a"]]]]]}},
        {"balloon": {"targets": [[1, [[[1, 2]]]]]}},
    ],
)
def test_what_is_no_table_of_decisions_is_refused(choices: object) -> None:
    with pytest.raises(DecisionError):
        checked(choices)
