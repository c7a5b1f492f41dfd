"""Linux sees the generation ID of its VM, and sees another one when it has been cloned."""

import re

import pytest

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.machine.engine import Engine
from tests.guests.test_linux_balloon import FAR, PROMPT

pytestmark = pytest.mark.slow


def read_generation(lab: Lab, vm: str) -> str:
    """Let a guest read both halves of its ID; return what it printed."""
    line = "for at in 0x102000 0x102008; do devmem $at 64; done; echo told=$((1+1))\n"
    before = len(lab.console(vm))
    lab.apply({"verb": "console_input", "vm": vm, "text": line})
    told = {"kind": "console", "vm": vm, "text": "told=2"}
    assert lab.run_until(told, lab.position + 5 * FAR), lab.console(vm)[-500:]
    return " ".join(re.findall(r"0x[0-9A-F]{16}", lab.console(vm)[before:]))


def test_linux_and_its_clone_read_different_generations(engine: Engine, linux_image: bytes) -> None:
    vm = {"name": "a", "memory": "32 MiB", "program": "linux", "autostart": True, "vmgenid": True}
    config = LabConfig.from_dict({"host": {"pcpus": 1, "memory": "80 MiB"}, "vms": [vm]})
    lab = Lab(config, {"linux": Program("linux", elf=linux_image)}, 1, engine)
    assert lab.run_until({"kind": "console", "vm": "a", "text": PROMPT}, FAR), lab.console("a")[-500:]
    lab.apply({"verb": "clone", "vm": "a", "name": "b"})
    found = [read_generation(lab, name) for name in "ab"]
    assert all(len(one.split()) == 2 for one in found)
    assert found[0] != found[1]
    assert read_generation(lab, "a") == found[0]
