"""Differences of observations: applied to the old one they make the new one."""

from typing import Any

import pytest

from app.workers.changes import applied, changes

OLD: dict[str, Any] = {
    "now": 1,
    "host": {"pcpus": [{"clock": 5, "vm": None}, {"clock": 5, "vm": "a"}], "free": 3},
    "vms": [{"name": "a", "exits": {"sbi": 4, "wfi": 2}, "affinity": [0, 1]}, {"name": "b", "exits": {}}],
}


def changed(**parts: Any) -> dict[str, Any]:
    return {**OLD, **parts}


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        changed(now=2),
        changed(host={"pcpus": [{"clock": 6, "vm": "b"}, {"clock": 5, "vm": None}], "free": 3}),
        changed(host={"pcpus": [{"clock": 6, "vm": None}], "free": None}),
        changed(
            vms=[{"name": "a", "exits": {"wfi": 9, "sbi": 4}, "affinity": []}, {"name": "b", "exits": {}}]
        ),
        changed(vms=[OLD["vms"][0], {"name": "b", "exits": {"sbi": 1}}]),
        changed(vms=[]),
    ],
)
def test_applied_to_the_old_one_it_makes_the_new_one(new: dict[str, Any]) -> None:
    again = applied(OLD, changes(OLD, new))
    assert again == new
    assert list(map(str, again["vms"])) == list(map(str, new["vms"]))  # with keys in their order


def test_it_holds_only_what_changed() -> None:
    new = changed(vms=[OLD["vms"][0], {"name": "b2", "exits": {}}])
    assert changes(OLD, new) == {"vms": {"1": {"name": "b2"}}}
    assert changes(OLD, OLD) == {}
