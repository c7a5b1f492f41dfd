"""Keeping VMs as a benchmark: the agreed names, and memory for what was written after a snapshot alone."""

from emulator.bench import keeping
from emulator.build.engine import load_engine


def test_figures_have_the_agreed_names_and_a_snapshot_holds_what_was_rewritten() -> None:
    figures = {one.name: one for one in keeping.figures_of(load_engine(), "s", 2, print)}
    names = {f"hypervisor.{what}_16MiB.ms" for what in ("snapshot", "linked_clone", "restore")}
    assert set(figures) == names | {"hypervisor.snapshot_16MiB.kept"}
    assert all(one.value > 0 for one in figures.values())
    assert 0.5 <= figures["hypervisor.snapshot_16MiB.kept"].value <= 1.1
