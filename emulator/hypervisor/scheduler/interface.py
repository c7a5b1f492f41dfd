"""What a scheduler is told and what it is asked. Write your own by subclassing `Scheduler`.

A policy is a plain object that sees plain data: it never touches a pCPU, a VM or a clock of its own. The
hypervisor tells it who wants to run and who has stopped wanting to, and asks one question: *who is next?*
The life of a vCPU, as a policy sees it:

    on_wake  ->  pick  ->  on_exit  ->  pick  ->  on_exit  ->  on_sleep  ->  on_wake ...

All times are whole cycles of virtual time. Clocks of pCPUs differ by up to one quantum (10,000 cycles), so
`now` may be a little earlier than it was in the call before. Whoever decides by anything but its arguments
and its own attributes (a clock, `random`, the order of a set) breaks replay: the same lab has to have the
same history every time.

Left to the hypervisor, so that no policy can get them wrong: affinity, caps, pCPUs that are offline, and that
a vCPU never runs before the time that it has already seen. A run queue holds nobody who may not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from emulator.errors import VmLabError

DEFAULT_WEIGHT = 256
PERIOD_CYCLES = 1_000_000
SHARE_UNIT = 840  # divisible by every number of vCPUs that a VM may have, 1 to 8


class SchedulerError(VmLabError):
    """A policy broke its rules: 'the scheduler mine picked b.0, which is not in the run queue'."""


@dataclass(slots=True, eq=False)
class VcpuInfo:
    """What a policy knows about one vCPU; only the hypervisor writes here."""

    id: int  # no two vCPUs of a lab have the same: a key for a policy's own tables
    vm: str
    index: int  # which vCPU of its VM
    weight: int = DEFAULT_WEIGHT  # of the whole VM
    cap: int = 0  # percent of one pCPU that the whole VM may use; 0: no cap
    reservation: int = 0  # cycles that this vCPU is promised in each `period`
    period: int = PERIOD_CYCLES
    affinity: tuple[int, ...] = ()  # the pCPUs that it may run on; empty: all
    siblings: int = 1  # vCPUs of its VM that want to run now, itself included
    since: int = 0  # from when on it has been waiting
    ran: int = 0  # cycles for which it has held a pCPU since its VM was started
    last_pcpu: int | None = None
    woken: bool = False  # it has not run since it woke

    @property
    def share(self) -> int:
        """Its part of the VM's weight while `siblings` vCPUs share it, in units of 1/840."""
        return self.weight * SHARE_UNIT // max(1, self.siblings)

    def __str__(self) -> str:
        """Return VM and number, like "web.1"."""
        return f"{self.vm}.{self.index}"


class RunQueue(list[VcpuInfo]):
    """The vCPUs that may run on pCPU `pcpu` now, in the order in which they came."""

    def __init__(self, vcpus: Iterable[VcpuInfo], pcpu: int = 0) -> None:
        """Hold `vcpus`."""
        super().__init__(vcpus)
        self.pcpu = pcpu


class Scheduler:
    """A policy. Override `pick`; everything else has a sensible default.

    A policy that is written in the page, or run by the tournament, is not asked for `homes` and `refusal`: it
    promises nobody anything, so every VM may run on every pCPU of its affinity, and one with a reservation is
    refused while the policy is in use. Both are only for schedulers that are part of the hypervisor.
    """

    name: ClassVar[str] = ""  # as in `host.scheduler`
    title: ClassVar[str] = ""  # for people
    # A vCPU that wakes may cut another one's turn short: `preempts` is asked.
    preemptive: bool = False
    # `pick` is asked after every turn, even if nobody else waits.
    always_asks: bool = False
    uses_weight: ClassVar[bool] = False
    # Everybody who wants to run does, sooner or later, whatever the others do.
    starvation_free: ClassVar[bool] = True

    def __init__(self, timeslice: int, seed: int = 0) -> None:
        """Begin with nobody; `timeslice` is the host's, in cycles, and may be changed at any time."""
        self.timeslice_cycles = timeslice
        self.seed = seed

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None:
        """Learn who there is: all vCPUs of the VMs that are on, and the pCPUs that are online."""

    def on_wake(self, vcpu: VcpuInfo, now: int) -> None:
        """Learn that a vCPU wants to run from `now` on."""

    def on_sleep(self, vcpu: VcpuInfo, now: int) -> None:
        """Learn that a vCPU does not want to run any more: it sleeps, or it was stopped."""

    def on_exit(self, vcpu: VcpuInfo, ran: int, now: int) -> None:
        """Learn that a turn is over in which a vCPU has held its pCPU for `ran` cycles."""

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Return who runs next on pCPU `runqueue.pcpu`; the run queue is not empty.

        The first of the queue, if your policy does not say.
        None leaves the pCPU idle for a moment: it asks again when somebody wakes or the quantum ends.
        """
        return runqueue[0]

    def homes(self, vcpu: VcpuInfo) -> Sequence[int]:
        """Return the only pCPUs on which you want it, or nothing for all that it may run on."""
        return ()

    def timeslice(self, vcpu: VcpuInfo, now: int) -> int:
        """Return how long its turn may be that begins now, at least 1."""
        return self.timeslice_cycles

    def preempts(self, vcpu: VcpuInfo, running: VcpuInfo, now: int) -> bool:
        """Return whether a vCPU that has just woken is to run instead of one that runs."""
        return False

    def refusal(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int]) -> str:
        """Return why this set of vCPUs cannot be promised what it asks for, or an empty text.

        Asked before a VM is started, changed, or a pCPU is taken away: admission control.
        """
        wanting = next((vcpu for vcpu in vcpus if vcpu.reservation), None)
        if wanting is None:
            return ""
        return (
            f"{wanting.vm} has a reservation, and the scheduler {self.name} cannot guarantee one;"
            " choose the scheduler edf, or take the reservation away"
        )

    def state(self) -> dict[str, Any]:
        """Return everything that it remembers, as plain data: part of the state of the lab."""
        return {key: _plain(value) for key, value in sorted(vars(self).items())}


def _plain(value: object) -> Any:
    """Return a value as what JSON can hold; vCPUs by id, tables as lists of pairs in order of key."""
    if isinstance(value, VcpuInfo):
        return value.id
    if isinstance(value, Mapping):
        table = cast("Mapping[Any, Any]", value)
        return sorted(([_plain(key), _plain(item)] for key, item in table.items()), key=repr)
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, cast("set[Any]", value)), key=repr)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value
