"""Page replacement: which frame a host takes when it needs one and none is free.

A policy is one small class over frame numbers, so that students can write their own:

    class MostRecent(Replacement):
        name = "most-recent"

        def victim(self, bits):
            return next((frame for frame in reversed(self.frames) if bits.may_go(frame)), None)

`frames` holds the frames that can be taken, in the order in which they came to their pages; its values are
the policy's own. What is known of their use are the A bits that the MMU sets in the G-stage tables. Peter J.
Denning, "The Working Set Model for Program Behavior" (CACM 1968); Remzi and Andrea Arpaci-Dusseau,
"Operating Systems: Three Easy Pieces" 1.10, chapter 22; Andrew S. Tanenbaum, "Modern Operating Systems", 3.4.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Protocol

AGE_TOP = 0x80  # eight intervals are remembered
WINDOW = 4  # intervals of a VM's own time that its working set reaches back


class AccessBits(Protocol):
    """What a policy may ask of a frame."""

    def may_go(self, frame: int, /) -> bool:
        """Return whether the frame can be taken: limits and reservations may forbid it."""
        ...

    def accessed(self, frame: int, /) -> bool:
        """Return the frame's A bit."""
        ...

    def clear(self, frame: int, /) -> None:
        """Clear the frame's A bit."""
        ...

    def time(self, frame: int, /) -> int:
        """Return the time of the frame's VM, in intervals in which it ran."""
        ...


class Replacement:
    """First in, first out: takes the frame that has been with its page for longest."""

    name = "fifo"
    title = "FIFO"
    ages = False  # whether `on_age` is to be called

    def __init__(self) -> None:
        """Begin with no frames."""
        self.frames: dict[int, Any] = {}

    def on_map(self, frame: int, bits: AccessBits) -> None:
        """Take note of a frame that has come to a page."""
        del bits
        self.frames[frame] = None

    def on_unmap(self, frame: int) -> None:
        """Forget a frame, if it is known."""
        self.frames.pop(frame, None)

    def on_age(self, accessed: AbstractSet[int], bits: AccessBits) -> None:
        """Take note of which frames were used since the last call; their A bits have been cleared."""

    def victim(self, bits: AccessBits) -> int | None:
        """Return the frame to take, None if none may go."""
        return next((frame for frame in self.frames if bits.may_go(frame)), None)

    def state(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        return [self.name, list(self.frames.items())]


class Clock(Replacement):
    """Second chance: as FIFO, but a frame that was used since the hand last came by is passed over."""

    name = "clock"
    title = "Clock"

    def victim(self, bits: AccessBits) -> int | None:
        """Turn the hand; after one round of chances it finds somebody in the second."""
        for frame in [*self.frames, *self.frames]:
            if bits.may_go(frame):
                if not bits.accessed(frame):
                    return frame
                bits.clear(frame)
            self.frames[frame] = self.frames.pop(frame)  # behind the hand
        return None


class Aging(Replacement):
    """Least recently used, nearly: each frame has eight bits of history; the smallest number goes."""

    name = "lru"
    title = "LRU by aging"
    ages = True

    def on_map(self, frame: int, bits: AccessBits) -> None:
        """Count the touch that brought the frame."""
        del bits
        self.frames[frame] = AGE_TOP

    def on_age(self, accessed: AbstractSet[int], bits: AccessBits) -> None:
        """Shift the A bits in from the left."""
        del bits
        for frame, history in self.frames.items():
            self.frames[frame] = history >> 1 | (AGE_TOP if frame in accessed else 0)

    def victim(self, bits: AccessBits) -> int | None:
        """Take who was used least; a frame used in this very interval counts as used last."""
        allowed = (frame for frame in self.frames if bits.may_go(frame))
        return min(allowed, key=lambda frame: (bits.accessed(frame), self.frames[frame]), default=None)


class WorkingSet(Replacement):
    """Keeps what each VM has used in the last intervals of its own time, in which it ran.

    A frame outside its VM's working set goes first, the one that was used longest ago; so a VM that sleeps
    keeps what it needs. When every working set is in use, the host thrashes; then the oldest frame goes.
    """

    name = "working-set"
    title = "Working set"
    ages = True

    def on_map(self, frame: int, bits: AccessBits) -> None:
        """A frame comes because it is used now."""
        self.frames[frame] = bits.time(frame)

    def on_age(self, accessed: AbstractSet[int], bits: AccessBits) -> None:
        """Note the time of use."""
        for frame in self.frames:
            if frame in accessed:
                self.frames[frame] = bits.time(frame)

    def victim(self, bits: AccessBits) -> int | None:
        """Take the frame whose last use is longest ago, in its VM's time."""
        allowed = (frame for frame in self.frames if bits.may_go(frame))
        return max(allowed, key=lambda frame: self._unused(frame, bits), default=None)

    def _unused(self, frame: int, bits: AccessBits) -> int:
        """Return for how many intervals a frame was not used; all within the window count alike."""
        intervals = 0 if bits.accessed(frame) else bits.time(frame) - self.frames[frame]
        return intervals if intervals > WINDOW else 0


BUILT_IN = (Replacement, Clock, Aging, WorkingSet)
