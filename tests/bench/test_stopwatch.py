"""Timing a program from its console."""

import pytest

from emulator.bench.stopwatch import BenchError, Stopwatch

CONSOLE = "OpenSBI v1.1\nSTART fib\nBENCH fib n=10 check=ab534492588ae37a\n"


def test_time_runs_from_the_end_of_start_to_the_beginning_of_bench() -> None:
    stopwatch = Stopwatch()
    for now, character in enumerate(CONSOLE):
        stopwatch.feed(character, float(now))
    assert stopwatch.finished
    assert stopwatch.check == 0xAB534492588AE37A
    assert stopwatch.elapsed() == len("BENCH")


def test_a_program_that_dies_is_an_error_that_shows_its_console() -> None:
    stopwatch = Stopwatch()
    stopwatch.feed("START fib\nFATAL scause=0000000000000002\n", 1.0)
    assert not stopwatch.finished
    with pytest.raises(BenchError, match="FATAL scause=0000000000000002"):
        stopwatch.elapsed()
