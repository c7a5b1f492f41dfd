"""A scheduler whose decisions come from elsewhere: from a policy that runs here, or from those in the log.

Without either it takes whoever has waited for longest, as round-robin does. It remembers nothing itself, so
that its state is the same whether the policy's text ran or its decisions were repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulator.hypervisor.scheduler.interface import RunQueue, Scheduler, VcpuInfo

if TYPE_CHECKING:
    from emulator.hypervisor.decisions import Desk

NOBODY = -1


class Custom(Scheduler):
    """Asks the desk of its host."""

    name = "custom"
    title = "Custom policy"
    desk: Desk | None = None
    _picks = False

    def sit_at(self, desk: Desk) -> None:
        """Ask at `desk` from now on; how often it is asked is as the policy's traits say."""
        self.desk = desk
        traits = desk.traits.get("scheduler")
        self._picks = traits is not None and "pick" in traits.asks
        self.preemptive = traits is not None and traits.preemptive
        self.always_asks = traits is not None and traits.always_asks

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None:
        """Pass it on."""
        if self.desk is not None and self.desk.live.scheduler is not None:
            self.desk.live.scheduler.on_change(vcpus, pcpus, now)

    def on_wake(self, vcpu: VcpuInfo, now: int) -> None:
        """Pass it on."""
        if self.desk is not None and self.desk.live.scheduler is not None:
            self.desk.live.scheduler.on_wake(vcpu, now)

    def on_sleep(self, vcpu: VcpuInfo, now: int) -> None:
        """Pass it on."""
        if self.desk is not None and self.desk.live.scheduler is not None:
            self.desk.live.scheduler.on_sleep(vcpu, now)

    def on_exit(self, vcpu: VcpuInfo, ran: int, now: int) -> None:
        """Pass it on."""
        if self.desk is not None and self.desk.live.scheduler is not None:
            self.desk.live.scheduler.on_exit(vcpu, ran, now)

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Take whom the policy picks, or picked."""
        desk = self.desk
        if desk is None or desk.muted or not self._picks:
            return runqueue[0]
        live = desk.live.scheduler
        if live is not None:
            chosen = live.pick(runqueue, now)
            desk.note("pick", NOBODY if chosen is None else chosen.id)
            return chosen
        if not desk.has("pick"):
            return runqueue[0]
        number = desk.again("pick")
        if number == NOBODY:
            return None
        found = next((vcpu for vcpu in runqueue if vcpu.id == number), None)
        if found is None:
            raise desk.impossible("pick", f"is vCPU {number}, which is not in the run queue")
        return found

    def timeslice(self, vcpu: VcpuInfo, now: int) -> int:
        """Give it the turn that the policy gives, or gave."""
        desk = self.desk
        if desk is None or not desk.asks("scheduler", "timeslice"):
            return self.timeslice_cycles
        if desk.live.scheduler is not None:
            return desk.note("timeslice", desk.live.scheduler.timeslice(vcpu, now))
        if not desk.has("timeslice"):
            return self.timeslice_cycles
        cycles = desk.again("timeslice")
        if cycles < 1:
            raise desk.impossible("timeslice", f"is {cycles} cycles")
        return cycles

    def preempts(self, vcpu: VcpuInfo, running: VcpuInfo, now: int) -> bool:
        """Do as the policy says, or said."""
        desk = self.desk
        if desk is None or not desk.asks("scheduler", "preempts"):
            return False
        if desk.live.scheduler is not None:
            return bool(desk.note("preempts", int(desk.live.scheduler.preempts(vcpu, running, now))))
        return desk.has("preempts") and bool(desk.again("preempts"))

    def state(self) -> dict[str, Any]:
        """Return what is the same wherever it runs: everything but the desk."""
        return {key: value for key, value in super().state().items() if key not in ("desk", "_picks")}
