"""What recording costs, as a benchmark: the agreed names, and the labs that it compares are alike."""

from pathlib import Path

import pytest

from emulator.bench import recording
from emulator.build.engine import load_engine


def test_each_guest_has_a_figure_and_the_largest_is_the_headline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "LENGTHS", {"s": {"compute": 3_000_000, "exits": 300_000}})
    monkeypatch.setattr(recording, "LEAST", 1)
    found = {one.name: one for one in recording.figures_of(load_engine(), "s", 1, tmp_path / "none", print)}
    guests = [found.pop(f"hypervisor.recording_overhead.{guest}") for guest in ("compute", "exits")]
    headline = found.pop("hypervisor.recording_overhead")
    assert not found
    assert headline.value == max(one.value for one in guests)
    assert all(one.unit == "%" and one.value > -100 for one in guests)
