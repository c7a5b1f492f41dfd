"""Linux on the bare machine is a KVM host: a monitor of ours runs a second Linux as its guest."""

from pathlib import Path
from typing import Any

import pytest

from app.guests import nested
from tests.guests.bare_linux import BareLinux

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def host(engine: Any, opensbi: Path, linux_image: bytes) -> BareLinux:
    image = nested.host_image(linux_image)
    return BareLinux(engine, opensbi, image, memory_bytes=nested.HOST_MEMORY_BYTES)


def test_a_guest_of_a_guest_boots_answers_and_powers_off(host: BareLinux) -> None:
    assert "hypervisor extension available" in host.type("dmesg")
    boot = host.type(nested.COMMAND)
    assert "Kernel command line: console=hvc0" in boot
    assert "hypervisor extension not available" in boot
    assert "answer=42\r\n" in host.type("echo answer=$((6*7))")
    assert "Power down" in host.type("poweroff -f")
    assert "console=ttyS0" in host.type("cat /proc/cmdline")


def test_a_monitor_that_cannot_go_on_says_why(host: BareLinux) -> None:
    assert "vmm: /no/such failed" in host.type("vmm 10 80000000 0 /no/such@80000000")
    assert "vmm: an argument FILE@ADDRESS" in host.type("vmm 10 80000000 0 /init@90000000000")
