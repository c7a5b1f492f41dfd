"""Primer, the teaching system: in a VM, on the bare machine, and processes that cannot hurt each other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.guests import primer
from emulator.devices.virt import Board, BoardConfig
from emulator.devices.virtio.block import VirtioBlock
from emulator.devices.virtio.console import VirtioConsole
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.machine import elf
from emulator.machine.engine import Engine

SLICE = 400_000


@pytest.fixture(scope="module")
def kernel() -> bytes:
    """The kernel, compiled."""
    return primer.build()


@pytest.fixture
def boot(engine: Engine, kernel: bytes) -> Callable[..., Lab]:
    """Return a lab in which Primer runs as VM `p` and stands at its prompt."""

    def make(**settings: object) -> Lab:
        vm = {"name": "p", "memory": "2 MiB", "program": "primer", "autostart": True, **settings}
        lab = Lab(LabConfig.from_dict({"vms": [vm]}), {"primer": Program("primer", elf=kernel)}, 1, engine)
        wait(lab, 0)
        return lab

    return make


def wait(lab: Lab, start: int) -> str:
    """Run until there is a prompt after `start`; return the console from there."""
    for _ in range(1000):
        lab.advance(lab.position + SLICE)
        shown = lab.console("p")[start:]
        if shown.endswith("\n$ ") or lab.vm("p").state.value == "shut off":
            return shown
    raise AssertionError(lab.console("p"))


def type_(lab: Lab, line: str) -> str:
    """Type a line; return what is shown up to the next prompt."""
    start = len(lab.console("p"))
    lab.apply({"verb": "console_input", "vm": "p", "text": line + "\n"})
    return wait(lab, start)


def test_it_boots_in_little_memory_and_few_instructions(boot: Callable[..., Lab]) -> None:
    lab = boot(memory="1 MiB")
    assert "SBI console, no disk" in lab.console("p")
    assert lab.vm("p").vcpus[0].retired < 500_000


@pytest.mark.parametrize("console", ["sbi", "virtio"])
def test_its_shell_answers(boot: Callable[..., Lab], console: str) -> None:
    lab = boot(console=console)
    assert f"{'SBI' if console == 'sbi' else 'virtio'} console" in lab.console("p")
    assert "running" in type_(lab, "ps")
    assert "of 2048 KiB free" in type_(lab, "mem")
    assert type_(lab, "shutdown") == "shutdown\r\n\n" or lab.vm("p").state.value == "shut off"


def test_files_outlive_a_reboot(boot: Callable[..., Lab]) -> None:
    lab = boot(disk="256 KiB")
    type_(lab, "format")
    type_(lab, "write note to be kept")
    lab.apply({"verb": "reset", "vm": "p"})
    wait(lab, 0)
    assert "to be kept" in type_(lab, "cat note")


def test_spinning_processes_share_the_time(boot: Callable[..., Lab]) -> None:
    lab = boot()
    type_(lab, "spin &")
    type_(lab, "spin &")
    lab.advance(lab.position + 40_000_000)
    rows = [line.split() for line in type_(lab, "ps").splitlines() if line.endswith("spin")]
    first, second = (int(row[3]) for row in rows)
    assert min(first, second) > 0.8 * max(first, second) > 50


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("null", "load page fault at 0x0 (a null pointer)"),
        ("kernel", "(the kernel's memory)"),
        ("code", "store page fault"),
        ("jump", "instruction page fault at 0x50000000"),
        ("illegal", "illegal instruction"),
        ("privileged", "illegal instruction"),
        ("stack", "store page fault"),
        ("pointer", "the kernel says"),
    ],
)
def test_a_process_that_does_wrong_dies_alone(boot: Callable[..., Lab], way: str, said: str) -> None:
    lab = boot()
    assert said in type_(lab, f"crash {way}")
    assert "shell" in type_(lab, "ps")
    assert not lab.vm("p").faults


def test_every_run_is_the_same(boot: Callable[..., Lab]) -> None:
    def state() -> str:
        lab = boot(disk="256 KiB", console="virtio")
        for line in ("format", "spin &", "write a b", "crash null"):
            type_(lab, line)
        return lab.state_hash()

    assert state() == state()


@pytest.mark.parametrize("virtio", [True, False])
def test_it_boots_on_the_bare_machine_under_opensbi(
    engine: Engine, kernel: bytes, opensbi: Path, virtio: bool
) -> None:
    console = bytearray()
    port = VirtioConsole(console.extend)
    devices = [VirtioBlock(bytes(256 << 10)), *([port] if virtio else [])]
    board = Board(BoardConfig(memory_bytes=8 << 20), engine, console.extend, devices)
    executable = elf.load(kernel, "primer")
    firmware = elf.load((opensbi.with_suffix(".elf")).read_bytes(), "opensbi", relocatable=True)
    board.load(executable)
    board.load(firmware)
    board.start(firmware.entry, executable.entry)
    typed = False
    for _ in range(200):
        board.run(SLICE)
        if console.endswith(b"\n$ ") and not typed:
            typed = True
            (port if virtio else board.uart).receive(b"mem\rshutdown\r")
    assert b" KiB free" in console
    assert board.machine.stop_code == 0
