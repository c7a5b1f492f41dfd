"""Memory of the kernels: guard pages around each piece."""

import subprocess
import sys
from pathlib import Path

import pytest

from emulator.build.arena import OutOfMemoryError, plain

PROGRAM = """
import ctypes, mmap
from emulator.build.arena import guarded

arena = guarded(mmap.PAGESIZE + 8)
arena.u32(3)[2] = 7
assert ctypes.c_uint32.from_address(arena.address + 8).value == 7
for place in (0, 2 * mmap.PAGESIZE - 1):
    ctypes.c_char.from_address(arena.address + place).value = b"x"
print("inside", flush=True)
ctypes.c_char.from_address(arena.address + {place}).value = b"x"
print("outside", flush=True)
"""


@pytest.mark.parametrize("place", ["-1", "2 * mmap.PAGESIZE"])
def test_access_outside_ends_the_process(project: Path, place: str) -> None:
    program = PROGRAM.format(place=place)
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=False
    )
    assert run.stdout == "inside\n", run.stderr
    assert run.returncode < 0


def test_memory_that_is_not_to_be_had_is_a_user_error() -> None:
    with pytest.raises(OutOfMemoryError, match="run the lab on the server"):
        plain(1 << 62)
