"""`vmlab bench boot`: what it reports, and what it says about a guest that never gets to a prompt."""

import json
import struct
from pathlib import Path

import pytest

from app import cli
from emulator.bench import boot
from emulator.bench.stopwatch import BenchError
from emulator.build.engine import load_engine
from emulator.machine.linux import bundle

# `j` over the header, then SBI SRST: a kernel that switches the machine off at once.
HEADER = struct.pack("<IIQQQIIQ8s4sI", 0x0400_006F, 0, 0x20_0000, 0x1000, 0, 2, 0, 0, b"RISCV", b"RSC\5", 0)
LEGACY_SHUTDOWN = struct.pack("<II", 0x0080_0893, 0x0000_0073)  # li a7, 8; ecall


def test_a_guest_that_never_prompts_is_an_error_that_shows_its_console(tmp_path: Path):
    image = tmp_path / "mute.itb"
    image.write_bytes(bundle(HEADER + LEGACY_SHUTDOWN, b"", "a test"))
    with pytest.raises(
        BenchError, match=r"mute.itb is shut off without a prompt; its console shows: nothing"
    ):
        next(boot.measure(image, 1, load_engine()))


def test_a_guest_that_is_not_built_is_a_user_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("VMLAB_CACHE", str(tmp_path))
    assert cli.main(["bench", "boot"]) == 2
    assert "run `vmlab guests build linux" in capsys.readouterr().err


@pytest.mark.slow
def test_boot_reports_instructions_and_both_clocks(
    linux_image: bytes, opensbi: Path, capsys: pytest.CaptureFixture[str]
):
    assert linux_image
    assert opensbi.is_file()
    assert cli.main(["bench", "boot", "--repeat", "1", "--json"]) == 0
    found = {row["name"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    hosted = [f"boot.linux.{name}" for name in ("instructions", "exits", "wall_s", "cpu_s")]
    assert [*found] == [*hosted, *(f"boot.bare.{name}" for name in ("instructions", "wall_s", "cpu_s"))]
    assert 1_000_000 < found["boot.linux.instructions"] < 45_000_000
