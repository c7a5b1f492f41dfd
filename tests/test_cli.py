"""The frame around the subcommands."""

import argparse

import pytest

from app import cli
from app.commands import warm
from emulator.errors import VmLabError


def test_user_error_is_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: argparse.Namespace) -> int:
        raise VmLabError("lessons/03/lesson.md:14: host.memory is 7 KiB; must be a multiple of 4 KiB")

    monkeypatch.setattr(warm, "main", fail)
    assert cli.main(["warm"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "vmlab: lessons/03/lesson.md:14: host.memory is 7 KiB; must be a multiple of 4 KiB\n"
    )


def test_our_own_mistake_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(args: argparse.Namespace) -> int:
        raise AssertionError("a bug")

    monkeypatch.setattr(warm, "main", fail)
    with pytest.raises(AssertionError, match="a bug"):
        cli.main(["warm"])


def test_unknown_command_is_status_2_and_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["servee"])
    assert stop.value.code == 2
    assert "warm" in capsys.readouterr().err


def test_ctrl_c_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(warm, "main", interrupted)
    assert cli.main(["warm"]) == 130
