"""Symbols of the Linux guest: from its build's System.map into the image, also of one built already."""

from pathlib import Path

import pytest

from app.guests import images, linux, system_map
from emulator.machine import linux as fit
from emulator.machine import symbol_table
from tests.machine.test_linux import image

SYSTEM_MAP = """\
0000000000001000 A PECOFF_SECTION_ALIGNMENT
ffffffff80000000 T _start
ffffffff80000000 T _text
ffffffff80000040 t reset
ffffffff80000080 t reset
ffffffff800000c0 d __func__.7
ffffffff800000c0 t __initcall__kmod_core
ffffffff80000100 B jiffies
"""


def test_functions_and_data_are_kept_and_what_the_build_made_up_is_not() -> None:
    runs_at, symbols = symbol_table.unpack(system_map.table(SYSTEM_MAP))
    assert runs_at == 0xFFFF_FFFF_8000_0000
    assert [name for name, _ in symbols] == ["_start", "_text", "reset", "reset", "jiffies"]
    assert dict(symbols)["jiffies"] == runs_at + 0x100
    assert system_map.table("no map") == b""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A build that is kept, and an image made of it when symbols were not."""
    (tmp_path / "build/arch/riscv/boot").mkdir(parents=True)
    (tmp_path / "build/arch/riscv/boot/Image").write_bytes(image())
    (tmp_path / "build/System.map").write_text(SYSTEM_MAP, encoding="ascii")
    return tmp_path


def made_before(folder: Path, kernel: bytes) -> Path:
    target = folder / "linux.itb"
    target.write_bytes(fit.bundle(kernel, b"files", "Linux"))
    target.with_suffix(".made-from").write_text(linux.fingerprint(), encoding="ascii")
    return target


def test_an_image_that_is_built_gets_its_symbols_without_being_built_again(workspace: Path) -> None:
    target = made_before(workspace, image())
    before = target.read_bytes()
    assert not linux.build(workspace, target, 1, lambda *_: None)
    assert linux.has_symbols(target)
    assert images.what_runs(target.read_bytes()) == before, "a lesson's version stays as it was"
    named = target.read_bytes()
    assert not linux.build(workspace, target, 1, lambda *_: None)
    assert target.read_bytes() == named


def test_symbols_of_another_kernel_are_not_taken(workspace: Path) -> None:
    target = made_before(workspace, image(b"\0\0\0\0"))
    assert not linux.build(workspace, target, 1, lambda *_: None)
    assert not linux.has_symbols(target)
