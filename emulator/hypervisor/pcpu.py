"""A physical CPU as the hypervisor sees it: which vCPU is loaded, until when, and how it spent its time."""

from __future__ import annotations

from typing import Any

from emulator.hypervisor import vcpu as virtual_cpu
from emulator.hypervisor.vcpu import Vcpu


class Pcpu:
    """One pCPU. Times are in cycles."""

    __slots__ = (
        "current",
        "granted",
        "hart",
        "hypervisor_cycles",
        "idle_cycles",
        "index",
        "loaded_at",
        "online",
        "run_cycles",
        "slice_end",
        "turn_start",
    )

    def __init__(self, index: int, hart: Any) -> None:
        """Take over an idle hart."""
        self.index = index
        self.hart = hart
        self.current: Vcpu | None = None
        self.loaded_at = 0  # clock when `current` was loaded
        self.online = True
        self.turn_start = 0  # clock when its turn began; a vCPU that goes on has another one
        self.granted = 0  # cycles of this turn that were set aside from a cap
        self.slice_end = 0
        self.run_cycles = 0
        self.hypervisor_cycles = 0
        self.idle_cycles = 0
        virtual_cpu.prepare_hart(hart)

    def state_parts(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        current = None if self.current is None else [self.current.vm.name, self.current.index]
        spent = [self.run_cycles, self.hypervisor_cycles, self.idle_cycles]
        return [current, self.slice_end, *spent, self.online, self.turn_start, self.granted]
