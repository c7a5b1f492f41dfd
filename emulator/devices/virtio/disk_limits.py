"""What a disk may do in a second of virtual time, and how long each request takes at least.

The rates are token buckets in the form of the Generic Cell Rate Algorithm (ITU-T Recommendation I.371): one
time stamp for each rate says when its bucket will be full again. A bucket holds a tenth of a second, at
least one request, as QEMU's does by default. All of it is whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NS_PER_SECOND = 1_000_000_000
BURST_NS = NS_PER_SECOND // 10

CacheMode = Literal["writethrough", "writeback"]


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """`iops` requests and `bandwidth` bytes a second, 0 for any number; `latency_ns` for each request."""

    iops: int = 0
    bandwidth: int = 0
    latency_ns: int = 0
    cache: CacheMode = "writethrough"


NO_LIMITS = DiskLimits()


@dataclass
class Throttle:
    """When the bucket of each rate will be full again, in ns."""

    iops_full_ns: int = 0
    bandwidth_full_ns: int = 0

    def admit(self, limits: DiskLimits, at: int, length: int) -> int:
        """Return when a request of `length` bytes may be done, not before `at`, and take its tokens."""
        due = at
        if limits.iops:
            due = max(due, self.iops_full_ns - BURST_NS)
        if limits.bandwidth:
            due = max(due, self.bandwidth_full_ns - BURST_NS)
        if limits.iops:
            self.iops_full_ns = max(self.iops_full_ns, due) + -(-NS_PER_SECOND // limits.iops)
        if limits.bandwidth:
            cost = -(-length * NS_PER_SECOND // limits.bandwidth)
            self.bandwidth_full_ns = max(self.bandwidth_full_ns, due) + cost
        return due
