"""The kernels as plain Python, with no compiler in between, do what the compiled ones do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.build.corpus import PIECES, digests
from tests.build.wild import PIECE, Differs, Plain, Wild, listing, outcome, prepared, shrink


@pytest.mark.parametrize("piece", PIECES)
def test_plain_kernels_reach_the_same_states(engine: Any, piece: str, project: Path) -> None:
    command = [sys.executable, "-m", "tests.build.corpus", piece]
    plain = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "VMLAB_JIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.returncode == 0, plain.stderr
    _, *found = plain.stdout.split()
    expected = digests(engine, (piece,))[piece]
    assert len(found) == len(expected)
    different = [
        number for number, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]
    ]
    assert not different, f"{piece}: digests {different} differ"


def compare(engine: Any, project: Path, seeds: range) -> None:
    """Run wild programs on both, and show the first that differs, made as small as can be."""
    with Plain(project) as plain:
        for seed in seeds:
            if outcome(engine, Wild(seed)) != plain.outcome(Wild(seed)):
                pytest.fail(
                    report(engine, Wild(seed), lambda wild: outcome(engine, wild) != plain.outcome(wild))
                )


def report(engine: Any, wild: Wild, differs: Differs) -> str:
    """Shrink a program whose outcomes differ, and print it."""
    small = shrink(wild, prepared(engine, wild)[1], differs)
    return f"{small}\n{listing(engine, small)}"


def test_wild_programs_reach_the_same_states(engine: Any, project: Path) -> None:
    compare(engine, project, range(100))


@pytest.mark.slow
def test_many_wild_programs_reach_the_same_states(engine: Any, project: Path) -> None:
    compare(engine, project, range(100, 1000))


def test_planted_difference_is_shrunk_to_few_instructions(engine: Any) -> None:
    """The other kernels are the same ones, but count page-table references twice."""

    def references(wild: Wild) -> int:
        host, _, _ = prepared(engine, wild)
        host.run(0, PIECE * wild.pieces)
        return host.harts[0].walk_references

    wild = next(Wild(seed) for seed in range(100, 200) if references(Wild(seed)) > 3)
    small = shrink(wild, prepared(engine, wild)[1], lambda other: references(other) > 0)
    assert references(small) > 0
    kept = prepared(engine, small)[1] - len(small.dropped)
    assert kept <= 1, listing(engine, small)
