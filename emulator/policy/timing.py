"""What it costs to ask a policy written in Python who runs next: guarded, checked, noted.

The policy is the starter of the scheduler's interface, asked about a run queue of four vCPUs. The time is CPU
time of this interpreter: CPython here, or Pyodide in a browser, where the same function is called.
"""

from __future__ import annotations

import time

from emulator.hypervisor.decisions import Desk, Traits
from emulator.hypervisor.scheduler import Custom, RunQueue, VcpuInfo
from emulator.policy import INTERFACES, load
from emulator.policy.live import attach

CALLS = 20_000
REPEAT = 5


def pick_us(text: str | None = None, calls: int = CALLS, repeat: int = REPEAT) -> float:
    """Return the microseconds of one call of `pick`, the best of several."""
    program = load("scheduler", text or INTERFACES["scheduler"].starter)
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
