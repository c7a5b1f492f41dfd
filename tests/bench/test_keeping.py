"""Keeping VMs as a benchmark: the agreed names, and memory for what was written after a snapshot alone."""

from emulator.bench import keeping
from emulator.build.engine import load_engine


def test_figures_have_the_agreed_names_and_a_snapshot_holds_what_was_rewritten() -> None:
    figures = {one.name: one for one in keeping.figures_of(load_engine(), "s", 2, print)}
    operations = [f"hypervisor.{what}_16MiB" for what in ("snapshot", "linked_clone", "restore")]
    times = {f"{one}.{unit}" for one in operations for unit in ("ms", "cpu_ms")}
    assert set(figures) == times | {f"{one}.kept" for one in operations[:2]}
    assert all(one.value > 0 for one in figures.values())
    assert 0.5 <= figures["hypervisor.snapshot_16MiB.kept"].value <= 1.1
    assert 0.5 <= figures["hypervisor.linked_clone_16MiB.kept"].value <= 2.2
