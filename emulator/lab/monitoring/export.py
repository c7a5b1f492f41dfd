"""Samples as text that other programs read.

CSV (RFC 4180) has one line for each sample and a column for each series. The Prometheus text format (0.0.4)
holds the newest sample only, as a scrape does; its time is virtual, so that no time stamp is given.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

from emulator.lab.monitoring.metrics import METRICS, Key, Labels
from emulator.lab.monitoring.monitor import Sample

NS_PER_SECOND = 1_000_000_000


def series_name(key: Key) -> str:
    """Return a series as Prometheus writes it: `name{label="value"}`."""
    name, labels = key
    return f"{name}{{{_labels(labels)}}}" if labels else name


def _labels(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def to_prometheus(sample: Sample | None) -> str:
    """Return a sample in the Prometheus text format, which ends with the virtual time."""
    lines: list[str] = []
    values: Mapping[Key, float] = sample.values if sample else {}
    for metric in METRICS:
        mine = [f"{series_name(key)} {value!r}" for key, value in values.items() if key[0] == metric.name]
        if mine:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}", *mine]
    now = sample.at_ns / NS_PER_SECOND if sample else 0.0
    lines += ["# HELP vmlab_time_seconds Virtual time of the lab.", "# TYPE vmlab_time_seconds gauge"]
    return "\n".join([*lines, f"vmlab_time_seconds {now!r}"]) + "\n"


def to_csv(samples: Iterable[Sample]) -> str:
    """Return samples as CSV with a head; a series that did not exist at an instant is empty there."""
    samples = list(samples)
    keys = list(dict.fromkeys(key for sample in samples for key in sample.values))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["time_ns", *map(series_name, keys)])
    writer.writerows(_rows(samples, keys))
    return text.getvalue()


def _rows(samples: Iterable[Sample], keys: list[Key]) -> Iterator[list[object]]:
    for sample in samples:
        yield [sample.at_ns, *(sample.values.get(key, "") for key in keys)]
