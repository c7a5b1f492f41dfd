"""What it costs to ask a policy written in Python who runs next: guarded, checked, noted.

`PLAIN` takes the first of four vCPUs: what a call itself costs. The starter of the interface compares them,
with a function for each. The time is CPU time of this interpreter: CPython, or Pyodide in a browser.
"""

from __future__ import annotations

import time

from emulator.hypervisor.decisions import Desk, Traits
from emulator.hypervisor.scheduler import Custom, RunQueue, VcpuInfo
from emulator.policy import INTERFACES, load
from emulator.policy.live import attach

PLAIN = "class Mine(Scheduler):\n    def pick(self, runqueue, now):\n        return runqueue[0]\n"
STARTER = INTERFACES["scheduler"].starter
CALLS = 20_000
REPEAT = 5


def pick_us(text: str = PLAIN, calls: int = CALLS, repeat: int = REPEAT) -> float:
    """Return the microseconds of one call of `pick`, the best of several."""
    program = load("scheduler", text)
    desk = Desk(lambda: 0, traits={"scheduler": Traits(program.traits.asks)})
    attach(desk.live, program, 100_000, 1)
    scheduler = Custom(100_000)
    scheduler.sit_at(desk)
    queue = RunQueue([VcpuInfo(number, f"vm{number}", 0, since=number * 7 % 4) for number in range(4)])
    best = float("inf")
    for _ in range(repeat):
        started = time.process_time()
        for now in range(calls):
            scheduler.pick(queue, now)
        best = min(best, time.process_time() - started)
        desk.noted.clear()
    return best / calls * 1e6
