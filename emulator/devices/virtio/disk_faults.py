"""Faults that somebody injects into a disk: errors and delays, at the n-th operation of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# "write-back": from the disk's cache, or straight through it, to what is behind the disk.
FaultOperation = Literal["read", "write", "flush", "write-back", "any"]


@dataclass
class DiskFault:
    """After `skip` more operations, `count` of them fail, or take `delay_ns` longer. 0 is for ever."""

    operation: FaultOperation
    skip: int = 0
    count: int = 1
    fails: bool = True
    delay_ns: int = 0


def take_fault(faults: list[DiskFault], operation: str) -> tuple[bool, int]:
    """Return whether an operation fails and how much longer it takes; used-up faults are removed."""
    fails, delay = False, 0
    for fault in list(faults):
        if fault.operation != operation and (fault.operation != "any" or operation in ("", "write-back")):
            continue
        if fault.skip:
            fault.skip -= 1
            continue
        fails = fails or fault.fails
        delay += fault.delay_ns
        if fault.count == 1:
            faults.remove(fault)
        elif fault.count:
            fault.count -= 1
    return fails, delay
