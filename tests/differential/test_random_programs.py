"""Random programs against unicorn: all registers, the pc and all data after hundreds of steps."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from emulator.isa.encodings import BY_NAME, decode, encode
from emulator.state import RAM_BASE
from tests.differential.operands import SEED, value
from tests.differential.oracle import Pair, State, listing
from tests.differential.programs import DATA_BYTES, program

CODE = RAM_BASE + 0x10_0000
ROOM = 512  # bytes for one program
DATA = RAM_BASE + 0x1000
ATOMS, STEPS = 36, 160
BATCH = 500
NOPS = {2: encode(BY_NAME["c.nop"], {"imm": 0}), 4: encode(BY_NAME["addi"], {})}


@dataclass(frozen=True)
class Trial:
    """A program with all that it starts from."""

    code: bytes
    registers: dict[int, int]
    memory: bytes
    steps: int


Compare = Callable[[Trial], list[str]]


@pytest.fixture(scope="module")
def pair(engine: Any) -> Pair:
    """Both machines."""
    return Pair(engine)


def trials(seed: str, count: int) -> list[Trial]:
    """Make the trials of one seed."""
    chance = random.Random(seed)
    made: list[Trial] = []
    for _ in range(count):
        registers = {number: value(chance) for number in range(1, 32)}
        registers |= {2: DATA + DATA_BYTES // 2, 3: DATA + DATA_BYTES // 2}
        code = program(chance, ATOMS)
        assert len(code) <= ROOM
        made.append(Trial(code, registers, chance.randbytes(DATA_BYTES), STEPS))
    return made


def differences(pair: Pair, trial: Trial, place: int) -> list[str]:
    """Run a trial whose code is in place on both machines."""
    pair.write(DATA, trial.memory)
    window = (DATA, DATA_BYTES)
    ours = pair.run_ours(place, trial.registers, trial.steps, window)
    theirs: State = pair.run_unicorn(place, trial.registers, trial.steps, window)
    return ours.differences(theirs)


def compare_alone(pair: Pair, trial: Trial) -> list[str]:
    """Put a trial's code in place and run it."""
    pair.write(CODE, trial.code)
    pair.forget_code()
    return differences(pair, trial, CODE)


def boundaries(code: bytes) -> list[tuple[int, int]]:
    """Return offset and length of each instruction."""
    found: list[tuple[int, int]] = []
    offset = 0
    while offset < len(code):
        length = 4 if code[offset] & 3 == 3 else 2
        found.append((offset, length))
        offset += length
    return found


def shrink(trial: Trial, compare: Compare) -> Trial:
    """Return the fewest instructions and steps with which the machines still differ."""
    for offset, length in boundaries(trial.code) * 2:
        nop = NOPS[length].to_bytes(length, "little")
        shorter = replace(trial, code=trial.code[:offset] + nop + trial.code[offset + length :])
        if shorter != trial and compare(shorter):
            trial = shorter
    for steps in range(1, trial.steps):
        if compare(replace(trial, steps=steps)):
            return replace(trial, steps=steps)
    return trial


def report(seed: str, trial: Trial, compare: Compare) -> str:
    """Shrink a failing trial and print it."""
    small = shrink(trial, compare)
    lines = [
        line
        for line in listing(small.code, CODE).splitlines()
        if not line.split(": ")[1].startswith(("nop", "c.nop"))
    ]
    registers = ", ".join(f"x{n}={v:#x}" for n, v in small.registers.items())
    return "\n".join(
        [
            f"VMLAB_SEED={SEED} ({seed}): after {small.steps} steps",
            *lines,
            f"before: {registers}",
            *compare(small),
        ]
    )


def check(pair: Pair, seed: str, count: int) -> None:
    made = trials(seed, count)
    for number, trial in enumerate(made):
        pair.write(CODE + number * ROOM, trial.code)
    pair.forget_code()
    for number, trial in enumerate(made):
        if differences(pair, trial, CODE + number * ROOM):
            pytest.fail(report(f"{seed}, program {number}", trial, lambda trial: compare_alone(pair, trial)))


def test_random_programs_agree_with_unicorn(pair: Pair) -> None:
    for batch in range(4):
        check(pair, f"{SEED} {batch}", BATCH)


@pytest.mark.slow
def test_many_random_programs_agree_with_unicorn(pair: Pair) -> None:
    for batch in range(4, 100):
        check(pair, f"{SEED} {batch}", BATCH)


def test_planted_fault_is_shrunk_to_its_instruction(pair: Pair) -> None:
    """Unicorn is given `or` for every `xor`: the report must come down to one."""

    def with_fault(trial: Trial) -> list[str]:
        pair.write(CODE, trial.code)
        pair.unicorn.mem_write(CODE, corrupted(trial.code))
        pair.forget_code()
        return differences(pair, trial, CODE)

    trial = next(trial for trial in trials(f"{SEED} planted", 200) if with_fault(trial))
    small = shrink(trial, with_fault)
    names = [decoded(small.code, offset, length) for offset, length in boundaries(small.code)]
    assert names.count("xor") == 1
    assert sum(name not in ("addi", "c.nop", "xor") for name in names) <= 8
    assert with_fault(small)


def decoded(code: bytes, offset: int, length: int) -> str:
    found = decode(int.from_bytes(code[offset : offset + length], "little"))
    assert found is not None
    return found[0].name


def corrupted(code: bytes) -> bytes:
    """Replace xor by or."""
    result = bytearray(code)
    for offset, length in boundaries(code):
        if decoded(code, offset, length) == "xor":
            word = int.from_bytes(code[offset : offset + 4], "little") | BY_NAME["or"].match
            result[offset : offset + 4] = word.to_bytes(4, "little")
    return bytes(result)
