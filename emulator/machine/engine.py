"""What a host needs from the compiled kernels. `emulator.build.engine.load_engine` returns one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from emulator.build.arena import Arena


class Engine(Protocol):
    """The kernels' C interface. `hart`, `host` and `walk` are ctypes records of `emulator.state`.

    A host, its harts and all that a host's record points to lie in memory that `arena` gave.
    """

    def arena(self, size: int, /) -> Arena:
        """Return zeroed memory that the kernels reach, free again when nobody refers to it."""
        ...

    def run(self, hart: Any, host: Any, budget: int) -> int:
        """Run one hart for at most `budget` cycles; return one of `state.EXIT_*`."""
        ...

    def run_of(self, hart: Any, host: Any) -> Callable[[int], int]:
        """Return `run` for these two, which stay where they are in memory, with the budget alone to give."""
        ...

    def translate(
        self, hart: Any, host: Any, walk: Any, va: int, access: int, priv: int, virt: int, sum_bit: int
    ) -> int | None:
        """Walk the tables for an address into `walk`; return the HPA, None when it ends in a fault."""
        ...

    def pending(self, hart: Any, host: Any) -> int:
        """Return the interrupts that are pending between two runs, as bits of mip."""
        ...

    def cycles_to_timer(self, hart: Any, host: Any) -> int:
        """Return the cycles until stimecmp or vstimecmp raises its interrupt; all ones if never."""
        ...

    def phys_read(self, host: Any, hpa: int, address: int, length: int) -> None:
        """Copy host RAM to `address` in this process."""
        ...

    def phys_write(self, host: Any, hpa: int, address: int, length: int) -> bool:
        """Copy from `address` to host RAM, dropping decoded code; False when the store is full."""
        ...

    def flush(self, hart: Any) -> None:
        """Drop every TLB entry of a hart."""
        ...

    def flush_fast(self, hart: Any) -> None:
        """Drop what is derived from a hart's TLBs, as after its state was written from outside.

        It fills again; a guest sees nothing of it.
        """
        ...

    def hold(self, host: Any, table: int, length: int) -> None:
        """Enter the slots of frames into a table of (frame, slot) pairs, and hold them.

        `table` is an address in this process, `length` in bytes.
        """
        ...

    def release(self, host: Any, table: int, length: int) -> None:
        """Stop holding the slots of a table."""
        ...

    def adopt(self, host: Any, table: int, length: int) -> None:
        """Let the frames of a table have the bytes of its slots, dropping decoded code."""
        ...
