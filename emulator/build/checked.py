"""Calls of checked kernels: say before each what memory is theirs, ask after each whether they kept to it.

Checked kernels (`load_engine(checked=True)`, or `VMLAB_CHECKED=1` for every engine) serve tests. What is
checked is said in `core/bounds.py`, and where in `checks.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from emulator.core.regions import process_bounds
from emulator.state import (
    BOUNDS_INDEX,
    CODE_PAGE_BYTES,
    EVENT,
    FAST_STRIDE,
    HART,
    HOST,
    NO_ADDRESS,
    PAGE_BYTES,
    REGIONS,
)

# Which arguments of an entry are a hart, a host, and a buffer with its length.
_HART = {"run": 0, "translate": 0, "flush": 0, "flush_fast": 0, "pending": 0, "cycles_to_timer": 0}
_HOST = {
    "run": 1, "translate": 1, "pending": 1, "cycles_to_timer": 1, "read": 0, "write": 0, "hold": 0,
    "release": 0, "adopt": 0,
}  # fmt: skip
_BUFFER = {"read": (2, 3), "write": (2, 3), "hold": (1, 2), "release": (1, 2), "adopt": (1, 2)}
# There is one BOUNDS record, and ctypes lets other threads run during a call.
_lock = Lock()


class KernelBoundsError(AssertionError):
    """A kernel reached for memory that is not its own: our mistake, whatever the guest did.

    `kind` is a region of `state.REGIONS`, or `index`; then `address` is the index and `size` the count.
    """

    def __init__(self, entry: str, kind: str, address: int, size: int, write: bool, pc: int) -> None:
        """Describe the first violation of a call of the kernel `entry`."""
        what = f"{'write' if write else 'read'} of {size} bytes at {address:#x}"
        if kind == "index":
            what = f"{address} as index into {size} fields"
        super().__init__(f"{entry}: {what} is outside {kind!r}, at pc {pc:#x}")
        self.kind, self.address, self.size, self.write, self.pc = kind, address, size, write, pc


def checked_function(name: str, function: Callable[..., int]) -> Callable[..., int]:
    """Return a kernel that raises KernelBoundsError when it has left its memory."""

    def call(*arguments: int) -> int:
        with _lock:
            bounds = process_bounds()
            _arm(bounds, regions_of(name, arguments))
            result = function(*arguments)
            if bounds.violations:
                raise _error(name, bounds)
            return result

    return call


def regions_of(name: str, arguments: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    """Return start and length of every region that a call of the kernel `name` may touch."""
    regions: dict[str, tuple[int, int]] = {}
    if name in _HOST:
        regions |= _host_regions(HOST.struct.from_address(arguments[_HOST[name]]))
    if name in _HART:
        hart: Any = HART.struct.from_address(arguments[_HART[name]])
        regions["own"] = hart.fast, FAST_STRIDE
    if name in _BUFFER:
        place, length = _BUFFER[name]
        regions["buffer"] = arguments[place], arguments[length]
    return regions


def _host_regions(host: Any) -> dict[str, tuple[int, int]]:
    # The pages of a ROM are frames behind those of RAM, in the store behind all slots.
    mapped = host.ram_frames + host.rom_frames
    return {
        "store": (host.store, (host.store_slots + host.rom_frames) * PAGE_BYTES),
        "fresh": (host.store, host.store_slots * PAGE_BYTES),
        "frame_slot": (host.frame_slot, mapped * 4),
        "slot_references": (host.slot_references, host.store_slots * 4),
        "free_slots": (host.free_slots, host.store_slots * 4),
        "code": (host.code, host.code_pages * CODE_PAGE_BYTES),
        "frame_code": (host.frame_code, mapped * 4),
        "code_frame": (host.code_frame, host.code_pages * 4),
        "fast": (host.fast, host.harts * FAST_STRIDE),
        "events": (host.events, host.event_capacity * EVENT.size),
    }


def _arm(bounds: Any, regions: dict[str, tuple[int, int]]) -> None:
    bounds.violations, bounds.pc = 0, NO_ADDRESS
    for number, name in enumerate(REGIONS):
        bounds.start[number], bounds.length[number] = regions.get(name, (0, 0))


def _error(entry: str, bounds: Any) -> KernelBoundsError:
    number: int = bounds.kind
    kind = "index" if number == BOUNDS_INDEX else REGIONS[number]
    return KernelBoundsError(
        entry, kind, bounds.address, bounds.size, bool(bounds.write), bounds.pc_of_violation
    )
