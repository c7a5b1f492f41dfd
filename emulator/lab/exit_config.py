"""What a configuration says about exits: what they cost, and whether TLB entries carry VMIDs.

    host: {costs: {mmio: 3000, world_switch: 1000}, vmid: off}

`costs` are in cycles, by the names of `emulator.hypervisor.costs`; what is not named keeps its default. With
`vmid: off` all VMs have VMID 0, and the TLBs are flushed at each world switch, at the cost `tlb_flush`.
"""

from __future__ import annotations

from typing import cast

from emulator.hypervisor.costs import DEFAULTS, LEAST_EXIT, MAY_BE_FREE
from emulator.lab.quantities import quoted
from emulator.lab.values import ConfigError, one_of, table_of, whole_number

MAX_COST = 100_000
MAX_UNIT_COST = 100  # of one byte for the console
Prices = tuple[tuple[str, int], ...]


def costs(value: object, path: str = "costs") -> Prices:
    """Return the prices that differ from the defaults; raise ConfigError.

    A text like "mmio=3000,sbi=800" stands for a mapping.
    """
    if value is None or value == "":
        return ()
    table = table_of(_pairs(value, path) if isinstance(value, str) else value, path, tuple(DEFAULTS))
    prices = {name: _price(name, table[name], f"{path}.{name}") for name in table}
    return tuple(sorted((name, cycles) for name, cycles in prices.items() if cycles != DEFAULTS[name]))


def vmid(value: object, path: str = "vmid") -> bool:
    """Return whether VMIDs are used; raise ConfigError."""
    if isinstance(value, bool):
        return value
    return one_of(value, path, ("on", "off")) == "on"


def format_vmid(used: bool) -> str:
    """Return "on" or "off"."""
    return "on" if used else "off"


def _price(name: str, value: object, path: str) -> int:
    least = 0 if name in MAY_BE_FREE else LEAST_EXIT
    return whole_number(value, path, least, MAX_UNIT_COST if name == "console_byte" else MAX_COST)


def _pairs(text: str, path: str) -> dict[str, object]:
    pairs = [part.partition("=") for part in text.split(",")]
    for name, equals, cycles in pairs:
        if not (equals and cycles.strip().isdecimal()):
            part = f"{name}{equals}{cycles}".strip()
            raise ConfigError(
                path, f"has {quoted(part)}; expected a name and cycles, e.g. `mmio=3000,sbi=800`"
            )
    return cast("dict[str, object]", {name.strip(): int(cycles) for name, _, cycles in pairs})
