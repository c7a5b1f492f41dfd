"""Policies that run here, as the hypervisor asks them: given what they may see, and their answers checked.

A policy gets read-only views and copies, so that nothing changes but by its answers. An answer that makes no
sense is a PolicyError at the line of the method that gave it; nothing has been changed then.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from operator import attrgetter
from typing import Any, cast

from emulator.hypervisor.decisions import Live
from emulator.hypervisor.memory.ballooning import HostMemory, VmMemory
from emulator.hypervisor.scheduler.interface import RunQueue, VcpuInfo
from emulator.policy.program import Caller, Program

MAX_TIMESLICE = 10_000_000_000


class VcpuView:
    """A vCPU as a policy sees it: `VcpuInfo`, read-only."""

    __slots__ = ("_info",)

    def __init__(self, info: VcpuInfo) -> None:
        """Show `info` as it is when it is read."""
        self._info = info

    id = property(attrgetter("_info.id"))
    vm = property(attrgetter("_info.vm"))
    index = property(attrgetter("_info.index"))
    weight = property(attrgetter("_info.weight"))
    cap = property(attrgetter("_info.cap"))
    reservation = property(attrgetter("_info.reservation"))
    period = property(attrgetter("_info.period"))
    affinity = property(attrgetter("_info.affinity"))
    siblings = property(attrgetter("_info.siblings"))
    since = property(attrgetter("_info.since"))
    ran = property(attrgetter("_info.ran"))
    last_pcpu = property(attrgetter("_info.last_pcpu"))
    woken = property(attrgetter("_info.woken"))
    share = property(attrgetter("_info.share"))

    def __str__(self) -> str:
        """Return VM and number, like "web.1"."""
        return str(self._info)

    __repr__ = __str__


class _Shown(list[VcpuView]):
    """A run queue as a policy sees it."""

    pcpu = 0


class LiveScheduler:
    """Asks a policy who runs next."""

    def __init__(self, caller: Caller) -> None:
        """Ask the policy of `caller`."""
        self._call = caller
        self._policy: Any = caller.policy
        self._views: dict[VcpuInfo, VcpuView] = {}

    def _view(self, vcpu: VcpuInfo) -> VcpuView:
        view = self._views.get(vcpu)
        if view is None:
            view = self._views[vcpu] = VcpuView(vcpu)
        return view

    def on_change(self, vcpus: Sequence[VcpuInfo], pcpus: Sequence[int], now: int) -> None:
        """Tell it who there is."""
        self._views = {vcpu: self._view(vcpu) for vcpu in vcpus}
        self._call(self._policy.on_change, [self._view(one) for one in vcpus], list(pcpus), now)

    def on_wake(self, vcpu: VcpuInfo, now: int) -> None:
        """Tell it who wants to run."""
        self._call.ask(self._policy.on_wake, self._view(vcpu), now)

    def on_sleep(self, vcpu: VcpuInfo, now: int) -> None:
        """Tell it who does not want to run any more."""
        self._call.ask(self._policy.on_sleep, self._view(vcpu), now)

    def on_exit(self, vcpu: VcpuInfo, ran: int, now: int) -> None:
        """Tell it that a turn is over."""
        self._call(self._policy.on_exit, self._view(vcpu), ran, now)

    def pick(self, runqueue: RunQueue, now: int) -> VcpuInfo | None:
        """Return whom it picks. Raises PolicyError if that is nobody in the run queue."""
        views = self._views
        try:
            shown = _Shown([views[one] for one in runqueue])
        except KeyError:
            shown = _Shown([self._view(one) for one in runqueue])
        shown.pcpu = runqueue.pcpu
        chosen: Any = self._call.ask(self._policy.pick, shown, now)
        if chosen is None:
            return None
        if type(chosen) is VcpuView:
            vcpu = chosen._info  # pyright: ignore[reportPrivateUsage]
            if vcpu in runqueue:
                return vcpu
        names = ", ".join(map(str, runqueue))
        raise self._call.wrong(
            "pick", f"pick returned {_shown(chosen)}, which is not in the run queue; it holds {names}"
        )

    def timeslice(self, vcpu: VcpuInfo, now: int) -> int:
        """Return how long it lets a turn be. Raises PolicyError."""
        cycles: Any = self._call.ask(self._policy.timeslice, self._view(vcpu), now)
        if type(cycles) is not int or not 1 <= cycles <= MAX_TIMESLICE:
            raise self._call.wrong(
                "timeslice",
                f"timeslice returned {_shown(cycles)}; expected a whole number of cycles, at least 1",
            )
        return cycles

    def preempts(self, vcpu: VcpuInfo, running: VcpuInfo, now: int) -> bool:
        """Return whether it lets one vCPU interrupt another. Raises PolicyError."""
        answer: Any = self._call(self._policy.preempts, self._view(vcpu), self._view(running), now)
        if type(answer) is not bool:
            raise self._call.wrong("preempts", f"preempts returned {_shown(answer)}; expected True or False")
        return answer


class Bits:
    """What a replacement may ask of frames; what it clears is kept apart until its answer is known."""

    def __init__(self, bits: Any, frames: AbstractSet[int], writable: bool) -> None:
        """Show the bits of known frames."""
        self._bits, self._frames, self._writable = bits, frames, writable
        self._cleared: dict[int, None] = {}

    def may_go(self, frame: int) -> bool:
        """Return whether a frame can be taken."""
        return bool(self._bits.may_go(self._known(frame)))

    def accessed(self, frame: int) -> bool:
        """Return a frame's A bit."""
        return self._known(frame) not in self._cleared and bool(self._bits.accessed(frame))

    def clear(self, frame: int) -> None:
        """Clear a frame's A bit."""
        if not self._writable:
            raise ValueError("A bits can be cleared only in victim()")
        self._cleared[self._known(frame)] = None

    def time(self, frame: int) -> int:
        """Return the time of the frame's VM."""
        return int(self._bits.time(self._known(frame)))

    def _known(self, frame: int) -> int:
        if type(frame) is not int or frame not in self._frames:
            raise ValueError(f"{_shown(frame)} is none of self.frames")
        return frame


class LiveReplacement:
    """Asks a policy which frame goes."""

    def __init__(self, caller: Caller) -> None:
        """Ask the policy of `caller`."""
        self._call = caller
        self._policy: Any = caller.policy
        self._frames: dict[int, None] = {}

    def on_map(self, frame: int, bits: Any) -> None:
        """Tell it of a frame that has come to a page."""
        self._frames[frame] = None
        self._call(self._policy.on_map, frame, Bits(bits, self._frames.keys(), False))

    def on_unmap(self, frame: int) -> None:
        """Tell it of a frame that is gone."""
        if frame in self._frames:
            del self._frames[frame]
            self._call(self._policy.on_unmap, frame)

    def on_age(self, accessed: AbstractSet[int], bits: Any) -> None:
        """Tell it which frames were used."""
        self._call(self._policy.on_age, set(accessed), Bits(bits, self._frames.keys(), False))

    def victim(self, bits: Any) -> tuple[int | None, list[int]]:
        """Return the frame that it takes, and those whose A bits it clears. Raises PolicyError."""
        view = Bits(bits, self._frames.keys(), True)
        frame: Any = self._call(self._policy.victim, view)
        cleared = list(view._cleared)  # pyright: ignore[reportPrivateUsage]
        if frame is None:
            return None, cleared
        if type(frame) is not int or frame not in self._frames:
            raise self._call.wrong("victim", f"victim returned {_shown(frame)}, which is none of self.frames")
        if not bits.may_go(frame):
            raise self._call.wrong("victim", f"victim returned frame {frame}, which may not go (bits.may_go)")
        return frame, cleared


class LiveBalloon:
    """Asks a policy for balloon targets."""

    def __init__(self, caller: Caller) -> None:
        """Ask the policy of `caller`."""
        self._call = caller
        self._policy: Any = caller.policy

    def targets(self, vms: Sequence[VmMemory], host: HostMemory) -> dict[str, int]:
        """Return what it asks for. Raises PolicyError."""
        answer: Any = self._call(self._policy.targets, list(vms), host)
        if type(answer) is not dict:
            raise self._call.wrong("targets", f"targets returned {_shown(answer)}; expected {{name: bytes}}")
        known = {vm.name: vm for vm in vms}
        for name, size in cast("dict[Any, Any]", answer).items():
            if name not in known:
                names = ", ".join(known) or "none"
                raise self._call.wrong(
                    "targets", f"targets names {_shown(name)}, which has no balloon; with one: {names}"
                )
            if type(size) is not int or not 0 <= size <= known[name].memory:
                raise self._call.wrong(
                    "targets",
                    f"targets asks {name} for {_shown(size)};"
                    f" expected whole bytes from 0 to {known[name].memory}",
                )
        return dict(cast("dict[str, int]", answer))


class LiveExits:
    """Asks a policy what a guest finds at its device, or in a CSR."""

    def __init__(self, caller: Caller) -> None:
        """Ask the policy of `caller`."""
        self._call = caller
        self._policy: Any = caller.policy

    def read(self, vm: str, offset: int, size: int) -> int | None:
        """Return what a load reads. Raises PolicyError."""
        return self._value("read", self._call(self._policy.read, vm, offset, size))

    def write(self, vm: str, offset: int, size: int, value: int) -> bool:
        """Return whether a store is taken. Raises PolicyError."""
        answer: Any = self._call(self._policy.write, vm, offset, size, value)
        if answer is not None and type(answer) is not bool:
            raise self._call.wrong("write", f"write returned {_shown(answer)}; expected True or False")
        return bool(answer)

    def csr(self, vm: str, number: int, operation: str, value: int) -> int | None:
        """Return the old value of a CSR. Raises PolicyError."""
        return self._value("csr", self._call(self._policy.csr, vm, number, operation, value))

    def _value(self, method: str, answer: Any) -> int | None:
        if answer is None or (type(answer) is int and 0 <= answer < 1 << 64):
            return answer
        raise self._call.wrong(
            method, f"{method} returned {_shown(answer)}; expected a number of at most 64 bits, or None"
        )


def attach(live: Live, program: Program, timeslice: int, seed: int) -> Caller:
    """Let a program answer at a desk from now on; it remembers nothing. Raises PolicyError."""
    caller = program.start(timeslice, seed)
    match program.interface.name:
        case "scheduler":
            live.scheduler = LiveScheduler(caller)
        case "replacement":
            live.replacement = LiveReplacement(caller)
        case "balloon":
            live.balloon = LiveBalloon(caller)
        case _:
            live.exits = LiveExits(caller)
    return caller


def _shown(value: object) -> str:
    """Return a value in words, never at length; an object of the policy's own by its kind."""
    if value is None or isinstance(value, int | float | str | bool | VcpuView):
        return repr(value)[:60]
    return f"a {type(value).__name__}"
