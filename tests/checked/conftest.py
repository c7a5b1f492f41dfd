"""Fixtures: the checked kernels, which compile once for all of this directory."""

from typing import Any

import pytest

from emulator.build.engine import load_engine


@pytest.fixture(scope="session")
def engine() -> Any:
    """The kernels with a bounds check around every access."""
    return load_engine(checked=True)
