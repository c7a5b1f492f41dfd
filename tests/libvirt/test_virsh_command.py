"""`vmlab virsh`: the host console without a page."""

from pathlib import Path

import pytest

from app.cli import main
from app.commands.virsh import carry_out
from emulator.lab import Lab
from tests.libvirt.conftest import Type

LESSON = "lessons/01-first-virtual-machine"


def test_commands_are_carried_out_in_order(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert main(["virsh", str(project / LESSON), "list --all", "advance 1ms", "nodeinfo"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("shut off") < printed.index("nothing can happen until") < printed.index("CPU model:")


def test_a_command_that_fails_is_told_and_counted(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert main(["virsh", str(project / LESSON), "start nobody", "hostname"]) == 1
    printed = capsys.readouterr().out
    assert "error: failed to get domain 'nobody'" in printed
    assert "vmlab" in printed


def test_domain_xml_is_read_from_a_file(lab: Lab, virsh: Type, tmp_path: Path) -> None:
    file = tmp_path / "db.xml"
    file.write_text(virsh("dumpxml db"))
    virsh("undefine db")
    assert "Domain 'db' defined" in carry_out(lab, f"define {file}")
    assert carry_out(lab, "define /nowhere.xml").startswith("error: cannot read /nowhere.xml")
    assert carry_out(lab, "advance soon").startswith("error: advance is wrong")
