"""The clocks of a host's pCPUs, and the position that their sum is.

Every pCPU has a clock in cycles. They are interleaved in index order: each has a *turn* in which it runs
until its clock reaches the end of the quantum, then the next one. The sum of all clocks is the *position*;
it grows with everything that happens.
"""

from __future__ import annotations

from emulator.hypervisor.pcpu import Pcpu
from emulator.hypervisor.vcpu import Vcpu
from emulator.machine.host import Host

QUANTUM_CYCLES = 10_000


class Clocks:
    """The pCPUs of a host with their clocks; `turn` is the number of the one that runs."""

    def __init__(self, host: Host, clock: int, position: int) -> None:
        """Set all clocks to `clock`, at a position."""
        self.host = host
        self._base: int = position - clock * len(host.harts)
        for hart in host.harts:
            hart.clock = clock
        self.pcpus = [Pcpu(index, hart) for index, hart in enumerate(host.harts)]
        self.turn = 0
        self.quantum_end: int = clock + QUANTUM_CYCLES
        self._others: int = self._position_of_others()
        self._clock_before = 0

    @property
    def position(self) -> int:
        """The instant the host stands at.

        The sum of all pCPU clocks, in cycles, and what came before them.
        """
        return self._others + self.pcpus[self.turn].hart.clock

    @property
    def position_before(self) -> int:
        """The last position at which a run could have stopped; what happens there may be half done."""
        return self._others + self._clock_before

    def _position_of_others(self) -> int:
        """Return the position without the clock of the pCPU whose turn it is."""
        return self._base + sum(pcpu.hart.clock for pcpu in self.pcpus if pcpu.index != self.turn)

    def position_of(self, clock: int) -> int:
        """Return the position at which the mean of all clocks is `clock`."""
        return self._base + clock * len(self.pcpus)

    @property
    def mean_clock(self) -> int:
        """The mean of all pCPU clocks, in cycles: the time that people are shown."""
        return (self.position - self._base) // len(self.pcpus)

    @property
    def now(self) -> int:
        """The clock of the pCPU whose turn it is, in cycles."""
        return self.pcpus[self.turn].hart.clock

    @property
    def now_ticks(self) -> int:
        """The same in ticks of the `time` counter."""
        return self.now // self.host.record.cycles_per_tick

    @property
    def now_ns(self) -> int:
        """The same in nanoseconds."""
        return self.now * 1_000_000_000 // self.host.clock_hz

    def clock_of(self, vcpu: Vcpu) -> int:
        """Return the clock of the pCPU that holds a vCPU, else the time now."""
        return self.now if vcpu.pcpu is None else self.pcpus[vcpu.pcpu].hart.clock
