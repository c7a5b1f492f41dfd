"""Fixtures: a bare machine."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import lack
from tests.core.machine import Machine


@pytest.fixture
def machine(engine: Any) -> Machine:
    """One hart, 2 MiB."""
    return Machine(engine)


@pytest.fixture
def make_machine(engine: Any) -> Callable[..., Machine]:
    """Make machines of other sizes."""
    return lambda **sizes: Machine(engine, **sizes)


@pytest.fixture(scope="session")
def qemu_7_2(qemu_system: str) -> str:
    """QEMU 7.2, whose faults are known here."""
    version = subprocess.run([qemu_system, "--version"], capture_output=True, text=True, check=True).stdout
    if "version 7.2" not in version:
        lack(f"the trials avoid the faults of QEMU 7.2; this is {version.splitlines()[0]}")
    return qemu_system
