"""Attributes are read and set without a `__dict__`, and none is ever left out."""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from emulator.lab import Lab
from emulator.lab.attributes import attributes, set_attributes


class Plain:
    """An ordinary class with a default, a property and a slot-free attribute."""

    kind = "plain"

    def __init__(self) -> None:
        """Set two."""
        self.first, self.second = 1, [2]

    @property
    def double(self) -> int:
        """Nothing to keep."""
        return self.first * 2


@dataclass
class Data:
    """Defaults are names of the class too."""

    number: int = 0
    names: list[str] = field(default_factory=list[str])


class Slotted:
    """Slots, one of them empty."""

    __slots__ = ("empty", "full")

    def __init__(self) -> None:
        """Fill one."""
        self.full = 1


@dataclass(slots=True)
class Counted:
    """A field that the caller does not set."""

    given: int = 0
    made: list[int] = field(default_factory=list[int], init=False)


class Both(Slotted):
    """Slots and a dictionary."""

    def __init__(self) -> None:
        """Fill both."""
        super().__init__()
        self.more = 2


def has_dictionary(one: object) -> bool:
    """Return whether the attributes lie in a real dictionary."""
    return any(type(other) is dict for other in gc.get_referents(one))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Plain, {"first": 1, "second": [2]}),
        (Data, {"number": 0, "names": []}),
        (Slotted, {"full": 1}),
        (Counted, {"given": 0, "made": []}),
        (Both, {"full": 1, "more": 2}),
    ],
)
def test_attributes_are_found_and_stay_where_they_are(
    make: Callable[[], Any], expected: dict[str, Any]
) -> None:
    one = make()
    assert attributes(one) == expected
    assert not has_dictionary(one)
    set_attributes(one, dict.fromkeys(expected))
    assert attributes(one) == dict.fromkeys(expected)
    assert not has_dictionary(one)


def test_what_somebody_else_has_set_is_found_and_taken_away() -> None:
    one = Plain()
    before = attributes(one)
    one.unheard_of = 5  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    one.kind = "changed"
    assert attributes(one) == {**before, "unheard_of": 5, "kind": "changed"}
    set_attributes(one, before)
    assert attributes(one) == before
    assert one.kind == "plain"


def test_a_missing_attribute_is_missing() -> None:
    one = Plain()
    del one.first
    assert attributes(one) == {"second": [2]}
    vars(one)["second"] = 3
    assert attributes(one) == {"second": 3}


def test_recording_leaves_the_objects_of_a_lab_quick(full_lab: Callable[[], Lab]) -> None:
    lab = full_lab()
    lab.record()
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(300_000)
    lab.rewind(200_000)
    vm = lab.vm("a")
    hot = [lab.hypervisor, lab.hypervisor.scheduler, lab.hypervisor.trace, vm, vm.board]
    assert [one for one in hot if any(other is vars(one) for other in gc.get_referents(one))] == []
    assert any(other is vars(vm) for other in gc.get_referents(vm))  # asked for just now
