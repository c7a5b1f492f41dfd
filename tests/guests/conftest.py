"""Fixtures: the compiled engine, and the Linux guest if it was built on this machine."""

import os
from typing import Any

import pytest

from app.guests import images
from emulator.build.engine import load_engine


@pytest.fixture(scope="session")
def engine() -> Any:
    """The compiled kernels."""
    return load_engine()


@pytest.fixture(scope="session")
def linux_image() -> bytes:
    """The FIT image; without it the test is skipped and says so, and fails in CI."""
    if not images.image_path("linux").is_file():
        reason = "the Linux guest is not built; run `vmlab guests build linux`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return images.read_image("linux")
