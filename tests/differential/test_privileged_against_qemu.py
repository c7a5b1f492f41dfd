"""Privileged behaviour against QEMU: the same bare-metal program, the same trials, the same notes.

Where QEMU 7.2 is wrong or free to differ is written beside the trials (`privileged_trials`,
`translation_trials`) and in `comparison`, each with the sentence or section of the Privileged ISA 20240411
that says so.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.differential import privileged_trials, translation_trials
from tests.differential.bare_metal import Trial, run_ours, run_qemu
from tests.differential.comparison import first_differences
from tests.differential.operands import SEED


def check(
    engine: Any, qemu_7_2: str, directory: Path, trials: Sequence[Trial], memory: dict[int, bytes], name: str
) -> None:
    """Run trials on both machines."""
    ours = run_ours(engine, memory, trials)
    theirs = run_qemu(qemu_7_2, directory, memory, trials)
    found = first_differences(trials, ours, theirs)
    if found:
        pytest.fail(f"VMLAB_SEED={SEED} {name}\n" + "\n".join(found))


def chance(name: str) -> random.Random:
    return random.Random(f"{SEED} {name}")


def test_csr_writes_keep_what_qemu_keeps(engine: Any, qemu_7_2: str, tmp_path: Path) -> None:
    trials = privileged_trials.csr_write_trials(chance("writes"), 16)
    check(engine, qemu_7_2, tmp_path, trials, {}, "writes")


def test_csr_accesses_are_refused_as_in_qemu(engine: Any, qemu_7_2: str, tmp_path: Path) -> None:
    trials = privileged_trials.csr_access_trials(chance("accesses"), 8)
    check(engine, qemu_7_2, tmp_path, trials, {}, "accesses")


def test_system_instructions_do_what_they_do_in_qemu(engine: Any, qemu_7_2: str, tmp_path: Path) -> None:
    trials = privileged_trials.system_trials(chance("system"), 4000)
    check(engine, qemu_7_2, tmp_path, trials, {}, "system")


def test_interrupts_go_where_they_go_in_qemu(engine: Any, qemu_7_2: str, tmp_path: Path) -> None:
    trials = privileged_trials.interrupt_trials(chance("interrupts"), 4000)
    check(engine, qemu_7_2, tmp_path, trials, {}, "interrupts")


def check_worlds(engine: Any, qemu_7_2: str, directory: Path, worlds: range) -> None:
    for number in worlds:
        luck = chance(f"world {number}")
        world = translation_trials.build(luck)
        trials = translation_trials.trials(luck, world, 200)
        check(engine, qemu_7_2, directory, trials, world.memory.content(), f"world {number}")


def test_random_page_tables_translate_as_in_qemu(engine: Any, qemu_7_2: str, tmp_path: Path) -> None:
    check_worlds(engine, qemu_7_2, tmp_path, range(8))


@pytest.mark.slow
def test_many_random_page_tables_translate_as_in_qemu(engine: Any, qemu_7_2: str, tmp_path: Path) -> None:
    check_worlds(engine, qemu_7_2, tmp_path, range(8, 120))
