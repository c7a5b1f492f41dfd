"""How much real memory the labs of one worker may hold.

A guest frame costs memory only once it was written, so a worker can hold hundreds of labs; but a guest that
writes all of its memory gets it. When the sum passes the limit, labs that nobody uses are closed (they are
rebuilt when wanted), and if that is not enough the largest lab that runs is paused, so that others go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from app.workers.session import Session

CHECK_SECONDS = 1.0
SHARE = 0.5
DEFAULT_BYTES = 1 << 30
REASON = "the memory for labs on this server is used up; shut down a VM that you do not need"


def used_bytes(session: Session) -> int:
    """Return the real memory behind the guest frames of a lab, and of what it can go back to."""
    return session.lab.hypervisor.host.store_bytes


def worker_limit() -> int:
    """Return what one worker may hold: half of this machine's memory, shared by a worker per CPU."""
    if not hasattr(os, "sysconf"):
        return DEFAULT_BYTES
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(physical * SHARE / (os.cpu_count() or 1))


def pause_largest(sessions: Iterable[Session]) -> None:
    """Pause the lab that holds the most memory among those that run."""
    running = [session for session in sessions if session.mode in ("running", "until")]
    if running:
        max(running, key=used_bytes).pause(REASON)
