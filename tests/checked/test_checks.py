"""The bounds checks themselves: where they are, what they allow, and that they find planted mistakes."""

import ast
import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.build.checked import regions_of
from emulator.build.checks import check_accesses
from emulator.build.generate import kernel_source
from emulator.machine.host import Host
from emulator.state import FAST_STRIDE, REGIONS
from tests.build.corpus import digests
from tests.checked.mutants import MUTANTS


def test_unchecked_kernels_have_no_checks() -> None:
    source = kernel_source()
    assert not [name for name in ("bounded", "bounds", "note_pc", "EXIT_BOUNDS") if name in source]


def test_every_access_and_index_is_checked() -> None:
    unchecked: list[str] = []
    for function in ast.parse(kernel_source(checked=True)).body:
        if isinstance(function, ast.FunctionDef) and function.name not in (
            "violated", "within", "bounded_store", "bounded_code",
        ):  # fmt: skip
            unchecked += [
                f"{function.name}: {ast.unparse(node)}" for node in ast.walk(function) if is_bare(node)
            ]
    assert not unchecked


def is_bare(node: ast.AST) -> bool:
    """Tell whether a node is an access or an index without a check around what it is given."""
    if isinstance(node, ast.Subscript):
        given = node.slice
    elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("load_u", "store_u")):
        given = node.args[0]
    else:
        return False
    return not (isinstance(given, ast.Call) and ast.unparse(given.func).startswith("bounded"))


def test_access_to_an_unknown_place_is_refused() -> None:
    with pytest.raises(ValueError, match="copy_page: what may be accessed at elsewhere"):
        check_accesses(ast.parse("def copy_page(elsewhere):\n    return load_u64(elsewhere)").body)


def test_index_into_an_unknown_array_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown length"):
        check_accesses(ast.parse("def f(hart, i):\n    return hart.novelty[i]").body)


def test_regions_are_what_the_host_has_allotted(engine: Any) -> None:
    host = Host(3, 1 << 20, 100_000_000, engine, rom_pages=2)
    addresses = ctypes.addressof(host.harts[1]), ctypes.addressof(host.record)
    regions = regions_of("run", (*addresses, 0))
    for name, arena in host._arenas.items():
        if name != "walk":
            assert regions.pop(name) == (arena.address, arena.size)
    assert regions.pop("own") == (host.record.fast + FAST_STRIDE, FAST_STRIDE)
    assert regions.pop("fresh") == (host.record.store, host.record.store_slots * 4096)
    assert not regions
    assert regions_of("read", (addresses[1], 0, 77, 5))["buffer"] == (77, 5)
    assert set(REGIONS) == {*host._arenas, "own", "fresh", "buffer"} - {"walk"}


def test_checked_kernels_reach_the_same_states(engine: Any) -> None:
    from emulator.build.engine import load_engine

    assert digests(engine) == digests(load_engine(checked=False))


def test_planted_mistakes_are_found(project: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.checked.mutants"],
        cwd=project,
        env={**os.environ, "VMLAB_JIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    verdicts = dict(line.split(": ") for line in run.stdout.splitlines())
    assert list(verdicts) == list(MUTANTS)
    for name, verdict in verdicts.items():
        before, after = verdict.split(", ")
        assert before == "sound", name
        assert after != "sound", name
