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


def test_a_lab_is_planned_and_applied_from_a_file_once(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("lab:\n  host: {pcpus: 2, memory: 16 MiB}\n  vms:\n    - {name: web, program: spin.s}\n")
    planned = carry_out(lab, f"plan {file}")
    assert planned == "- vm db\n~ host: scheduler stride -> round-robin\n~ vm web: vcpus 2 -> 1\n\n"
    assert lab.log == []
    assert carry_out(lab, f"apply {file}") == planned
    assert carry_out(lab, f"apply {file}") == "nothing to do: the lab is as described\n\n"
    file.write_text("lab: {hots: {}}")
    assert carry_out(lab, f"plan {file}").startswith("error: ")
