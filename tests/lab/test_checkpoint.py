"""Going back to a checkpoint: the same state, the same history from there on, no trace of what was undone."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from emulator.lab import Lab
from emulator.lab.checkpoint import CheckpointError
from emulator.lab.memento import Memento, MementoError
from tests.lab.busy import STEPS, history, play


@given(before=STEPS, undone=STEPS, after=STEPS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_restoring_gives_the_identical_state_and_continuing_the_identical_history(
    full_lab: Callable[[], Lab], before: list[Any], undone: list[Any], after: list[Any]
) -> None:
    lab = full_lab()
    for name in "abcd":
        lab.apply({"verb": "start", "vm": name})
    play(lab, [50_000, *before])
    checkpoint = lab.checkpoint()
    then, seen = lab.state_hash(), history(lab)
    play(lab, [300_000, *after])
    expected, story = lab.state_hash(), history(lab)

    lab.restore(checkpoint)
    assert (lab.state_hash(), history(lab)) == (then, seen)
    play(lab, [100_000, *undone])
    lab.restore(checkpoint)
    assert (lab.state_hash(), history(lab)) == (then, seen)
    play(lab, [300_000, *after])
    assert (lab.state_hash(), history(lab)) == (expected, story)


def test_a_checkpoint_changes_nothing(full_lab: Callable[[], Lab]) -> None:
    with_checkpoints, without = full_lab(), full_lab()
    for lab in (with_checkpoints, without):
        lab.apply({"verb": "start", "vm": "a"})
        lab.apply({"verb": "start", "vm": "c"})
    kept = []
    for _ in range(5):
        kept.append(with_checkpoints.checkpoint(kept[-1] if kept else None))
        for lab in (with_checkpoints, without):
            lab.advance(lab.position + 70_001)
    assert with_checkpoints.state_hash() == without.state_hash()
    assert history(with_checkpoints) == history(without)


def test_a_checkpoint_costs_memory_for_what_changes_afterwards(full_lab: Callable[[], Lab]) -> None:
    lab = full_lab()
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(500_000)
    used = lab.hypervisor.host.store_bytes
    checkpoint = lab.checkpoint()
    assert lab.hypervisor.host.store_bytes == used
    lab.advance(lab.position + 500_000)
    # The guest writes 8 pages and one of data.
    assert 0 < lab.hypervisor.host.store_bytes - used <= 10 * 4096
    checkpoint.release()
    assert lab.hypervisor.host.store_bytes == used


def test_a_store_through_the_fast_map_respects_a_checkpoint(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("count")
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(100_000)
    checkpoint, before = lab.checkpoint(), lab.digest("a")["digest"]
    lab.advance(200_000)
    assert lab.digest("a")["digest"] != before
    lab.restore(checkpoint)
    assert lab.digest("a")["digest"] == before


def test_a_reader_gets_everything_anew_after_going_back(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("hello")
    checkpoint = lab.checkpoint()
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(100_000)
    cursor = lab.observe()["cursor"]
    lab.restore(checkpoint)
    seen = lab.observe(cursor)
    assert seen["full"]
    assert seen["cursor"] > cursor
    assert seen["vms"][0]["state"] == "shut off"


def test_checkpoints_of_another_lab_or_beyond_the_store_are_refused(make_lab: Callable[..., Lab]) -> None:
    lab, other = make_lab("spin"), make_lab("spin")
    with pytest.raises(CheckpointError, match="another lab"):
        lab.restore(other.checkpoint())
    host = lab.hypervisor.host
    kept = []
    for number in range(3):
        host.write(0x8000_0000, bytes([number + 1]) * host.memory_bytes)
        kept.append(lab.checkpoint())
    host.write(0x8000_0000, b"x" * host.memory_bytes)
    with pytest.raises(CheckpointError, match="no room"):
        lab.checkpoint()
    kept.pop(0).release()
    lab.checkpoint()


def test_what_cannot_be_kept_is_named() -> None:
    with pytest.raises(MementoError, match="generator"):
        Memento([[(one for one in "abc")]])
