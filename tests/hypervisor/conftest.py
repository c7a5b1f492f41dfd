"""Fixtures: the compiled engine, and a host for guests."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.hypervisor.bench import Bench


@pytest.fixture
def bench(engine: Any) -> Bench:
    """Two pCPUs, 8 MiB."""
    return Bench(engine)


@pytest.fixture
def make_bench(engine: Any) -> Callable[..., Bench]:
    """Make hosts of other sizes."""
    return lambda **sizes: Bench(engine, **sizes)
