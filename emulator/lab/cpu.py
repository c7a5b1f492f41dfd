"""What a configuration says about CPU time: the host's scheduler, and what each VM may have of the pCPUs.

    host: {scheduler: credit, period: 10 ms, offline: 1}
    vms:
      - {name: a, weight: 512, cap: 50, affinity: 0-1}
      - {name: b, reservation: 30 MHz, period: 20 ms}

`weight` is the VM's share beside others, 256 by default; `cap` is in percent of one pCPU, 0 for none;
`reservation` is pCPU time as a rate, as VMware counts it, for all vCPUs of the VM together, met in every
`period`; `affinity` names the pCPUs it may run on, as Linux's `taskset` and libvirt's `cpuset` do. The
host's `period` is that in which caps hold; `offline` names the pCPUs that are unplugged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from emulator.hypervisor.scheduler import DEFAULT_WEIGHT, POLICIES
from emulator.hypervisor.vm import CpuSettings
from emulator.lab.quantities import DURATION_UNITS, RATE_UNITS, format_quantity, quoted
from emulator.lab.values import ConfigError, one_of, quantity, whole_number

MAX_PCPUS = 8
MAX_WEIGHT = 65_535
MAX_CAP = 100 * MAX_PCPUS
MAX_RESERVATION_HZ = MAX_PCPUS * 10_000_000_000
MIN_PERIOD_NS, MAX_PERIOD_NS = 1_000_000, 1_000_000_000
DEFAULT_PERIOD_NS = 10_000_000
NS_PER_SECOND = 1_000_000_000
SCHEDULER_TITLES = {name: policy.title for name, policy in POLICIES.items()}

_RANGE = re.compile(r"\s*([0-9]{1,3})\s*(?:-\s*([0-9]{1,3})\s*)?")


@dataclass(frozen=True, slots=True)
class CpuConfig:
    """What a VM may have of the pCPUs: hertz, nanoseconds (0: the host's period), numbers of pCPUs."""

    weight: int = DEFAULT_WEIGHT
    cap: int = 0
    reservation: int = 0
    period: int = 0
    affinity: tuple[int, ...] = ()

    def full_dict(self) -> dict[str, object]:
        """Return every key as it stands in a configuration."""
        return {
            "weight": self.weight,
            "cap": self.cap,
            "reservation": format_quantity(self.reservation, RATE_UNITS),
            "period": format_quantity(self.period, DURATION_UNITS) if self.period else "",
            "affinity": format_pcpus(self.affinity),
        }

    def to_dict(self) -> dict[str, object]:
        """Return the keys that are not as they are by default."""
        default = CpuConfig().full_dict()
        return {key: value for key, value in self.full_dict().items() if value != default[key]}

    def settings(self, vcpus: int, clock_hz: int, host_period_ns: int) -> CpuSettings:
        """Return the same in cycles of a pCPU; the vCPUs share a reservation, which is rounded up."""
        period = to_cycles(self.period or host_period_ns, clock_hz)
        reserved = -(-self.reservation * period // (clock_hz * vcpus))
        return CpuSettings(self.weight, self.cap, reserved, period, self.affinity)


def to_cycles(ns: int, clock_hz: int) -> int:
    """Return a time in cycles of a clock."""
    return max(1, ns * clock_hz // NS_PER_SECOND)


def scheduler_name(value: object, path: str = "scheduler") -> str:
    """Return the name of a scheduler; raise ConfigError."""
    return one_of(value, path, list(POLICIES))


def weight(value: object, path: str = "weight") -> int:
    """Return a valid weight; raise ConfigError."""
    return whole_number(value, path, 1, MAX_WEIGHT)


def cap(value: object, path: str = "cap") -> int:
    """Return a valid cap in percent of one pCPU; raise ConfigError."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,4} ?%?", value.strip()):
        value = int(value.strip().rstrip("% "))
    return whole_number(value, path, 0, MAX_CAP)


def reservation(value: object, path: str = "reservation") -> int:
    """Return a valid reservation in hertz; raise ConfigError."""
    return quantity(value, path, RATE_UNITS, "30 MHz", 0, MAX_RESERVATION_HZ)


def period(value: object, path: str = "period") -> int:
    """Return a valid period in nanoseconds; raise ConfigError."""
    return quantity(value, path, DURATION_UNITS, "10 ms", MIN_PERIOD_NS, MAX_PERIOD_NS)


def vm_period(value: object, path: str = "period") -> int:
    """Return the period of a VM in nanoseconds, 0 for the host's; raise ConfigError."""
    return 0 if value in (None, "", 0) else period(value, path)


def pcpu_set(value: object, path: str = "affinity") -> tuple[int, ...]:
    """Return the pCPUs that "0-1,3", 3 or [0, 1, 3] names, in order; raise ConfigError."""
    if value is None or value in ("", "all", "none"):
        return ()
    numbers = _numbers(value)
    if numbers is None:
        raise ConfigError(path, f"is {quoted(value)}; expected numbers of pCPUs, e.g. `0-1,3`")
    if any(not 0 <= number < MAX_PCPUS for number in numbers):
        raise ConfigError(path, f"is {quoted(value)}; pCPUs have numbers from 0 to {MAX_PCPUS - 1}")
    return tuple(sorted(set(numbers)))


def format_pcpus(pcpus: Sequence[int]) -> str:
    """Return numbers of pCPUs as "0-1,3"."""
    parts: list[str] = []
    for first in pcpus:
        if first - 1 in pcpus:
            continue
        last = first
        while last + 1 in pcpus:
            last += 1
        parts.append(str(first) if last == first else f"{first}-{last}")
    return ",".join(parts)


def _numbers(value: object) -> list[int] | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return [value]
    if isinstance(value, str):
        ranges = [_RANGE.fullmatch(part) for part in value.split(",")]
        pairs = [(int(one[1]), int(one[2] or one[1])) for one in ranges if one]
        return None if None in ranges else [number for low, high in pairs for number in range(low, high + 1)]
    if isinstance(value, list):
        items = cast("list[object]", value)
        plain = [item for item in items if isinstance(item, int) and not isinstance(item, bool)]
        return plain if len(plain) == len(items) else None
    return None
