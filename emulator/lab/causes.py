"""Why something happened: from an event of the log back along what led to it, to the student's own action.

Every event knows the one that led to it (`emulator.hypervisor.causes`). The log keeps the newest events of
each kind, so that a chain may end before its beginning; it then says so.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict

from emulator.hypervisor.trace import Event
from emulator.lab.errors import LabError
from emulator.lab.observation import EventView
from emulator.lab.observing import event_view

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

MOST_LINKS = 40
SILENT = ("answer", "decide")  # they do nothing to the lab
TYPED_CHARACTERS = 40


class LinkView(TypedDict):
    """One event of a chain, and the sentence that tells what it has to do with the one before it."""

    event: EventView
    sentence: str


class WhyView(TypedDict):
    """The chain of causes of an event, which comes first; `end` says why it does not go on."""

    event: int
    chain: list[LinkView]
    end: str


@contextmanager
def of_action(lab: Lab, action: Mapping[str, Any]) -> Generator[None]:
    """Let what an action does follow from it; it has an entry in the log, unless it does nothing."""
    if action.get("verb") in SILENT:
        yield
        return
    trace = lab.hypervisor.trace
    trace.begin_action()
    try:
        yield
    except BaseException:
        trace.end_action(refused=True)
        raise
    now = lab.hypervisor.trace  # an action may replace the host
    if now.end_action(refused=False):
        vm = action.get("vm")
        known = vm if isinstance(vm, str) and vm in lab.hypervisor.vms else None
        now.log("action", str(action["verb"]), _told(action), lab.position, lab.hypervisor.now, known)


def _told(action: Mapping[str, Any]) -> str:
    """Return what a student did, for an action that says nothing of itself."""
    verb, vm = str(action["verb"]), action.get("vm")
    if verb == "console_input":
        typed = str(action["text"])[:TYPED_CHARACTERS]
        return f"{typed!r} was typed at the console of {vm}"
    deed = verb.replace("_", " ")
    asked = f"{deed} was asked for"
    return f"{vm}: {asked}" if vm else asked


def why(lab: Lab, event: int) -> WhyView:
    """Return an event with what led to it, the oldest last. Raises LabError if it is not kept (any more)."""
    kept = lab.hypervisor.trace.by_number()
    first = kept.get(event)
    if first is None:
        raise LabError(
            f"there is no event {event} in the log (any more); it keeps the newest of each kind."
            " Go back to where it happened, and ask there",
            "event",
        )
    found = list(_back(kept, first))
    shown = _until_it_goes_round(found)
    links: list[LinkView] = [
        {"event": event_view(lab, one), "sentence": _sentence(one, place == 0)}
        for place, one in enumerate(shown)
    ]
    return {"event": event, "chain": links, "end": _end(found[-1], len(shown) < len(found))}


def _back(kept: Mapping[int, Event], event: Event) -> Iterator[Event]:
    """Yield an event and what led to it, as far as that is kept."""
    found: Event | None = event
    while found is not None:
        yield found
        found = kept.get(found.cause)


def _until_it_goes_round(found: list[Event]) -> list[Event]:
    """Return the chain up to where the same things happen again: a timer that is set each time it rings."""
    seen: set[tuple[object, ...]] = set()
    for place, event in enumerate(found[:MOST_LINKS]):
        signature = (event.kind, event.reason, event.vm, event.vcpu, event.text)
        if signature in seen:
            return found[:place]
        seen.add(signature)
    return found[:MOST_LINKS]


def _sentence(event: Event, first: bool) -> str:
    text = event.text
    if event.kind == "exit":
        text = f"vCPU {event.vcpu} of {event.vm} left the guest ({event.reason}): {text}"
    if not first:
        return f"Because {text}."
    return f"{text if text.startswith('vCPU') else text[:1].upper() + text[1:]}."


def _end(last: Event, round_: bool) -> str:
    again = "And so on, round and round."
    if last.cause:
        lost = "What led to that is not kept any more: go back in time to see it."
        return f"{again} {lost}" if round_ else lost
    if round_:
        return f"{again} It began with this: {last.text}."
    if last.kind == "action":
        return "That was done by hand."
    if last.kind == "alarm":
        return "That is a rule of the lab, and what it measures."
    return "That is where it began."
