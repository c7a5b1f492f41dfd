"""The compiled decoder against `isa.encodings.decode`.

A word is put into RAM and run for one step; what the decoder made of it then stands in the decoded page.
"""

import ctypes
import random
from typing import Any

import pytest

from emulator.core.run import FS3, IMM, LENGTH, RD, RS1, RS2
from emulator.isa.encodings import TABLE, decode, expand
from emulator.machine.host import Host
from emulator.state import CODE_PAGE_BYTES, NO_TRAP, PAGE_BYTES, PRIV_M, RAM_BASE, REGISTER_SINK
from tests.differential.operands import SEED

ILLEGAL = len(TABLE) + 1
REGISTERS_BYTES = 33 * 8


def packed(word: int) -> int:
    """Return the decoded entry that a word must have; what is no instruction carries no operands."""
    decoded = decode(word)
    length = 4 if word & 3 == 3 else 2
    if decoded is None:
        return ILLEGAL | length << LENGTH
    row, operands = expand(*decoded)
    first, second = (operands.get(f"rs{n}", operands.get(f"fs{n}", 0)) for n in (1, 2))
    target = operands.get("fd", operands.get("rd", 0) or REGISTER_SINK)
    last = operands.get("csr", operands.get("rm", operands.get("imm", 0))) & 0xFFFF_FFFF
    entry = row.index | length << LENGTH | target << RD | first << RS1 | second << RS2
    return entry | last << IMM | operands.get("fs3", 0) << FS3


class Decoder:
    """One hart whose registers are all zero whenever a word runs, so that it touches no RAM."""

    def __init__(self, engine: Any) -> None:
        self.host = Host(1, 1 << 16, 100_000_000, engine)
        self.hart: Any = self.host.harts[0]
        # A trap goes outside RAM; the step after it is never made.
        self.hart.mtvec = 0

    def decode(self, words: list[int], size: int) -> list[int]:
        """Decode words of `size` bytes, which fill at most a page."""
        assert len(words) * size <= PAGE_BYTES
        self.host.write(RAM_BASE, b"".join(word.to_bytes(size, "little") for word in words))
        return [self.entry(RAM_BASE + number * size) for number in range(len(words))]

    def entry(self, address: int) -> int:
        hart = self.hart
        ctypes.memset(ctypes.addressof(hart), 0, REGISTERS_BYTES)
        hart.pc, hart.priv, hart.virt, hart.mstatus, hart.mie, hart.mmio_state = address, PRIV_M, 0, 0, 0, 0
        hart.menvcfg = 0
        hart.trap_cause = NO_TRAP
        self.host.run(0, 1)
        index = ctypes.c_uint32.from_address(self.host._arenas["frame_code"].address).value
        place = self.host._arenas["code"].address + (index - 1) * CODE_PAGE_BYTES + (address & 0xFFF) * 4
        return ctypes.c_uint64.from_address(place).value


@pytest.fixture(scope="module")
def decoder(engine: Any) -> Decoder:
    """A hart to decode with."""
    return Decoder(engine)


def check(decoder: Decoder, words: list[int], size: int) -> None:
    for start in range(0, len(words), PAGE_BYTES // size - 1):
        chunk = words[start : start + PAGE_BYTES // size - 1]
        for word, entry in zip(chunk, decoder.decode(chunk, size), strict=True):
            assert entry == packed(word), (
                f"{word:#010x}: {entry:#x}, expected {packed(word):#x} ({decode(word)})"
            )


def test_all_compressed_halfwords_decode_as_the_table_says(decoder: Decoder) -> None:
    check(decoder, [half for half in range(1 << 16) if half & 3 != 3], 2)


def test_words_of_every_row_decode_as_the_table_says(decoder: Decoder) -> None:
    chance = random.Random(SEED)
    words = [
        row.match | chance.getrandbits(32) & ~row.mask & (1 << 32) - 1 for row in TABLE for _ in range(60)
    ]
    check(decoder, words, 4)


def test_words_one_bit_away_from_a_row_decode_as_the_table_says(decoder: Decoder) -> None:
    chance = random.Random(SEED)
    words: list[int] = []
    for row in TABLE:
        for bit in range(2, 32):
            words.append((row.match | chance.getrandbits(32) & ~row.mask & (1 << 32) - 1) ^ 1 << bit)
    check(decoder, words, 4)


def test_random_words_decode_as_the_table_says(decoder: Decoder) -> None:
    chance = random.Random(SEED)
    check(decoder, [chance.getrandbits(32) | 3 for _ in range(20_000)], 4)
