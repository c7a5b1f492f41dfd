"""What was the case over a stretch of virtual time, from the samples of the lab's monitor.

A stretch begins at the newest sample that is at least so old, so that it is never shorter than asked for and
at most one sampling interval longer. Nothing is measured in a lab that has not run for so long.
"""

import itertools

from app.lessons.evaluate import NoValue
from app.lessons.typecheck import duration_ns
from emulator.lab import Lab
from emulator.lab.monitoring.metrics import sample
from emulator.lab.monitoring.monitor import Sample
from emulator.lab.monitoring.signals import SIGNALS

NS_PER_MS = 1_000_000
EXITS = "vmlab_vm_exits_total"


class Windows:
    """The samples of one lab, and one of this moment."""

    def __init__(self, lab: Lab) -> None:
        """Read the lab as it stands now; nothing in it changes."""
        self._kept = tuple(lab.monitor.samples)
        self._now = Sample(lab.now_ns, sample(lab))

    def share(self, vm: str, signal: str, last: str) -> float:
        """Return a signal in percent as a part of one; raise NoValue."""
        return self.measured(vm, signal, last) / 100

    def measured(self, vm: str, signal: str, last: str) -> float:
        """Return a signal over a stretch; raise NoValue if the lab has not run for so long."""
        return SIGNALS[signal].value(self._since(last)[0], self._now, vm)

    def samples(self, vm: str, signal: str, last: str) -> list[float]:
        """Return a signal for each interval between the samples of a stretch; raise NoValue."""
        points = self._since(last)
        return [SIGNALS[signal].value(a, b, vm) for a, b in itertools.pairwise(points)]

    def exits(self, vm: str, reason: str, last: str) -> int:
        """Return exits in a stretch; a counter that began again with its VM counts from zero."""
        return round(sum(self._grown(vm, reason, a, b) for a, b in self._pairs(last)))

    def _pairs(self, last: str) -> list[tuple[Sample, Sample]]:
        points = self._since(last)
        return list(itertools.pairwise(points))

    def _grown(self, vm: str, reason: str, old: Sample, new: Sample) -> float:
        before, now = _count(old, vm, reason), _count(new, vm, reason)
        return now - before if now >= before else now

    def _since(self, last: str) -> list[Sample]:
        """Return the samples from the beginning of a stretch to now."""
        begin = self._now.at_ns - duration_ns(last)
        if begin < 0:
            raise NoValue(
                f"the lab has run for {self._now.at_ns / NS_PER_MS:.3g} ms of virtual time, and this looks"
                f" at the last {last}; let it run on"
            )
        older = [index for index, each in enumerate(self._kept) if each.at_ns <= begin]
        points = [*self._kept[older[-1] if older else 0 :]]
        if not points or points[-1].at_ns < self._now.at_ns:
            points.append(self._now)
        return points


def _count(taken: Sample, vm: str, reason: str) -> float:
    wanted = {("vm", vm), *([("reason", reason)] if reason else [])}
    return sum(
        value for (name, labels), value in taken.values.items() if name == EXITS and wanted <= set(labels)
    )
