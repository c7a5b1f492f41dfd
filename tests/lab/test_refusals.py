"""What is refused, and what is only looked at, leaves the state hash alone: else no log could be repeated."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from emulator.build.engine import load_engine
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.libvirt import interpret

COUNT = "_start: li t0, 0\nloop: addi t0, t0, 1\n j loop\n"
CONFIG: dict[str, Any] = {
    "host": {"pcpus": 2, "memory": "2 MiB"},
    "vms": [
        {"name": "a", "program": "count.s", "memory": "256 KiB"},
        {"name": "b", "program": "count.s", "memory": "512 KiB", "disk": "64 KiB", "network": "lan"},
        {"name": "big", "program": "count.s", "memory": "4 MiB"},
    ],
}
NAMES = ("a", "b", "big", "c")
LOOKS: Mapping[str, Callable[[Lab, str], object]] = {
    "observe": lambda lab, _: lab.observe(None),
    "storage": lambda lab, _: lab.storage(),
    "networks": lambda lab, _: lab.networks(),
    "snapshots": lambda lab, name: lab.snapshots(name),
    "pcap": lambda lab, _: lab.pcap("lan"),
    "export": lambda lab, name: lab.export_vm(name),
    "registers": lambda lab, name: lab.registers(name, 0),
    "walk": lambda lab, name: lab.walk(name, 0, 0x8000_0000),
    "listing": lambda lab, name: lab.listing(name),
    "snapshot-list": lambda lab, name: interpret(lab, f"snapshot-list {name}"),
    "dumpxml": lambda lab, name: interpret(lab, f"dumpxml {name}"),
    "checkpoint": lambda lab, _: lab.checkpoint().release(),
}
VM_VERBS = ("start", "start", "destroy", "suspend", "resume", "reset", "undefine", "shutdown", "set_template")


@pytest.fixture
def lab() -> Lab:
    return Lab(LabConfig.from_dict(CONFIG), {"count.s": Program("count.s", source=COUNT)}, 1, load_engine())


@pytest.mark.parametrize("look", LOOKS)
def test_looking_changes_nothing(lab: Lab, look: str) -> None:
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(100_000)
    before = lab.state_hash()
    for name in ("a", "b") if look not in ("registers", "walk") else ("a",):
        LOOKS[look](lab, name)
    assert lab.state_hash() == before


def test_a_start_for_which_there_is_no_memory_changes_nothing(lab: Lab) -> None:
    before = lab.state_hash()
    with pytest.raises(LabError, match="cannot start big"):
        lab.apply({"verb": "start", "vm": "big"})
    assert lab.state_hash() == before


def action(random: random.Random) -> dict[str, Any]:
    """Return an action that may or may not make sense."""
    vm = random.choice(NAMES)
    one: dict[str, Any] = random.choice(
        [
            {"verb": random.choice(VM_VERBS), "vm": vm},
            {"verb": random.choice(VM_VERBS), "vm": vm},
            {
                "verb": random.choice(("snapshot_create", "snapshot_revert", "snapshot_delete")),
                "vm": vm,
                "name": "s",
            },
            {"verb": "clone", "vm": vm, "name": random.choice(NAMES), "linked": random.random() < 0.5},
            {
                "verb": "set_vm",
                "vm": vm,
                random.choice(("cap", "weight", "vcpus", "reservation")): random.randrange(600),
            },
            {"verb": "set_vm", "vm": vm, "memory": random.choice(("256 KiB", "1 MiB", "4 MiB"))},
            {"verb": "define", "vm": {"name": vm, "program": "count.s", "memory": "256 KiB"}},
            {
                "verb": "set_host",
                random.choice(("pcpus", "offline", "scheduler", "overcommit")): random.choice(
                    (1, "1", "fair")
                ),
            },
            {"verb": "set_program", "vm": vm, "source": random.choice((COUNT, "bad", ".space 1000000\n"))},
            {"verb": "net_capture", "network": random.choice(("lan", "wan"))},
            {"verb": "net_link", "vm": vm, "loss": "1 %"},
            {"verb": "console_input", "vm": vm, "text": "x"},
        ]
    )
    return one


@pytest.mark.parametrize("seed", range(4))
def test_refused_actions_change_nothing_and_the_rest_can_be_repeated(lab: Lab, seed: int) -> None:
    dice = random.Random(seed)
    refused = 0
    for _ in range(60):
        before, asked = lab.state_hash(), action(dice)
        try:
            lab.apply(asked)
        except LabError:
            refused += 1
            assert lab.state_hash() == before, asked
        lab.advance(lab.position + dice.randrange(50_000))
    assert 0 < refused < 60
    again = Lab.replay(LabConfig.from_dict(CONFIG), lab.programs, 1, lab.log, lab.position, load_engine())
    assert again.state_hash() == lab.state_hash()
