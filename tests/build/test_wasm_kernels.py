"""The kernels as WebAssembly, run by wasmtime, do what the native ones do."""

from typing import Any

import pytest

from emulator.build.wasm_engine import load_core
from tests.build.corpus import PIECES, digests
from tests.build.wild import Wild, outcome


@pytest.fixture(scope="module")
def wasm() -> Any:
    """The WebAssembly kernels, built if need be."""
    return load_core()


@pytest.mark.parametrize("piece", PIECES)
def test_wasm_kernels_reach_the_same_states(engine: Any, wasm: Any, piece: str) -> None:
    assert digests(wasm, (piece,)) == digests(engine, (piece,))


def test_wild_programs_reach_the_same_states_in_wasm(engine: Any, wasm: Any) -> None:
    for seed in range(100):
        assert outcome(wasm, Wild(seed)) == outcome(engine, Wild(seed)), f"Wild({seed})"
