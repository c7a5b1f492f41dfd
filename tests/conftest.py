"""The compiled kernels, and tools that a developer may lack: then a test is skipped, or fails in CI."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from app.guests import images
from emulator.bench import boot

PROJECT = Path(__file__).resolve().parent.parent

# How long an example takes is the machine's business.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def find_tool(*names: str, package: str) -> str:
    """Return the path of the first of `names` on PATH; else skip the test, or fail it where CI=true."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        lack(f"{names[0]} is not installed (Debian package {package})")
    return path


def lack(reason: str) -> NoReturn:
    """Skip a test for something that is not on this machine; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def engine() -> Any:
    """The compiled kernels."""
    from emulator.build.engine import load_engine

    return load_engine()


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Chromium, for Playwright's `executable_path`."""
    return find_tool("chromium", "chromium-browser", "google-chrome", package="chromium")


@pytest.fixture(scope="session")
def qemu_system() -> str:
    """QEMU's RISC-V system emulator."""
    return find_tool("qemu-system-riscv64", package="qemu-system-misc")


@pytest.fixture(scope="session")
def qemu_user() -> str:
    """QEMU's RISC-V user-mode emulator."""
    return find_tool("qemu-riscv64", package="qemu-user")


@pytest.fixture(scope="session")
def qemu_img() -> str:
    """QEMU's tool for disk images."""
    return find_tool("qemu-img", package="qemu-utils")


@pytest.fixture(scope="session")
def opensbi() -> Path:
    """OpenSBI's fw_dynamic.bin, from Debian's package."""
    path = boot.FIRMWARE
    if not path.is_file():
        lack(f"{path} is missing (Debian package opensbi)")
    return path


@pytest.fixture(scope="session")
def linux_image() -> bytes:
    """The FIT image; without it the test is skipped and says so, and fails in CI."""
    if not images.image_path("linux").is_file():
        lack("the Linux guest is not built; run `vmlab guests build linux`")
    return images.read_image("linux")


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The text of axe-core, to be injected into a page."""
    return (PROJECT / "static/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test under tests/browser its marker and a second try, and run the slow tests last.

    Chromium, server, worker and test share two cores: losing that race once is no finding, twice is.
    The summary names each rerun and what it was for.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests had a second try, and what went wrong at the first."""
    for report in terminalreporter.stats.get("rerun", []):
        crash = getattr(report.longrepr, "reprcrash", None)
        reason = str(getattr(crash, "message", report.longrepr)).partition("\n")[0]
        terminalreporter.write_line(f"RERUN {report.nodeid}: {reason}")


def _group(item: pytest.Item) -> str:
    """Return the name under which a test shares a process with those that use the same fixtures."""
    for folder in ("browser", "checked"):
        if folder in item.path.parts:
            return folder
    return item.nodeid if item.get_closest_marker("slow") else str(item.path)


def pytest_configure() -> None:
    """Refuse to run without the packages the suite always needs, naming the remedy."""
    missing = [
        name for name in ("ziglang", "unicorn", "hypothesis") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise pytest.UsageError(f"not installed: {', '.join(missing)}; run the suite as `make test`")
