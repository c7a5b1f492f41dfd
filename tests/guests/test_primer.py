"""Primer, the teaching system: in a VM, on the bare machine, and processes that cannot hurt each other."""

import subprocess
from collections.abc import Callable, Sequence
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


def test_it_runs_the_same_under_shadow_paging(boot: Callable[..., Lab]) -> None:
    shown = []
    for paging in ("nested", "shadow"):
        lab = boot(paging=paging)
        shown.append([lab.console("p"), type_(lab, "ls"), type_(lab, "echo one two")])
    assert shown[0] == shown[1]
    assert lab.vm("p").exits["satp access"] > 2


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


def test_the_power_button_switches_it_off(boot: Callable[..., Lab]) -> None:
    lab = boot()
    lab.apply({"verb": "shutdown", "vm": "p"})
    lab.advance(lab.position + SLICE)
    assert lab.vm("p").state.value == "shut off"
    assert "power button" in lab.history("p")


def test_the_reboot_verb_starts_it_again(boot: Callable[..., Lab]) -> None:
    lab = boot()
    lab.apply({"verb": "reboot", "vm": "p"})
    wait(lab, 0)
    assert lab.vm("p").starts == 2


def test_an_idle_system_does_not_run(boot: Callable[..., Lab]) -> None:
    lab = boot(console="virtio")
    before = lab.vm("p").vcpus[0].retired
    lab.advance(lab.position + 100_000_000)
    assert lab.vm("p").vcpus[0].retired == before


def test_ctrl_c_ends_the_program_in_front(boot: Callable[..., Lab]) -> None:
    lab = boot()
    lab.apply({"verb": "console_input", "vm": "p", "text": "spin\n"})
    lab.advance(lab.position + 5_000_000)
    start = len(lab.console("p"))
    lab.apply({"verb": "console_input", "vm": "p", "text": "\x03"})
    assert "spin: ended with 137" in wait(lab, start)


def test_the_shell_cannot_be_killed(boot: Callable[..., Lab]) -> None:
    lab = boot()
    for pid in ("1", "4294967297", "0", "-1"):
        assert "no such process" in type_(lab, f"kill {pid}")


def test_processes_that_end_give_their_memory_back(boot: Callable[..., Lab]) -> None:
    lab = boot()
    before = type_(lab, "mem")
    for line in ("count 1", "crash null", "crash stack", "nosuch", "spin &", "kill 5", "ps"):
        type_(lab, line)
    assert type_(lab, "mem") == before


def test_processes_beyond_its_room_are_refused(boot: Callable[..., Lab]) -> None:
    lab = boot(memory="1 MiB")
    answers = [type_(lab, "spin &") for _ in range(18)]
    assert "no memory, or too many processes" in answers[-1]
    assert "shell" in type_(lab, "ps")


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


class OnBoard:
    """Primer under OpenSBI on the bare machine, at its prompt."""

    def __init__(
        self, engine: Engine, kernel: bytes, opensbi: Path, disk: VirtioBlock, virtio: bool = False
    ) -> None:
        self._console = bytearray()
        port = VirtioConsole(self._console.extend)
        config = BoardConfig(memory_bytes=8 << 20)
        self.board = Board(config, engine, self._console.extend, [disk, *([port] if virtio else [])])
        self._receive = port.receive if virtio else self.board.uart.receive
        executable = elf.load(kernel, "primer")
        firmware = elf.load(opensbi.with_suffix(".elf").read_bytes(), "opensbi", relocatable=True)
        self.board.load(executable)
        self.board.load(firmware)
        self.board.start(firmware.entry, executable.entry)
        self._wait(0)

    @property
    def text(self) -> str:
        """What it has written."""
        return self._console.decode(errors="replace")

    def _wait(self, start: int) -> str:
        for _ in range(500):
            self.board.run(SLICE)
            if self.text[start:].endswith("\n$ ") or self.board.machine.stop_code is not None:
                return self.text[start:]
        raise AssertionError(self.text)

    def type(self, line: str) -> str:
        """Type a line; return what is shown up to the next prompt."""
        start = len(self.text)
        self._receive(line.encode() + b"\r")
        return self._wait(start)


@pytest.mark.parametrize("virtio", [True, False])
def test_it_boots_on_the_bare_machine_under_opensbi(
    engine: Engine, kernel: bytes, opensbi: Path, virtio: bool
) -> None:
    machine = OnBoard(engine, kernel, opensbi, VirtioBlock(bytes(256 << 10)), virtio)
    assert f"{'virtio' if virtio else 'SBI'} console, disk of 256 KiB" in machine.text
    assert " KiB free" in machine.type("mem")
    machine.type("shutdown")
    assert machine.board.machine.stop_code == 0


MARKED = b"PRIMERFS\0".ljust(512, b"\0")


@pytest.mark.parametrize("disk", [b"\xff" * 4096, MARKED + b"\xff" * 4096, MARKED + b"\1\0" * 2048])
def test_a_disk_may_hold_anything(engine: Engine, kernel: bytes, opensbi: Path, disk: bytes) -> None:
    machine = OnBoard(engine, kernel, opensbi, VirtioBlock(disk))
    for line in ("ls", "cat a", "write a b", "rm a", "format", "write a kept"):
        machine.type(line)
    assert "kept" in machine.type("cat a")
    assert "panic" not in machine.text


SAME_EVERYWHERE = (
    "format", "write note to be kept", "ls", "cat note", "cat other", "crash kernel", "crash privileged",
    "crash stack", "crash pointer", "count 2", "kill 99",
)  # fmt: skip


def test_qemu_shows_the_same(
    engine: Engine, kernel: bytes, opensbi: Path, qemu_system: str, tmp_path: Path
) -> None:
    disk, program = tmp_path / "disk", tmp_path / "primer.elf"
    disk.write_bytes(bytes(256 << 10))
    program.write_bytes(kernel)
    machine = OnBoard(engine, kernel, opensbi, VirtioBlock(bytes(256 << 10)))
    here = [machine.type(line) for line in SAME_EVERYWHERE]
    assert in_qemu(qemu_system, program, disk, SAME_EVERYWHERE) == here
    assert "to be kept" in in_qemu(qemu_system, program, disk, ["cat note"])[0]  # on the same disk, later


def in_qemu(qemu: str, program: Path, disk: Path, lines: Sequence[str]) -> list[str]:
    """Type lines into Primer under QEMU; return what each answers."""
    options = (
        "-M virt -m 8M -display none -monitor none -serial stdio -global virtio-mmio.force-legacy=false"
        f" -drive file={disk},format=raw,if=none,id=disk -device virtio-blk-device,drive=disk"
    )
    with subprocess.Popen(
        [qemu, *options.split(), "-kernel", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        try:
            prompt(process)
            answers: list[str] = []
            for line in lines:
                process.stdin.write(line.encode() + b"\r")
                process.stdin.flush()
                answers.append(prompt(process))
            return answers
        finally:
            process.kill()


def prompt(process: subprocess.Popen[bytes]) -> str:
    """Read up to the next prompt."""
    assert process.stdout is not None
    shown = b""
    while not shown.endswith(b"\n$ "):
        byte = process.stdout.read(1)
        assert byte, shown
        shown += byte
    return shown.decode()
