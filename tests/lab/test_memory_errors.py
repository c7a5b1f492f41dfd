"""Memory runs out at any step of keeping a lab or a VM: nothing is lost, and all can be done again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from emulator.hypervisor import image
from emulator.lab import Lab, LabError
from emulator.lab.memento import Memento
from emulator.machine.host import Host
from emulator.machine.pages import Pages
from tests.lab.test_snapshots import conserved, look

# Where memory is taken on the way: a class or module, and the name of a function of it.
STEPS: list[tuple[Any, str]] = [(Memento, "_visit"), (Host, "hold"), (Pages, "__init__"), (image, "to_plain")]
PUTTING: list[tuple[Any, str]] = [(Host, "adopt"), (image, "put"), (image, "_put_vcpu")]


@contextmanager
def failing(place: Any, name: str, after: int) -> Iterator[list[int]]:
    """Let the call of a function after so many others fail for want of memory; yields the calls so far."""
    whole, calls = getattr(place, name), [0]

    def short(*arguments: Any, **others: Any) -> Any:
        calls[0] += 1
        if calls[0] == after + 1:
            raise MemoryError
        return whole(*arguments, **others)

    setattr(place, name, short)
    try:
        yield calls
    finally:
        setattr(place, name, whole)


def attempt(lab: Lab, action: dict[str, str]) -> str:
    """Apply an action; return what it is refused with."""
    try:
        lab.apply(action)
    except LabError as error:
        return str(error)
    return ""


def held(lab: Lab) -> int:
    """Return the references to slots of the store, but those to zero pages."""
    return sum(lab.hypervisor.host.slot_references[1:])


@pytest.mark.parametrize("after", [0, 1, 7, 50])
@pytest.mark.parametrize("step", [one for one in STEPS if one[0] is not Memento], ids=lambda one: one[1])
def test_a_snapshot_is_taken_whole_or_not_at_all(running: Lab, step: tuple[Any, str], after: int) -> None:
    state, references = running.state_hash(), held(running)
    with failing(*step, after) as calls:
        refused = attempt(running, {"verb": "snapshot_create", "vm": "a", "name": "s"})
    assert refused in ("", "there is no memory for a snapshot of a: delete another")
    if calls[0] > after:
        assert (running.state_hash(), held(running)) == (state, references)
        assert running.snapshots("a") == []
        running.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    assert [one["name"] for one in running.snapshots("a")] == ["s"]


@pytest.mark.parametrize("after", [0, 3, 20])
@pytest.mark.parametrize("step", [*STEPS, *PUTTING], ids=lambda one: one[1])
@pytest.mark.parametrize("verb", ["snapshot_revert", "clone"])
def test_a_vm_is_taken_back_or_cloned_whole_or_not_at_all(
    running: Lab, step: tuple[Any, str], after: int, verb: str
) -> None:
    running.apply({"verb": "snapshot_create", "vm": "a", "name": "s"})
    kept = look(running, "a")
    running.advance(running.position + 100_000)
    now, references = {name: look(running, name) for name in "abcd"}, held(running)
    action = {"verb": verb, "vm": "a", "name": "s" if verb == "snapshot_revert" else "e"}
    with failing(*step, after):
        refused = attempt(running, action)
    conserved(running)
    if refused:
        assert "there is no memory" in refused
        assert {name: look(running, name) for name in "abcd"} == now
        assert held(running) == references
        assert "e" not in running.hypervisor.vms
        running.apply(action)
    assert (
        look(running, "a" if verb == "snapshot_revert" else "e")[2]
        == (kept if verb == "snapshot_revert" else now["a"])[2]
    )
    running.advance(running.position + 100_000)
    conserved(running)


@pytest.mark.parametrize("step", STEPS[:3], ids=lambda one: one[1])
def test_recording_goes_on_without_a_checkpoint_that_there_is_no_memory_for(
    full_lab: Callable[[], Lab], step: tuple[Any, str]
) -> None:
    plain, lab = full_lab(), full_lab()
    lab.record(spacing=50_000)
    for one in (plain, lab):
        one.apply({"verb": "start", "vm": "a"})
    lab.advance(600_000)
    before = len(lab.past.checkpoints)
    for after in (0, 5, 40):
        with failing(*step, after):
            lab.advance(lab.position + 60_000)
    assert len(lab.past.checkpoints) <= before
    lab.advance(900_000)
    plain.advance(900_000)
    assert lab.state_hash() == plain.state_hash()
    lab.rewind(450_000)
    again = full_lab()
    again.apply({"verb": "start", "vm": "a"})
    again.advance(450_000)
    assert lab.state_hash() == again.state_hash()


def test_a_store_that_is_full_is_named_and_nothing_changes(running: Lab) -> None:
    host = running.hypervisor.host
    kept = [
        host.keep(bytes([number % 255 + 1]) * 4096)
        for number in range(host.record.free_count - host.frames + 1)
    ]
    assert kept
    state = running.state_hash()
    with pytest.raises(LabError, match="no room to keep the memory of b"):
        running.apply({"verb": "clone", "vm": "b", "name": "e"})
    assert running.state_hash() == state
    running.advance(running.position + 100_000)
    conserved(running)
