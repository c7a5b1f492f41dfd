"""Fixture: host RAM for devices to reach."""

from typing import Any

import pytest

from emulator.machine.host import Host


@pytest.fixture(scope="module")
def host(engine: Any) -> Host:
    """One megabyte."""
    return Host(1, 1 << 20, 100_000_000, engine)
