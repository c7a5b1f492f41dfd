"""Linux, built from Debian's source, boots to a shell as a VM's guest, and two of them side by side."""

from collections.abc import Callable

import pytest

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.machine.engine import Engine

PROMPT = "~ # "
BOOT_CYCLES = 100_000_000
TARGET_INSTRUCTIONS = 45_000_000

pytestmark = pytest.mark.slow


@pytest.fixture
def make_lab(engine: Engine, linux_image: bytes) -> Callable[..., Lab]:
    """Make a lab whose VMs are Linux guests that have been started."""

    def make(*names: str, pcpus: int = 1, seed: int = 1) -> Lab:
        vms = [{"name": name, "memory": "32 MiB", "program": "linux", "autostart": True} for name in names]
        config = {"host": {"pcpus": pcpus, "memory": "80 MiB"}, "vms": vms}
        return Lab(LabConfig.from_dict(config), {"linux": Program("linux", elf=linux_image)}, seed, engine)

    return make


def _run_to_prompt(lab: Lab, *names: str) -> None:
    for name in names:
        condition = {"kind": "console", "vm": name, "text": PROMPT}
        there = PROMPT in lab.console(name) or lab.run_until(condition, lab.position + BOOT_CYCLES)
        assert there, lab.console(name)[-500:]


def _type(lab: Lab, name: str, line: str, answer: str) -> None:
    lab.apply({"verb": "console_input", "vm": name, "text": line + "\n"})
    shown = lab.run_until({"kind": "console", "vm": name, "text": answer}, lab.position + BOOT_CYCLES)
    assert shown, lab.console(name)[-500:]


def test_linux_boots_to_a_shell_within_the_target(make_lab: Callable[..., Lab]):
    lab = make_lab("a")
    _run_to_prompt(lab, "a")
    vm = lab.vm("a")
    assert "Linux version 6.1." in lab.console("a")
    assert vm.vcpus[0].retired < TARGET_INSTRUCTIONS
    assert not vm.faults


def test_what_is_typed_reaches_the_shell(make_lab: Callable[..., Lab]):
    lab = make_lab("a")
    _run_to_prompt(lab, "a")
    _type(lab, "a", "echo answer=$((6*7))", "answer=42\r\n")
    _type(lab, "a", "awk 'BEGIN { print 1 / 8 }'", "0.125\r\n")
    _type(lab, "a", "cat /proc/cmdline", "console=hvc0\r\n")


def test_the_shell_can_switch_the_machine_off(make_lab: Callable[..., Lab]):
    lab = make_lab("a")
    _run_to_prompt(lab, "a")
    lab.apply({"verb": "console_input", "vm": "a", "text": "poweroff -f\n"})
    lab.advance(lab.position + BOOT_CYCLES)
    assert lab.vm("a").state.value == "shut off"


def test_two_linux_guests_side_by_side_are_the_same_in_every_run(make_lab: Callable[..., Lab]):
    hashes: set[str] = set()
    for _ in range(2):
        lab = make_lab("a", "b", pcpus=2)
        _run_to_prompt(lab, "a", "b")
        _type(lab, "b", "hostname second", "second")
        _type(lab, "a", "cat /proc/sys/kernel/hostname", "rvlab\r\n")
        lab.advance(lab.position + 1_000_000)
        hashes.add(lab.state_hash())
    assert len(hashes) == 1


def test_another_seed_gives_the_guests_other_random_numbers(make_lab: Callable[..., Lab]):
    answers: list[str] = []
    for seed in (1, 2):
        lab = make_lab("a", seed=seed)
        _run_to_prompt(lab, "a")
        _type(lab, "a", "cat /proc/sys/kernel/random/uuid; echo; echo done", "\r\ndone\r\n")
        answers.append(lab.console("a")[-60:])
    assert answers[0] != answers[1]
