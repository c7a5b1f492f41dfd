"""Fixtures: a lab with a host console."""

from collections.abc import Callable

import pytest

from emulator.build.engine import load_engine
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.libvirt import execute

SPIN = "1: addi s0, s0, 1\n j 1b"
CONFIG = {
    "host": {"pcpus": 2, "memory": "16 MiB", "scheduler": "stride"},
    "vms": [
        {"name": "web", "program": "spin.s", "vcpus": 2},
        {"name": "db", "program": "guest/spin.s", "memory": "2 MiB", "weight": 512, "cap": 50},
    ],
}
PROGRAMS = ("spin.s", "guest/spin.s")
Type = Callable[[str], str]


@pytest.fixture
def lab() -> Lab:
    """A lab with two VMs that are shut off."""
    return Lab(LabConfig.from_dict(CONFIG), {n: Program(n, source=SPIN) for n in PROGRAMS}, 1, load_engine())


@pytest.fixture
def virsh(lab: Lab) -> Type:
    """Type a line into the lab's host console."""
    return lambda line: execute(lab, line)


@pytest.fixture(scope="session")
def lab_once() -> Lab:
    """The same lab for tests that change nothing."""
    return Lab(LabConfig.from_dict(CONFIG), {n: Program(n, source=SPIN) for n in PROGRAMS}, 1, load_engine())
