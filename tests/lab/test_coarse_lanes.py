"""Lanes in pieces: every cycle is somebody's, and shares are those of the slices."""

from typing import Any

from emulator.lab.coarse_lanes import coarse_lanes


def one(kind: str, start: int, end: int, vm: str | None = None, vcpu: int | None = None) -> list[Any]:
    """Values of a Slice."""
    return [start, 1, 0, vm, vcpu, kind, start, end]


def test_pieces_have_the_shares_of_their_slices() -> None:
    lane = [one("run", 0, 60, "a", 0), one("hypervisor", 60, 80), one("run", 80, 150, "b", 1)]
    lane.append(one("idle", 150, 200))
    found = coarse_lanes([lane, []], (0, 0), 2)
    assert found == {
        "who": [("a", 0), ("b", 1)],
        "starts": [0, None],
        "pieces": [[[100, 2, 60, 1, 20, 3], [100, 3, 50, 0]], []],
    }


def test_they_begin_where_the_last_ones_ended() -> None:
    found = coarse_lanes([[one("run", 0, 1000, "a", 0), one("idle", 1000, 1003)]], (900,), 4)
    assert found["starts"] == [900]
    assert sum(piece[0] for piece in found["pieces"][0]) == 103


def test_what_is_too_short_for_a_percent_is_left_to_its_neighbour() -> None:
    lane = [one("run", 0, 1000, "a", 0), one("hypervisor", 1000, 1003)]
    assert coarse_lanes([lane], (0,), 1)["pieces"] == [[[1003, 2]]]
