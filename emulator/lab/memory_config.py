"""The keys of a lab's configuration that say how memory is given.

host: {memory: 8 MiB, overcommit: 1.5}
vms:
  - {name: a, memory: 8 MiB, max_memory: 16 MiB, memory_reservation: 1 MiB, memory_limit: 4 MiB, program: a.s}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.hypervisor.gstage import LEAF_TABLE_SPAN as BLOCK_BYTES
from emulator.hypervisor.memory.ballooning import BalloonPolicy
from emulator.hypervisor.memory.custom import BALLOON_POLICIES, REPLACEMENTS
from emulator.hypervisor.memory.replacement import Clock
from emulator.hypervisor.memory.settings import MemorySettings, RamSettings
from emulator.lab.cpu import to_cycles
from emulator.lab.quantities import DURATION_UNITS, format_quantity, format_size
from emulator.lab.values import (
    ConfigError,
    boolean,
    kind_of,
    memory_size,
    one_of,
    optional,
    quantity,
    whole_number,
)
from emulator.state import PAGE_BYTES

HOST_MEMORY_KEYS = (
    *("overcommit", "swap", "swap_policy", "swap_latency", "swap_interval"),
    *("ksm", "ksm_pages", "ksm_interval", "balloon_policy", "balloon_interval"),
)
VM_MEMORY_KEYS = ("memory_limit", "memory_reservation", "max_memory", "pages")
DEFAULT_INTERVAL_NS, MIN_INTERVAL_NS, MAX_INTERVAL_NS = 10_000_000, 100_000, 10_000_000_000
DEFAULT_KSM_PAGES, MAX_KSM_PAGES = 100, 100_000
DEFAULT_LATENCY_NS, MIN_LATENCY_NS, MAX_LATENCY_NS = 100_000, 1_000, 1_000_000_000
MIN_OVERCOMMIT, MAX_OVERCOMMIT = 100, 1600  # percent
MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class HostMemoryConfig:
    """How a host gives memory: `overcommit` in percent, 0 for a static partition; intervals in ns.

    `swap` is the size of the swap area in bytes, and a page of it takes `swap_latency` to read or write;
    `swap_policy` chooses the pages that go, and is told in every `swap_interval` which ones were used.
    With `ksm`, `ksm_pages` are scanned for equal content in every `ksm_interval`.
    `balloon_policy` says, in every `balloon_interval`, which VMs are asked for how much.
    """

    overcommit: int = 0
    swap: int = 0
    swap_policy: str = Clock.name
    swap_latency: int = DEFAULT_LATENCY_NS
    swap_interval: int = DEFAULT_INTERVAL_NS
    ksm: bool = False
    ksm_pages: int = DEFAULT_KSM_PAGES
    ksm_interval: int = DEFAULT_INTERVAL_NS
    balloon_policy: str = BalloonPolicy.name
    balloon_interval: int = DEFAULT_INTERVAL_NS

    @classmethod
    def from_table(cls, table: Mapping[str, Any], path: str) -> HostMemoryConfig:
        """Return what a host's keys say; raise ConfigError."""
        config = cls(
            optional(table, path, "overcommit", 0, overcommit_ratio),
            optional(table, path, "swap", 0, _swap_size),
            optional(table, path, "swap_policy", Clock.name, _swap_policy),
            optional(table, path, "swap_latency", DEFAULT_LATENCY_NS, _latency),
            optional(table, path, "swap_interval", DEFAULT_INTERVAL_NS, interval),
            optional(table, path, "ksm", False, boolean),
            optional(table, path, "ksm_pages", DEFAULT_KSM_PAGES, _scanned),
            optional(table, path, "ksm_interval", DEFAULT_INTERVAL_NS, interval),
            optional(table, path, "balloon_policy", BalloonPolicy.name, _balloon_policy),
            optional(table, path, "balloon_interval", DEFAULT_INTERVAL_NS, interval),
        )
        if config.swap and not config.overcommit:
            raise ConfigError(
                f"{path}.swap", "needs overcommit: under a static partition no page ever has to go"
            )
        return config

    def differs(self, other: HostMemoryConfig) -> bool:
        """Return whether a host with VMs cannot change from one to the other."""
        return (self.overcommit, self.swap) != (other.overcommit, other.swap)

    def full_dict(self) -> dict[str, str | int]:
        """Return every key as it stands in a configuration."""
        return {
            "overcommit": f"{self.overcommit} %" if self.overcommit else "off",
            "swap": format_size(self.swap) if self.swap else "none",
            "swap_policy": self.swap_policy,
            "swap_latency": format_quantity(self.swap_latency, DURATION_UNITS),
            "swap_interval": format_quantity(self.swap_interval, DURATION_UNITS),
            "ksm": self.ksm,
            "ksm_pages": self.ksm_pages,
            "ksm_interval": format_quantity(self.ksm_interval, DURATION_UNITS),
            "balloon_policy": self.balloon_policy,
            "balloon_interval": format_quantity(self.balloon_interval, DURATION_UNITS),
        }

    def settings(self, clock_hz: int) -> MemorySettings:
        """Return the same with times in cycles."""
        return MemorySettings(
            overcommit=self.overcommit,
            swap_pages=self.swap // PAGE_BYTES,
            replacement=self.swap_policy,
            swap_latency=to_cycles(self.swap_latency, clock_hz),
            age_every=to_cycles(self.swap_interval, clock_hz),
            ksm=self.ksm,
            ksm_pages=self.ksm_pages,
            ksm_every=to_cycles(self.ksm_interval, clock_hz),
            balloon_policy=self.balloon_policy,
            balloon_every=to_cycles(self.balloon_interval, clock_hz),
        )


@dataclass(frozen=True, slots=True)
class RamConfig:
    """What a VM may have of the host's frames: at most `limit` bytes; `reservation` bytes are kept for it.

    While it is on, its memory can grow to `most` bytes; 0 is as much as it has. `page` is the size of the
    leaves that its G-stage table has where it can.
    """

    limit: int = 0
    reservation: int = 0
    most: int = 0
    page: int = PAGE_BYTES

    @classmethod
    def from_table(cls, table: Mapping[str, Any], path: str, memory: int) -> RamConfig:
        """Return what the keys of a VM with so much memory say; raise ConfigError."""
        ram = cls(
            optional(table, path, "memory_limit", 0, frames_of_vm),
            optional(table, path, "memory_reservation", 0, frames_of_vm),
            optional(table, path, "max_memory", 0, frames_of_vm),
            optional(table, path, "pages", PAGE_BYTES, _page_size),
        )
        if ram.page != PAGE_BYTES and table.get("paging") == "shadow":
            raise ConfigError(
                f"{path}.pages", "needs paging: nested; with shadow paging no hart walks the G-stage table"
            )
        _require_consistent(memory, ram, path)
        return ram

    def full_dict(self) -> dict[str, object]:
        """Return every key as it stands in a configuration."""
        return {
            "memory_limit": format_size(self.limit) if self.limit else "none",
            "memory_reservation": format_size(self.reservation) if self.reservation else "none",
            "max_memory": format_size(self.most) if self.most else "none",
            "pages": format_size(self.page),
        }

    def to_dict(self) -> dict[str, object]:
        """Return the keys that are not as they are by default."""
        default = RamConfig().full_dict()
        return {key: value for key, value in self.full_dict().items() if value != default[key]}

    def settings(self) -> RamSettings:
        """Return the same for the hypervisor."""
        return RamSettings(self.limit, self.reservation, self.most, self.page)


def _swap_size(value: object, path: str) -> int:
    return 0 if value in (None, "none", 0) else memory_size(value, path, 4 << 10, MAX_BYTES)


def _swap_policy(value: object, path: str) -> str:
    return one_of(value, path, list(REPLACEMENTS))


def _latency(value: object, path: str) -> int:
    return quantity(value, path, DURATION_UNITS, "100 us", MIN_LATENCY_NS, MAX_LATENCY_NS)


def _scanned(value: object, path: str) -> int:
    return whole_number(value, path, 1, MAX_KSM_PAGES)


def _balloon_policy(value: object, path: str) -> str:
    return one_of(value, path, list(BALLOON_POLICIES))


def interval(value: object, path: str) -> int:
    """Return an interval of the host's own work in nanoseconds. Raises ConfigError."""
    return quantity(value, path, DURATION_UNITS, "10 ms", MIN_INTERVAL_NS, MAX_INTERVAL_NS)


def overcommit_ratio(value: object, path: str = "overcommit") -> int:
    """Return an overcommit ratio in percent, 0 for a static partition.

    `value` is a ratio such as 1.5, a text such as "150 %", or "off". Raises ConfigError.
    """
    if value is None or value is False or value == "off":
        return 0
    percent = _percent(value)
    if percent is None:
        raise ConfigError(path, f"is {_said(value)}; expected off, or a ratio such as 1.5 or `150 %`")
    if not MIN_OVERCOMMIT <= percent <= MAX_OVERCOMMIT:
        raise ConfigError(path, f"is {percent:g} %; must be from {MIN_OVERCOMMIT} % to {MAX_OVERCOMMIT} %")
    if percent != int(percent):
        raise ConfigError(path, f"is {percent:g} %; must be a whole number of percent")
    return int(percent)


def _percent(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value * 100, 6) if abs(value) <= MAX_OVERCOMMIT else float(MAX_OVERCOMMIT + 1)
    if isinstance(value, str) and value.isascii() and value[-1:] == "%" and value[:-1].strip().isdigit():
        return float(min(int(value[:-1].strip()[:9]), MAX_OVERCOMMIT + 1))
    return None


def _said(value: object) -> str:
    return repr(value) if isinstance(value, str) else kind_of(value)


def frames_of_vm(value: object, path: str) -> int:
    """Return a limit, reservation or greatest size in bytes, 0 for none. Raises ConfigError."""
    return 0 if value in (None, "none", 0) else memory_size(value, path, 4 << 10, MAX_BYTES)


def _page_size(value: object, path: str) -> int:
    return BLOCK_BYTES if one_of(value, path, ["4 KiB", "2 MiB"]) == "2 MiB" else PAGE_BYTES


def _require_consistent(memory: int, ram: RamConfig, path: str) -> None:
    """Raise ConfigError if a VM's sizes contradict each other."""
    if ram.reservation > memory:
        raise ConfigError(
            f"{path}.memory_reservation", f"is more than the VM's memory, {memory >> 10} KiB; lower it"
        )
    if ram.most and ram.most < memory:
        raise ConfigError(f"{path}.max_memory", f"is less than the VM's memory, {memory >> 10} KiB; raise it")
    if ram.limit and ram.reservation > ram.limit:
        raise ConfigError(
            f"{path}.memory_reservation", f"is more than its memory_limit, {ram.limit >> 10} KiB; lower it"
        )
