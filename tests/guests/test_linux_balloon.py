"""Linux gives memory back by its own balloon driver, and gets it again: frames counted at the host."""

from typing import Any

import pytest

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.machine.engine import Engine
from emulator.state import PAGE_BYTES

pytestmark = pytest.mark.slow

PROMPT = "~ # "
FAR = 200_000_000
MEBIBYTE = 1 << 20
PAGES = 8 * MEBIBYTE // PAGE_BYTES


def test_linux_gives_pages_and_takes_them_back(engine: Engine, linux_image: bytes) -> None:
    vm = {"name": "a", "memory": "32 MiB", "program": "linux", "autostart": True, "balloon": True}
    config = LabConfig.from_dict({"host": {"pcpus": 1, "memory": "48 MiB"}, "vms": [vm]})
    lab = Lab(config, {"linux": Program("linux", elf=linux_image)}, 1, engine)
    assert lab.run_until({"kind": "console", "vm": "a", "text": PROMPT}, FAR), lab.console("a")[-500:]
    total, free = mem_total(lab), lab.observe()["host"]["frames_free"]
    assert memory(lab)["resident"] == memory(lab)["pages"]

    lab.apply({"verb": "set_balloon", "vm": "a", "target": "8 MiB"})
    lab.advance(lab.position + FAR)
    given = memory(lab)
    assert given["balloon"] == given["balloon_target"] == PAGES
    assert given["resident"] == given["pages"] - PAGES
    assert lab.observe()["host"]["frames_free"] == free + PAGES
    assert mem_total(lab) == total - (8 << 10)

    lab.apply({"verb": "set_balloon", "vm": "a", "target": 0})
    lab.advance(lab.position + FAR)
    assert memory(lab)["balloon"] == 0
    assert mem_total(lab) == total
    # What it got back has no frame until it is touched: 16 MiB of a file in memory reach into it.
    before = memory(lab)["resident"]
    ask(
        lab,
        "dd if=/dev/zero of=/big bs=64k count=256 2>/dev/null; rm /big; echo filled=$((40+2))",
        "filled=42",
    )
    grown = memory(lab)["resident"] - before
    assert grown > PAGES // 4
    assert lab.observe()["host"]["frames_free"] == free + PAGES - (
        memory(lab)["resident"] - given["resident"]
    )
    assert lab.observe()["vms"][0]["exits"]["demand paging"] >= grown
    assert not lab.vm("a").faults


def memory(lab: Lab) -> Any:
    """Return the account of the VM's memory."""
    return lab.observe()["vms"][0]["memory"]


def ask(lab: Lab, line: str, answer: str) -> str:
    """Type a line; return the console from it on, when the answer is there."""
    before = len(lab.console("a"))
    lab.apply({"verb": "console_input", "vm": "a", "text": line + "\n"})
    shown = lab.run_until({"kind": "console", "vm": "a", "text": answer}, lab.position + 5 * FAR)
    assert shown, lab.console("a")[-500:]
    return lab.console("a")[before:]


def mem_total(lab: Lab) -> int:
    """Return what Linux has in all, in KiB."""
    shown = ask(lab, "grep MemTotal /proc/meminfo; echo told=$((1+1))", "told=2")
    return int(shown.split("MemTotal:")[1].split()[0])
