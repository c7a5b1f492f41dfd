"""Memory of a WebAssembly instance is given out, comes back, and is zero when it is given out again."""

import ctypes
import gc
from itertools import pairwise

import pytest

from emulator.build.linear import LIMIT, WASM_PAGE, LinearMemory, OutOfLinearMemoryError


class Backing:
    """A memory of four pages in this process."""

    def __init__(self) -> None:
        self.memory = (ctypes.c_char * (64 * WASM_PAGE))()
        self.grown = 0
        self.linear = LinearMemory(ctypes.addressof(self.memory), WASM_PAGE, self.grow, self)

    def grow(self, pages: int) -> None:
        self.grown += pages


def test_pieces_do_not_overlap_and_lie_behind_the_module() -> None:
    linear = Backing().linear
    pieces = [linear.arena(size) for size in (1, 4096, 4097, WASM_PAGE, 3)]
    spans = sorted((piece.kernel_address, piece.kernel_address + piece.size) for piece in pieces)
    assert spans[0][0] >= WASM_PAGE
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert all(piece.address == linear.base + piece.kernel_address for piece in pieces)


def test_memory_comes_back_zeroed() -> None:
    backing = Backing()
    words = backing.linear.arena(WASM_PAGE).u32(4)
    words[:] = [1, 2, 3, 4]
    gc.collect()
    # The array alone keeps its memory.
    other = backing.linear.arena(WASM_PAGE).u32(4)
    assert list(words) == [1, 2, 3, 4]
    del words
    gc.collect()
    grown = backing.grown
    assert list(backing.linear.arena(WASM_PAGE).u32(4)) == [0, 0, 0, 0]
    assert backing.grown == grown
    assert list(other) == [0, 0, 0, 0]


def test_neighbours_join() -> None:
    backing = Backing()
    pieces = [backing.linear.arena(WASM_PAGE) for _ in range(8)]
    grown = backing.grown
    del pieces
    gc.collect()
    whole = backing.linear.arena(8 * WASM_PAGE)
    assert backing.grown == grown
    assert whole.size == 8 * WASM_PAGE


def test_more_than_webassembly_addresses_is_refused() -> None:
    with pytest.raises(OutOfLinearMemoryError, match="do not fit"):
        Backing().linear.arena(LIMIT)
