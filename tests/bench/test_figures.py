"""The shape of what every `vmlab bench ...` reports."""

import json

import pytest

from emulator.bench.figures import as_json, as_table, figure, geometric_mean

FIGURES = [figure("core.sieve.mips", 250.0, "MIPS", "QEMU 7.2", 2000.0), figure("core.compile.s", 12.34, "s")]


def test_json_has_the_six_keys_and_the_ratio() -> None:
    with_peer, without = json.loads(as_json(FIGURES))
    assert with_peer == {
        "name": "core.sieve.mips",
        "value": 250.0,
        "unit": "MIPS",
        "peer": "QEMU 7.2",
        "peer_value": 2000.0,
        "ratio": 0.125,
    }
    assert (without["peer"], without["peer_value"], without["ratio"]) == (None, None, None)


def test_table_aligns_numbers_and_names_the_peer() -> None:
    assert as_table(FIGURES).splitlines() == [
        "name             value  unit  QEMU 7.2  ratio",
        "---------------  -----  ----  --------  -----",
        "core.sieve.mips    250  MIPS      2000  0.125",
        "core.compile.s    12.3  s",
    ]


def test_geometric_mean_of_reciprocals_is_one() -> None:
    assert geometric_mean([4.0, 0.25, 1.0]) == pytest.approx(1.0)
