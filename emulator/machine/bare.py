"""A bare machine: harts that start in M-mode and run their own firmware, a bus of devices, and time.

Harts are interleaved in index order in quanta of virtual time. A hart stops exactly where its `mtimecmp` or a
device's deadline is due. A run ends at a whole quantum only, so that how a run is cut into calls changes
nothing. What the outside adds (console input) enters between calls of `run`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Protocol

from emulator.core.csr_bits import ENVCFG_ADUE, ENVCFG_PBMTE
from emulator.isa.extensions import DEFAULT_ISA, Isa
from emulator.machine.bus import Bus
from emulator.machine.debug import Stop
from emulator.machine.engine import Engine
from emulator.machine.host import Host
from emulator.state import EXIT_DEBUG, EXIT_MMIO, EXIT_WFI, NO_ADDRESS, PRIV_M, ROM_BASE

CLOCK_HZ = 100_000_000
QUANTUM_CYCLES = 10_000
PMP_ENTRIES = 16
MTI = 1 << 7


class Timed(Protocol):
    """A device that does something by itself at a time."""

    def deadline_ns(self) -> int | None:
        """Return the virtual time at which `elapse` is due, or None."""
        ...

    def elapse(self, now_ns: int) -> None:
        """Do what is due."""
        ...


class BareMachine:
    """Host, bus and run loop. `current` is the index of the hart that is running."""

    def __init__(
        self, harts: int, memory_bytes: int, engine: Engine, isa: Isa = DEFAULT_ISA, rom_pages: int = 0
    ) -> None:
        """Power on: every hart is at the reset vector; nothing is loaded and no device attached."""
        self.host = Host(harts, memory_bytes, CLOCK_HZ, engine, isa, rom_pages)
        self.bus = Bus()
        self.timed: list[Timed] = []
        self.after_quantum: list[Callable[[], None]] = []
        # Called with the number of a hart that has met a debug stop, to look at things; then the run goes on.
        self.on_debug: Callable[[int, Stop], None] | None = None
        self.mtimecmp = [NO_ADDRESS] * harts
        self.idle = [False] * harts
        self.current = 0
        self.stop_code: int | None = None
        self._cycles_per_tick: int = self.host.record.cycles_per_tick
        for hart in self.host.harts:
            hart.pc = ROM_BASE
            hart.menvcfg = _reset_envcfg(isa)
            hart.priv = PRIV_M
            hart.pmp_entries = PMP_ENTRIES

    def stop(self, code: int) -> None:
        """End the run with an exit code; the hart that asked finishes its instruction."""
        self.stop_code = code

    @property
    def now_ns(self) -> int:
        """Virtual time: the clock of the hart that is running."""
        return self.host.harts[self.current].clock * 1_000_000_000 // CLOCK_HZ

    def mtime(self) -> int:
        """Return the `time` counter of the hart that is running."""
        return self.host.harts[self.current].clock // self._cycles_per_tick

    @property
    def instructions(self) -> int:
        """Instructions retired by all harts, as far as software has not rewritten minstret."""
        return sum(hart.minstret for hart in self.host.harts)

    def set_line(self, hart: int, bit: int, level: bool) -> None:
        """Raise or lower an interrupt line of a hart: a bit of mip."""
        record = self.host.harts[hart]
        record.lines = record.lines | bit if level else record.lines & ~bit & NO_ADDRESS

    def run(self, cycles: int) -> bool:
        """Run for `cycles` of virtual time, rounded up to whole quanta.

        Less if stopped. Returns False, at once, if only the outside can wake the machine.
        """
        end = _quantum_end(max(hart.clock for hart in self.host.harts) + cycles - 1)
        while self.stop_code is None:
            begun = max(hart.clock for hart in self.host.harts)
            if begun >= end:
                break
            if all(self.idle) and not any(map(self._awake, range(len(self.idle)))):
                wake = min(map(self._wake, range(len(self.idle))))
                wake = min(wake, self._deadline())
                if wake == NO_ADDRESS:
                    return False
                self._quantum(min(end, max(wake, begun + 1)))
            else:
                self._quantum(min(_quantum_end(begun), max(self._deadline(), begun + 1)))
        return True

    def _quantum(self, end: int) -> None:
        for index in range(len(self.idle)):
            self.current = index
            self._run_hart(index, end)
        self.current = 0
        for device in self.timed:
            due = device.deadline_ns()
            if due is not None and due <= self.now_ns:
                device.elapse(self.now_ns)
        for look in self.after_quantum:
            look()

    def _run_hart(self, index: int, end: int) -> None:
        hart = self.host.harts[index]
        while hart.clock < end and self.stop_code is None:
            if self.idle[index] and not self._awake(index):
                hart.clock = min(end, max(self._wake(index), hart.clock + 1))
                continue
            self.idle[index] = False
            timer = self.mtimecmp[index] * self._cycles_per_tick
            self.set_line(index, MTI, hart.clock >= timer)
            reason = self.host.run(index, (min(end, timer) if timer > hart.clock else end) - hart.clock)
            if reason == EXIT_MMIO:
                self.bus.answer(hart)
            elif reason == EXIT_WFI:
                self.idle[index] = True
            elif reason == EXIT_DEBUG and self.on_debug is not None:
                self.on_debug(index, self.host.stopped_for())

    def _awake(self, index: int) -> bool:
        """Tell whether an interrupt ends a hart's WFI: pending and enabled in mie, whatever mstatus says."""
        hart = self.host.harts[index]
        self.set_line(index, MTI, hart.clock >= self.mtimecmp[index] * self._cycles_per_tick)
        return bool(self.host.engine.pending(hart, self.host.record) & hart.mie)

    def _wake(self, index: int) -> int:
        """Return the clock at which a timer that is enabled will raise an interrupt, or NO_ADDRESS."""
        hart = self.host.harts[index]
        wake = NO_ADDRESS
        if hart.mie & MTI and self.mtimecmp[index] * self._cycles_per_tick > hart.clock:
            wake = self.mtimecmp[index] * self._cycles_per_tick
        wait = self.host.engine.cycles_to_timer(hart, self.host.record)
        return min(wake, hart.clock + wait, NO_ADDRESS)

    def _deadline(self) -> int:
        """Return the clock at which the next device deadline is due, or NO_ADDRESS."""
        due = [deadline for device in self.timed if (deadline := device.deadline_ns()) is not None]
        return -(-min(due) * CLOCK_HZ // 1_000_000_000) if due else NO_ADDRESS

    def state_parts(self) -> Iterator[bytes]:
        """Yield the architectural state: host, devices, timers."""
        yield from self.host.state_parts()
        yield from self.bus.state_parts()
        yield repr((self.mtimecmp, self.idle, self.stop_code)).encode()

    def state_hash(self) -> str:
        """Return a digest of the architectural state."""
        digest = hashlib.blake2b(digest_size=16)
        for part in self.state_parts():
            digest.update(part)
        return digest.hexdigest()


def _reset_envcfg(isa: Isa) -> int:
    """Return menvcfg at reset, as on QEMU's `virt`: firmware older than an extension leaves it on."""
    types = ENVCFG_PBMTE if "svpbmt" in isa else 0
    return types | (ENVCFG_ADUE if "svadu" in isa and "svade" not in isa else 0)


def _quantum_end(clock: int) -> int:
    """Return the end of the quantum in which the cycle `clock` lies."""
    return (clock // QUANTUM_CYCLES + 1) * QUANTUM_CYCLES
