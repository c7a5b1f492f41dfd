"""A look at an earlier instant without going there: the lab is taken back, looked at, and put where it was.

Unlike `Recorder.rewind` this leaves no trace: no branch, the same log, the same cursors of readers. It costs
a checkpoint of the present and the replay from the nearest older checkpoint, of which there is a limit.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emulator.lab.checkpoint import Checkpoint, CheckpointError
from emulator.lab.errors import LabError

if TYPE_CHECKING:
    from emulator.lab.lab import Lab, LogEntry
    from emulator.lab.timetravel import Recorder

MOST_REPLAYED = 150_000_000  # positions; about a second


@contextmanager
def looking_back(lab: Lab, position: int) -> Generator[list[LogEntry]]:
    """Stand at the last checkpoint before a position, and afterwards here again; gives the log to go on with.

    Raises LabError if that instant is not recorded, or too far from what is.
    """
    recorder = lab.past
    if lab.policies.runs:
        raise LabError(
            "a policy of yours decides in this lab, and would have to begin anew after a look back",
            "position",
        )
    log, last = list(lab.log), recorder.next_position
    nearest = _nearest(recorder, log, position)
    if position - nearest.position > MOST_REPLAYED:
        raise LabError(
            "that instant is too long after the last one that was kept, to repeat it now", "position"
        )
    here = _here(lab)
    shown = lab.revision.value, lab.shown_since
    try:
        with recorder:
            lab.restore(nearest)
            yield log
    finally:
        lab.restore(here)
        here.release()
        recorder.next_position = last
        lab.revision.value, lab.shown_since = shown


def replay(lab: Lab, log: list[LogEntry], position: int) -> None:
    """Go on from a checkpoint to a position, with the actions of the log that come up to it."""
    for entry in log[len(lab.log) :]:
        if entry["position"] > position:
            break
        lab.advance(entry["position"])
        lab.apply(entry["action"])
    lab.advance(position)


def _here(lab: Lab) -> Checkpoint:
    try:
        return lab.checkpoint()
    except (CheckpointError, MemoryError) as error:
        raise LabError("there is no room to keep the present while looking back", "position") from error


def _nearest(recorder: Recorder, log: list[LogEntry], position: int) -> Checkpoint:
    """Return the last checkpoint before a position, with the actions that came before it."""
    for one in reversed(recorder.checkpoints):
        count = one.actions
        ahead = count < len(log) and log[count]["position"] < one.position
        if one.position < position and not ahead and one.log == log[:count]:
            return one
    raise LabError("that instant is not recorded any more", "position")
