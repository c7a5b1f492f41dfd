"""Fixtures: a bare machine."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.machine import Machine


@pytest.fixture
def machine(engine: Any) -> Machine:
    """One hart, 2 MiB."""
    return Machine(engine)


@pytest.fixture
def make_machine(engine: Any) -> Callable[..., Machine]:
    """Make machines of other sizes."""
    return lambda **sizes: Machine(engine, **sizes)
