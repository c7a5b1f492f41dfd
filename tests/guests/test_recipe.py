"""Guests that are missing, or cannot be built, say so and name the remedy."""

from pathlib import Path

import pytest

from app.cli import main
from app.guests import images, linux, packages
from app.guests.errors import GuestError
from emulator.machine.linux import unbundle


def test_missing_tools_are_named_with_their_packages():
    with pytest.raises(GuestError) as caught:
        packages.require_tools({"sh": "dash", "no-such-flex": "flex", "no-such-bison": "bison"})
    assert str(caught.value) == "not installed: no-such-flex, no-such-bison; run `apt-get install flex bison`"


def test_a_failing_command_shows_its_last_lines(tmp_path: Path):
    with pytest.raises(GuestError, match="it is broken"):
        packages.run(["sh", "-c", "echo it is broken >&2; exit 3"], tmp_path)


def test_a_guest_that_is_not_built_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VMLAB_CACHE", str(tmp_path))
    with pytest.raises(GuestError) as caught:
        images.read_image("linux")
    assert "run `vmlab guests build linux`" in str(caught.value)


def test_building_without_tools_is_a_user_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("VMLAB_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["guests", "build", "linux"]) == 2
    assert "gcc-riscv64-linux-gnu" in capsys.readouterr().err


def test_an_option_that_linux_drops_is_an_error(tmp_path: Path):
    (tmp_path / ".config").write_text("CONFIG_MMU=y\n# CONFIG_FPU is not set\n", encoding="utf-8")
    fragment = tmp_path / "linux.config"
    fragment.write_text("CONFIG_MMU=y\nCONFIG_FPU=y\n", encoding="utf-8")
    with pytest.raises(GuestError, match=r"drops CONFIG_FPU=y; set what they need in linux.config"):
        linux.check_options(tmp_path / ".config", fragment)


def test_the_initramfs_has_a_shell_an_init_and_a_console():
    data = linux.initramfs(b"\x7fELF busybox")
    for part in (b"bin/busybox\0", b"bin/sh\0", b"init\0", b"dev/console\0", b"#!/bin/sh"):
        assert part in data


@pytest.mark.slow
def test_the_built_image_holds_kernel_and_initramfs(linux_image: bytes):
    kernel, initrd = unbundle(linux_image, "linux")
    assert kernel[56:60] == b"RSC\x05"
    assert initrd.startswith(b"070701")
