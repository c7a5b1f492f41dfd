"""The kernel module that is written from the encodings table."""

import ast
from collections import Counter

import pytest

from emulator.build.generate import ALIGNED, kernel_source
from emulator.isa.encodings import TABLE


@pytest.fixture(scope="module")
def source() -> ast.Module:
    """The generated module."""
    return ast.parse(kernel_source())


def functions(source: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in source.body if isinstance(node, ast.FunctionDef)}


def dispatched(function: ast.FunctionDef) -> list[int]:
    """Return the operation numbers that a function compares `op` with for equality."""
    found: list[int] = []
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.ops[0], ast.Eq)
            and ast.unparse(node.left) == "op"
        ):
            right = node.comparators[0]
            assert isinstance(right, ast.Name)
            found.append(int(right.id.removeprefix("K_"), 16))
    return found


def test_every_instruction_is_dispatched_exactly_once(source: ast.Module) -> None:
    places = ("run", "perform_atomic", "perform_system", "perform_exactly")
    run, atomic, system, exact = (Counter(dispatched(functions(source)[name])) for name in places)
    del run[0]  # not decoded yet
    # `run` may try the quick way of a floating-point instruction first.
    # Harts without C have their own jumps, numbered behind the table.
    jumps = (row.index + ALIGNED for row in TABLE if row.kind in ("jal", "jalr", "branch"))
    rows = Counter(row.index for row in TABLE) + Counter(jumps)
    assert (run - exact) + atomic + system + exact == rows


def test_quick_ways_are_tried_at_most_once(source: ast.Module) -> None:
    run, quick, exact = (
        Counter(dispatched(functions(source)[name])) for name in ("run", "perform_float", "perform_exactly")
    )
    tried = (run & exact) + quick
    assert set(tried.values()) == {1}
    assert tried.keys() <= exact.keys()


def test_no_plain_integer_is_left(source: ast.Module) -> None:
    left = [
        f"{name}: line {node.lineno}: {node.value}"
        for name, function in functions(source).items()
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and type(node.value) is int
    ]
    assert not left


def test_every_kernel_is_called_or_an_entry(source: ast.Module) -> None:
    defined = functions(source)
    called = {
        node.id for function in defined.values() for node in ast.walk(function) if isinstance(node, ast.Name)
    }
    assert {name for name in defined if name not in called and not name.startswith("enter_")} == set()
