"""Fixtures: the compiled engine."""

from typing import Any

import pytest

from emulator.build.engine import load_engine


@pytest.fixture(scope="session")
def engine() -> Any:
    """The compiled kernels."""
    return load_engine()
