"""Faults at every virtio device: what was acknowledged is not lost, all else is done when it is healed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.build.engine import load_engine
from emulator.hypervisor.vm import SLOT_NAMES
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.state import PAGE_BYTES
from tests.hypervisor.memory.guests import balloon_driver
from tests.hypervisor.test_devices import AREA, VIRTIO_PRELUDE
from tests.lab.disk_writer import writer
from tests.lab.frame_sender import SENDER
from tests.lab.test_exits import BY_VIRTIO, TEXT, TIMES
from tests.lab.test_snapshots import conserved

# Asks for 8 bytes again and again; "r" for each answer. Resets a device that asks for it, and prints "R".
READER = (
    VIRTIO_PRELUDE
    + """
        li s0, 0x10004000
begin:  setup 0
        describe 0, bytes, 8, 2, 0
        li s1, 0
1:      addi s1, s1, 1
        la t2, area + 128
        sh s1, 2(t2)
        put 0x50, 0
2:      lw t1, 0x70(s0)
        andi t1, t1, 64
        bnez t1, 3f
        la t2, area + 256
        lhu t0, 2(t2)
        slli t1, s1, 48
        srli t1, t1, 48
        bne t0, t1, 2b
        li a0, 'r'
        li a7, 1
        ecall
        j 1b
3:      li a0, 'R'
        li a7, 1
        ecall
        la t2, area
        li t1, 1024
4:      sw zero, (t2)
        addi t2, t2, 4
        addi t1, t1, -4
        bnez t1, 4b
        j begin
bytes:  .dword 0
"""
    + AREA
)
# The same sender, and the same balloon, whose drivers wait until a request is done.
POLITE_SENDER = SENDER.replace(
    "2:      addi t0, t0, -1\n        bnez t0, 2b",
    "2:      lhu t0, 258(t2)\n        slli t1, s1, 48\n        srli t1, t1, 48\n        bne t0, t1, 2b",
)
POLITE_BALLOON = balloon_driver(150).replace(
    "        ret\n        .data",
    "3:      lhu t5, 258(a2)\n        bne t4, t5, 3b\n        ret\n        .data",
)
PROGRAMS = {
    "network": POLITE_SENDER,
    "console": BY_VIRTIO,
    "rng": READER,
    "balloon": POLITE_BALLOON,
    "disk": writer(20),
}
DEVICES: dict[str, dict[str, Any]] = {
    "network": {"network": "lan"},
    "console": {"console": "virtio"},
    "rng": {"rng": True},
    "balloon": {"balloon": True, "memory": "1 MiB"},
    "disk": {"disk": "256 KiB"},
}


def make(*devices: str) -> Lab:
    """Return a lab with a guest for each of these devices, named after it and started."""
    vms = [{"name": one, "program": one, "memory": "64 KiB", **DEVICES[one]} for one in devices]
    config = LabConfig.from_dict({"host": {"memory": "4 MiB", "pcpus": 1}, "vms": vms})
    lab = Lab(config, {name: Program(name, source=text) for name, text in PROGRAMS.items()}, 7, load_engine())
    for one in devices:
        lab.apply({"verb": "start", "vm": one})
    return lab


def run(lab: Lab, ms: int = 5) -> None:
    lab.advance(lab.position_at(lab.now_ns + ms * 1_000_000))


def served(lab: Lab, device: str) -> int:
    """Return how many requests of its queues a device has acknowledged."""
    board = lab.vm(device).board
    assert board is not None
    return sum(queue.next_used for queue in board.virtio[SLOT_NAMES.index(device)].state.queues)


def effect(lab: Lab, device: str) -> int:
    """Return how often the world has seen a request done."""
    vm = lab.vm(device)
    assert vm.board is not None
    state = vm.board.virtio[SLOT_NAMES.index(device)].state.device
    if device == "network":
        return lab.networks()[0]["ports"][0]["received"]
    if device == "console":
        return lab.console(device).count(TEXT)
    if device == "disk":
        return lab.console(device).count(".")
    return len(state.pages) if device == "balloon" else lab.console(device).count("r")


@pytest.mark.parametrize("device", SLOT_NAMES)
def test_a_device_that_hangs_loses_nothing_and_goes_on_when_it_is_healed(device: str) -> None:
    lab = make(device)
    lab.apply({"verb": "device_fault", "vm": device, "device": device, "kind": "stall", "skip": 9})
    if device == "balloon":
        lab.apply({"verb": "set_balloon", "vm": device, "target": 40 * PAGE_BYTES})
    run(lab)
    assert served(lab, device) == effect(lab, device) == 9
    assert lab.vm(device).state.value == "running" or device == "console"
    if device == "console":
        assert lab.console(device) == TEXT * 9
    lab.apply({"verb": "device_heal", "vm": device, "device": device})
    run(lab, 20)
    assert effect(lab, device) == served(lab, device) > 9
    if device == "console":
        assert lab.console(device) == TEXT * TIMES
    if device == "disk":
        assert [lab.vm(device).disk().contents()[4096 * n] for n in range(21)] == [*range(1, 21), 0]
    conserved(lab)
    again = Lab.replay(lab.config_at_start, lab.programs, lab.seed, lab.log, lab.position, lab.engine)
    assert again.state_hash() == lab.state_hash()


@pytest.mark.parametrize("device", SLOT_NAMES)
def test_a_device_that_breaks_says_so_and_keeps_what_it_acknowledged(device: str) -> None:
    lab = make(device)
    lab.apply({"verb": "device_fault", "vm": device, "device": device, "kind": "break", "skip": 3})
    if device == "balloon":
        lab.apply({"verb": "set_balloon", "vm": device, "target": 40 * PAGE_BYTES})
    run(lab)
    events = [one for one in lab.observe()["events"] if one["reason"] == "device broken"]
    assert [one["vm"] for one in events] == [device]
    assert f"the {device} of {device} needs a reset by its driver: a fault was injected" in events[0]["text"]
    if device == "rng":  # whose driver resets it
        assert lab.console("rng").startswith("rrrRrr")
    else:
        assert served(lab, device) == effect(lab, device) == 3
    assert lab.vm(device).lifecycle.value == "running"
    conserved(lab)
    lab.apply({"verb": "reset", "vm": device})
    if device == "balloon":
        lab.apply({"verb": "set_balloon", "vm": device, "target": 30 * PAGE_BYTES})
    run(lab, 20)
    assert effect(lab, device) > 3


@given(
    faults=st.lists(
        st.tuples(
            st.sampled_from(SLOT_NAMES),
            st.sampled_from(["stall", "break", "heal", "reset", "snapshot", "revert"]),
            st.integers(0, 4),
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=15)
def test_whatever_fails_the_host_is_whole_and_history_repeats(faults: list[tuple[str, str, int]]) -> None:
    lab = make(*SLOT_NAMES)
    lab.apply({"verb": "set_balloon", "vm": "balloon", "target": 40 * PAGE_BYTES})
    for device, what, skip in faults:
        verbs: dict[str, dict[str, Any]] = {
            "heal": {"verb": "device_heal", "vm": device, "device": device},
            "reset": {"verb": "reset", "vm": device},
            "snapshot": {"verb": "snapshot_create", "vm": device, "name": "s"},
            "revert": {"verb": "snapshot_revert", "vm": device, "name": "s"},
        }
        other = {"verb": "device_fault", "vm": device, "device": device, "kind": what, "skip": skip}
        try:
            lab.apply(verbs.get(what, other))
        except LabError:
            assert what in ("snapshot", "revert")  # twice, or of none
        run(lab, 1)
        conserved(lab)
    assert all(vm.lifecycle.value == "running" for vm in lab.hypervisor.vms.values())
    again = Lab.replay(lab.config_at_start, lab.programs, lab.seed, lab.log, lab.position, lab.engine)
    assert again.state_hash() == lab.state_hash()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"device": "sound"}, r"device is 'sound'; expected one of disk, network, console, rng, balloon"),
        ({"device": "disk"}, "rng has no virtio disk; add one while it is shut off"),
        ({"device": "rng", "kind": "melt"}, "kind is 'melt'; expected one of stall, break"),
        ({"device": "rng", "skip": -1}, "skip is -1"),
    ],
)
def test_what_cannot_fail_is_refused(action: dict[str, Any], message: str) -> None:
    lab = make("rng")
    with pytest.raises(LabError, match=message):
        lab.apply({"verb": "device_fault", "vm": "rng", **action})
    lab.apply({"verb": "destroy", "vm": "rng"})
    with pytest.raises(LabError, match="its devices have no power"):
        lab.apply({"verb": "device_fault", "vm": "rng", "device": "rng"})


def test_a_clone_has_the_fault_of_its_source_and_going_back_takes_it_away() -> None:
    lab = make("rng")
    lab.record()
    run(lab, 1)
    there, state = lab.position, lab.state_hash()
    lab.apply({"verb": "device_fault", "vm": "rng", "device": "rng", "skip": 2})
    lab.apply({"verb": "clone", "vm": "rng", "name": "twin"})
    run(lab, 5)
    counts = {name: lab.console(name).count("r") for name in ("rng", "twin")}
    assert counts["rng"] == counts["twin"]
    lab.undo(there, 1)
    assert lab.state_hash() == state
    run(lab, 5)
    assert lab.console("rng").count("r") > counts["rng"]
