"""Fixtures: the checked kernels, which compile once for all of this directory.

`pytest tests/checked --hypothesis-profile=long` tries two hundred times as many examples.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from emulator.build.engine import load_engine
from emulator.machine.host import Host
from tests.hypervisor.bench import Bench

settings.register_profile("long", max_examples=20_000)


@pytest.fixture(scope="session")
def engine() -> Any:
    """The kernels with a bounds check around every access."""
    return load_engine(checked=True)


@pytest.fixture
def host(engine: Any) -> Host:
    """One hart, 1 MiB."""
    return Host(1, 1 << 20, 100_000_000, engine)


@pytest.fixture
def make_bench(engine: Any) -> Callable[..., Bench]:
    """Make hosts with a hypervisor."""
    return lambda **sizes: Bench(engine, **sizes)
