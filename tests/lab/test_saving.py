"""A lab that was saved goes on elsewhere as if nothing had been; what is no such lab is refused."""

import json
from typing import Any

import pytest

from emulator.build.wasm_engine import load_core
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.graph import GraphError, Maker, Writer
from emulator.lab.programs import Program
from emulator.lab.saving import SaveError
from tests.lab.busy import BUSY
from tests.lab.conftest import PROGRAMS

SOURCES = {name: Program(name, source=text) for name, text in (PROGRAMS | BUSY).items()}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "overcommit": {
        "overcommit": 2,
        "swap": "1 MiB",
        "swap_policy": "clock",
        "ksm": True,
        "memory": "1 MiB",
    },
    "working set": {
        "overcommit": 2,
        "swap": "1 MiB",
        "swap_policy": "working-set",
        "balloon_policy": "proportional",
    },
    **{name: {"scheduler": name} for name in ("stride", "lottery", "credit", "fair", "mlfq", "edf", "gang")},
    "no vmids": {"vmid": "off", "costs": {"mmio": 3000}},
}


def make(engine: Any, host: dict[str, Any]) -> Lab:
    everything = {"disk": "1 MiB", "rng": True, "balloon": True, "console": "virtio"}
    card = {"name": "office", "vlan": 3, "rate": "10 Mbit/s", "latency": "2 ms"}
    vms = [
        {"name": "a", "program": "scribble.s", "memory": "64 KiB", "network": card, **everything},
        {"name": "b", "program": "nap.s", "memory": "64 KiB", "network": "office", "vcpus": 2, "cap": 40},
        {"name": "c", "program": "probe.s", "memory": "64 KiB", "on_fault": "skip", "paging": "shadow"},
        {"name": "d", "program": "echo.s", "memory": "64 KiB"},
    ]
    networks = [{"name": "office", "mode": "nat", "address": "10.0.1.1/24", "dhcp": True}]
    host = {"memory": "2 MiB", "pcpus": 2, **host}
    config = LabConfig.from_dict({"host": host, "vms": vms, "networks": networks})
    lab = Lab(config, SOURCES, 7, engine)
    for name in "abcd":
        lab.apply({"verb": "start", "vm": name})
    lab.advance(300_000)
    return lab


def load(data: bytes, lab: Lab, engine: Any = None, seed: int = 7) -> Lab:
    return Lab.load(data, lab.config_at_start, SOURCES, seed, lab.log, engine or lab.engine)


def go_on(lab: Lab) -> str:
    """Do something that touches everything, and return the hash of what comes of it."""
    for step in (
        {"verb": "console_input", "vm": "d", "text": "hé\n"},
        {"verb": "suspend", "vm": "b"},
        {"verb": "snapshot_create", "vm": "a", "name": "later"},
        {"verb": "set_vm", "vm": "a", "weight": 512},
        {"verb": "resume", "vm": "b"},
        {"verb": "destroy", "vm": "d"},
        {"verb": "start", "vm": "d"},
        {"verb": "snapshot_revert", "vm": "a", "name": "later"},
    ):
        lab.apply(step)
        lab.advance(lab.position + 70_000)
    return lab.state_hash()


@pytest.mark.parametrize("host", SETTINGS)
def test_a_saved_lab_goes_on_as_the_one_that_was_saved(engine: Any, host: str) -> None:
    lab = make(engine, SETTINGS[host])
    before = lab.state_hash()
    other = load(lab.save(), lab)
    assert lab.state_hash() == before
    assert (other.state_hash(), other.log) == (before, lab.log)
    assert other.observe(None)["vms"] == lab.observe(None)["vms"]
    assert go_on(other) == go_on(lab)


def test_snapshots_volumes_and_changed_programs_are_saved_with_the_lab(engine: Any) -> None:
    lab = make(engine, {})
    for action in (
        {"verb": "snapshot_create", "vm": "a", "name": "one"},
        {"verb": "pool_create", "pool": "p", "capacity": "4 MiB"},
        {"verb": "vol_create", "volume": "v", "pool": "p", "capacity": "64 KiB"},
        {"verb": "set_program", "vm": "d", "source": PROGRAMS["spin.s"]},
        {"verb": "clone", "vm": "c", "name": "e"},
        {"verb": "set_rules", "rules": [{"name": "busy", "when": "ready > 1 %", "for": "1 ms"}]},
    ):
        lab.apply(action)
        lab.advance(lab.position + 50_000)
    other = load(lab.save(), lab)
    for one in (lab, other):
        one.apply({"verb": "snapshot_revert", "vm": "a", "name": "one"})
        one.advance(one.position + 100_000)
        one.apply({"verb": "snapshot_delete", "vm": "a", "name": "one"})
    assert other.state_hash() == lab.state_hash()
    assert other.hypervisor.host.pages_in_use == lab.hypervisor.host.pages_in_use


def test_a_lab_whose_host_was_replaced_is_saved(engine: Any) -> None:
    lab = make(engine, {})
    for name in "abcd":
        lab.apply({"verb": "destroy", "vm": name})
    lab.apply({"verb": "set_host", "pcpus": 1, "memory": "4 MiB"})
    lab.apply({"verb": "start", "vm": "b"})
    lab.advance(lab.position + 50_000)
    other = load(lab.save(), lab)
    for one in (lab, other):
        one.apply({"verb": "start", "vm": "a"})
        one.advance(one.position + 100_000)
    assert other.state_hash() == lab.state_hash()


def test_a_loaded_lab_can_be_recorded_rewound_and_saved_again(engine: Any) -> None:
    lab = make(engine, {})
    other = load(lab.save(), lab)
    other.record()
    there, before = other.position, other.state_hash()
    other.advance(there + 100_000)
    other.rewind(there)
    assert other.state_hash() == before
    assert load(other.save(), lab).state_hash() == before


def test_what_is_no_state_of_this_lab_is_refused(engine: Any) -> None:
    lab = make(engine, {})
    data = lab.save()
    head, _, rest = data.partition(b"\n")
    table = json.loads(head)

    def changed(**changes: Any) -> bytes:
        return json.dumps({**table, **changes}).encode() + b"\n" + rest

    flipped = bytearray(data)
    flipped[-100] ^= 1
    for bad, reason in (
        (b"", "no state"),
        (b"{}\n", "no state"),
        (data[:-50], "damaged"),
        (bytes(flipped), "damaged"),
        (changed(version="older"), "another version"),
        (changed(hash="0" * 64), "another lab"),
        (changed(position=1), "another lab"),
        (changed(actions=9), "the log 4"),
        (changed(bytes=100), "no state"),
    ):
        with pytest.raises(SaveError, match=reason):
            load(bad, lab)
    with pytest.raises(SaveError, match="another lab"):
        load(data, lab, seed=8)
    lab.log[2]["action"]["vm"] = "d"
    with pytest.raises(SaveError, match="another log"):
        load(data, lab)
    lab.log[2]["action"]["vm"] = "c"
    lab.log.append({"seq": 5, "position": 1, "action": {"verb": "destroy", "vm": "d"}})
    with pytest.raises(SaveError, match="another log"):
        load(data, lab)


def test_a_lab_goes_from_native_to_webassembly_and_back(engine: Any) -> None:
    lab, wasm = make(engine, {}), load_core()
    there = load(lab.save(), lab, wasm)
    assert there.state_hash() == lab.state_hash()
    back = load(there.save(), lab)
    expected = go_on(lab)
    assert (go_on(there), go_on(back)) == (expected, expected)


def test_a_graph_makes_nothing_that_is_not_the_emulators() -> None:
    for node in (
        {"k": "class", "c": "os:system"},
        {"k": "object", "c": "subprocess:Popen", "t": []},
        {"k": "class", "c": "emulator.lab.saving:Path"},
        {"k": "function", "c": "os:system", "p": [["x", 0]], "t": [], "d": None, "w": None},
        {"k": "unknown"},
    ):
        with pytest.raises(GraphError):
            Maker([node], lambda name: name).make({"r": 0})
    with pytest.raises(GraphError):
        Writer(lambda one: None).write([open])
