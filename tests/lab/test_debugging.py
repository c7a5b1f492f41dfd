"""Breakpoints and watched memory of a lab: where the search ends, and that it changes nothing."""

from collections.abc import Callable

import pytest

from emulator.lab import Lab, LabError

MakeLab = Callable[..., Lab]
FAR = 10_000_000


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    """Three VMs on one pCPU, at position 0; a and c run the same program at the same addresses."""
    lab = make_lab("count", "nap", "count", pcpus=1)
    for vm in "abc":
        lab.apply({"verb": "start", "vm": vm})
    return lab


def symbol(lab: Lab, name: str, vm: str = "a") -> int:
    return lab.program(vm).executable.symbols[name]


def register(lab: Lab, name: str, vm: str = "a") -> int:
    general = lab.registers(vm, 0)["general"]
    return int(next(one["value"] for one in general if one["name"] == name), 16)


def test_breakpoint_stops_in_front_of_the_instruction(lab: Lab) -> None:
    spend = symbol(lab, "spend")
    for value in (41, 42, 43):
        assert lab.run_until({"kind": "breakpoint", "vm": "a", "address": hex(spend)}, FAR)
        assert (int(lab.registers("a", 0)["pc"], 16), register(lab, "t0")) == (spend, value)


def test_breakpoint_is_of_one_vm(lab: Lab) -> None:
    spend = symbol(lab, "spend", "c")
    assert lab.run_until({"kind": "breakpoint", "vm": "c", "address": spend}, FAR)
    assert (int(lab.registers("c", 0)["pc"], 16), register(lab, "t0", "c")) == (spend, 41)
    assert lab.vm("a").vcpus[0].retired > 1000


def test_breakpoint_that_is_never_met_ends_at_the_limit(lab: Lab) -> None:
    assert not lab.run_until({"kind": "breakpoint", "vm": "a", "address": 4}, 20_000)
    assert lab.position == 20_000


def test_search_in_pieces_finds_the_same_place(make_lab: MakeLab) -> None:
    places: list[list[int]] = []
    for piece in (FAR, 1, 3):
        lab = make_lab("count", pcpus=1)
        lab.apply({"verb": "start", "vm": "a"})
        condition = {"kind": "breakpoint", "vm": "a", "address": symbol(lab, "spend")}
        found: list[int] = []
        while len(found) < 3:
            if lab.run_until(condition, lab.position + piece):
                found.append(lab.position)
        places.append(found)
    assert places[0] == places[1] == places[2]


@pytest.mark.parametrize("space", ["gva", "gpa"])
def test_watch_stops_after_the_access(lab: Lab, space: str) -> None:
    value = symbol(lab, "value")
    stores = {"kind": "watch", "vm": "c", "address": value, "space": space, "access": "store"}
    for expected in (41, 42):
        assert lab.run_until(stores, FAR)
        data = lab.memory("c", 0, value, "gva", 8)["pages"][0]["data"]
        assert data is not None
        assert int.from_bytes(bytes.fromhex(data), "little") == expected
    assert lab.run_until({"kind": "watch", "vm": "c", "address": value, "access": "load"}, FAR)
    assert register(lab, "t0", "c") == 42


def test_memory_that_nobody_touches_is_not_met(lab: Lab) -> None:
    untouched = {"kind": "watch", "vm": "a", "address": symbol(lab, "value") + 8}
    assert not lab.run_until(untouched, 20_000)


def test_settled_search_is_for_a_guest_physical_address(lab: Lab) -> None:
    value = symbol(lab, "value")
    search = {"kind": "watch", "vm": "a", "address": hex(value), "access": "load"}
    assert lab.settled(search) == {**search, "space": "gpa", "address": value}
    assert lab.settled({"kind": "fault"}) == {"kind": "fault"}


def test_address_that_is_not_mapped_cannot_be_watched(lab: Lab) -> None:
    with pytest.raises(LabError) as caught:
        lab.run_until({"kind": "watch", "vm": "a", "address": 0x10}, FAR)
    assert caught.value.path == "address"
    assert lab.position == 0


def test_searching_is_no_different_from_running(make_lab: MakeLab) -> None:
    one, other = (make_lab("count", "nap", "count") for _ in range(2))
    for lab in (one, other):
        for vm in "abc":
            lab.apply({"verb": "start", "vm": vm})
    spend, value = symbol(one, "spend"), symbol(one, "value")
    for number in range(30):
        vm = "ac"[number % 2]
        assert one.run_until({"kind": "breakpoint", "vm": vm, "address": spend}, FAR)
        if number % 3 == 0:
            assert one.run_until({"kind": "watch", "vm": vm, "address": value}, FAR)
        if number % 10 == 0:
            one.advance(one.position + 25_000)
        other.advance(one.position)
        assert one.position == other.position
        assert one.state_hash() == other.state_hash()


def test_nothing_stays_set(lab: Lab) -> None:
    lab.run_until({"kind": "breakpoint", "vm": "a", "address": symbol(lab, "spend")}, FAR)
    lab.run_until({"kind": "watch", "vm": "a", "address": symbol(lab, "value")}, FAR)
    stops = lab.hypervisor.host.stops
    assert (stops.breakpoints, stops.watchpoints, lab.hypervisor.debug_watch) == ([], [], None)
