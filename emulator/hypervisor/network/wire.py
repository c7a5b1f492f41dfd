"""The wire behind a port: how long a frame takes, and whether it is lost. All in virtual time and seeded."""

from __future__ import annotations

from emulator.hypervisor.network.state import PARTS_PER_MILLION, PortState, SwitchState

NS_PER_SECOND = 1_000_000_000
OVERHEAD_BYTES = 24  # preamble, check sequence and gap around a frame (IEEE 802.3-2018, 3.1.1 and 4.4.2)
QUEUE_NS = 100_000_000  # what would wait longer for its wire is dropped
UNDER_WAY_MAX = 1024
WORD = (1 << 64) - 1


def take(port: PortState, length: int, at: int) -> int | None:
    """Return when a frame that the port sends from time `at` on has arrived in the switch; None: dropped."""
    arrived = _through(port.in_busy_ns, port.settings.rate, length, at)
    if arrived is not None and port.settings.rate:
        port.in_busy_ns = arrived
    return arrived


def give(port: PortState, length: int, at: int) -> int | None:
    """Return when a frame that the switch sends from time `at` on has arrived at the port; None: dropped."""
    if len(port.under_way) >= UNDER_WAY_MAX:
        return None
    sent = _through(port.out_busy_ns, port.settings.rate, length, at)
    if sent is None:
        return None
    if port.settings.rate:
        port.out_busy_ns = sent
    return sent + port.settings.latency_ns


def _through(busy: int, rate: int, length: int, at: int) -> int | None:
    if not rate:
        return at
    begin = max(at, busy)
    if begin - at > QUEUE_NS:
        return None
    return begin + -(-(length + OVERHEAD_BYTES) * 8 * NS_PER_SECOND // rate)


def is_lost(switch: SwitchState, port: PortState) -> bool:
    """Decide whether a frame to a port is lost: xorshift64 (Marsaglia 2003), one step for each frame."""
    if not port.settings.loss:
        return False
    number = switch.random
    number ^= number << 13 & WORD
    number ^= number >> 7
    number ^= number << 17 & WORD
    switch.random = number
    return number % PARTS_PER_MILLION < port.settings.loss
