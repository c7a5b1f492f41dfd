"""Who runs next: one class and file for each policy, over plain data.

Reading order: `interface.py` (what a policy is told and asked), `round_robin.py` and `lottery.py` (turns by
order and by chance), `stride.py`, `credit.py`, `fair.py` (shares by weight), `mlfq.py` (favours short turns),
`edf.py` (guarantees), `gang.py` (SMP VMs as a whole), `custom.py` (decisions from elsewhere). Nothing here
knows the hypervisor.
"""

from __future__ import annotations

from emulator.hypervisor.scheduler.credit import Credit
from emulator.hypervisor.scheduler.custom import Custom
from emulator.hypervisor.scheduler.edf import EarliestDeadlineFirst
from emulator.hypervisor.scheduler.fair import Fair
from emulator.hypervisor.scheduler.gang import Gang
from emulator.hypervisor.scheduler.interface import (
    DEFAULT_WEIGHT,
    RunQueue,
    Scheduler,
    SchedulerError,
    VcpuInfo,
)
from emulator.hypervisor.scheduler.lottery import Lottery
from emulator.hypervisor.scheduler.mlfq import MultilevelFeedbackQueue
from emulator.hypervisor.scheduler.round_robin import RoundRobin
from emulator.hypervisor.scheduler.stride import Stride

POLICIES: dict[str, type[Scheduler]] = {
    policy.name: policy
    for policy in (
        RoundRobin,
        Stride,
        Lottery,
        Credit,
        Fair,
        MultilevelFeedbackQueue,
        EarliestDeadlineFirst,
        Gang,
        Custom,
    )
}

__all__ = [
    "DEFAULT_WEIGHT",
    "POLICIES",
    "Credit",
    "Custom",
    "EarliestDeadlineFirst",
    "Fair",
    "Gang",
    "Lottery",
    "MultilevelFeedbackQueue",
    "RoundRobin",
    "RunQueue",
    "Scheduler",
    "SchedulerError",
    "Stride",
    "VcpuInfo",
]
