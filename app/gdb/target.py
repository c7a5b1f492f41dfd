"""A VM of a lab as a debugger's target, wherever the lab lives: in this process or on a worker.

All that is asked of the lab is what a page may ask of it (`Machine`): views, actions, control of time. So a
debugger can do nothing that a student cannot, its writes are `poke` actions in the log, and it never changes
virtual time. Stops of the debugger are its own and not among the lab's.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from app.gdb.features import NAMES
from app.gdb.stub import Stop, Stopped, TargetError

MOVING = ("running", "until")
MAX_POKES = 2000
HELP = "exits: exits of this VM by reason\nwhere: position in the lab's history\nhelp: this\n"


class Machine(Protocol):
    """Where the lab lives. Every method may raise TargetError."""

    def inspect(self, view: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return a view of the lab (app/workers/inspection.py)."""
        ...

    def act(self, action: dict[str, Any]) -> None:
        """Apply an action."""
        ...

    def control(self, fields: dict[str, Any]) -> None:
        """Run, pause, step, go back (app/workers/control.py)."""
        ...

    def run_view(self) -> dict[str, Any]:
        """Return the lab's `run`, having let it run if it does that only when asked."""
        ...


class VmTarget:
    """One VM of a lab; the lab stands when it is attached to."""

    def __init__(self, machine: Machine, vm: str) -> None:
        """Let the lab stand. Raise TargetError if the VM is off."""
        self._machine = machine
        self._vm = vm
        self._raw: dict[str, Any] | None = None
        self._gpas: dict[Stop, int] = {}
        self._wanted: list[Stop] = []
        self._stepped: int | None = None
        self._pokes = 0
        self._symbols: bytes | None = None
        self.pause()
        self._now()

    def vcpus(self) -> list[str]:
        """Return the state of each vCPU in a word."""
        return self._now()["states"]

    def registers(self, vcpu: int) -> dict[str, int]:
        """Return registers by name."""
        return self._now()["vcpus"][vcpu]

    def write_register(self, vcpu: int, name: str, value: int) -> None:
        """Write a register; the part of fcsr that has a name of its own is written as part of it."""
        if name in ("fflags", "frm"):
            old = self.registers(vcpu)["fcsr"]
            value = old & ~31 | value & 31 if name == "fflags" else old & 31 | (value & 7) << 5
            name = "fcsr"
        if name not in NAMES or name == "priv":
            raise TargetError(f"{name} cannot be written")
        self._poke({"vcpu": vcpu, "register": name, "value": value})

    def read_memory(self, vcpu: int, address: int, length: int) -> bytes:
        """Return memory by virtual address, up to what is not mapped."""
        data = b""
        while len(data) < length:
            asked = {"vm": self._vm, "vcpu": vcpu, "space": "gva"}
            place = {"address": address + len(data), "length": length - len(data)}
            for page in self._machine.inspect("memory", {**asked, **place})["pages"]:
                if page["data"] is None:
                    return data
                data += bytes.fromhex(page["data"])
            if address + len(data) >= 1 << 64:
                break
        return data

    def write_memory(self, vcpu: int, address: int, data: bytes) -> None:
        """Write memory by virtual address."""
        self._poke({"vcpu": vcpu, "address": address, "data": data.hex()})

    def place(self, vcpu: int, stop: Stop) -> None:
        """Raise TargetError if a stop is impossible: a watched address has to be mapped now."""
        if stop.kind not in ("software", "hardware"):
            asked = {"vm": self._vm, "vcpu": vcpu, "space": "gva", "address": stop.address, "length": 1}
            page = self._machine.inspect("memory", asked)["pages"][0]
            if page["data"] is None or page["gpa"] is None:
                raise TargetError(f"{stop.address:#x} is not mapped now ({page['reason']})")
            self._gpas[stop] = int(page["gpa"], 16)

    def resume(self, stops: list[Stop]) -> None:
        """Run until a stop is met or the VM is off, at the speed that is set."""
        self._forget()
        self._wanted = list(stops)
        ends = [{"kind": "state", "vm": self._vm, "state": state} for state in ("shut off", "crashed")]
        self._machine.control(
            {"verb": "run_until", "kind": "any", "of": [*map(self._condition, stops), *ends]}
        )

    def step(self, vcpu: int) -> None:
        """Run until a vCPU has executed an instruction."""
        self._forget()
        self._stepped = vcpu
        self._machine.control({"verb": "step", "unit": "instruction", "vm": self._vm, "vcpu": vcpu})

    def back(self, vcpu: int | None, stops: list[Stop]) -> Stopped:
        """Go back by an instruction of a vCPU, or to the last of the stops.

        `start` if the recorded past has none; the lab then stays where it is.
        """
        if vcpu is None and not stops:
            raise TargetError("set a breakpoint or a watchpoint to go back to")
        self._forget()
        self._stepped = vcpu
        self._wanted = [] if vcpu is not None else list(stops)
        asked: dict[str, Any] = {"unit": "instruction", "vm": self._vm, "vcpu": vcpu}
        if vcpu is None:
            asked = {"unit": "any", "of": [self._condition(stop) for stop in stops]}
        try:
            self._machine.control({"verb": "back", **asked})
        except TargetError:
            return Stopped(self._current(), start=True)
        return Stopped(self._current())

    def pause(self) -> None:
        """Let the lab stand."""
        if self._machine.run_view()["mode"] in MOVING:
            self._machine.control({"verb": "pause"})
        self._forget()

    def stopped(self) -> Stopped | None:
        """Return why the lab stands, None while it runs."""
        run = self._machine.run_view()
        if run["mode"] in MOVING:
            return None
        numbers: list[int] = run["met"]
        met = [self._wanted[number] for number in numbers if number < len(self._wanted)]
        try:
            vcpu = self._met_by(met[0]) if met else self._current()
        except TargetError:
            return Stopped(gone=True)
        return Stopped(vcpu, met=met[0] if met else None)

    def monitor(self, line: str) -> str:
        """Return what a `monitor` command prints."""
        if line.strip() == "exits":
            exits: dict[str, int] = self._machine.inspect("exits", {})[self._vm]
            return "".join(f"{count:10} {reason}\n" for reason, count in exits.items()) or "no exits yet\n"
        if line.strip() == "where":
            position = self._machine.inspect("registers", {"vm": self._vm})["position"]
            return f"position {position}\n"
        return HELP

    def symbol_file(self) -> bytes:
        """Return the symbols of the VM's program as an ELF file, empty if it has none; asked for once."""
        if self._symbols is None:
            self._symbols = base64.b64decode(self._machine.inspect("symbol_file", {"vm": self._vm})["elf"])
        return self._symbols

    def _condition(self, stop: Stop) -> dict[str, Any]:
        if stop.kind in ("software", "hardware"):
            return {"kind": "breakpoint", "vm": self._vm, "address": stop.address}
        place = {"space": "gpa", "address": self._gpas[stop], "length": stop.length, "access": stop.kind}
        return {"kind": "watch", "vm": self._vm, **place}

    def _poke(self, what: dict[str, Any]) -> None:
        self._pokes += 1
        if self._pokes > MAX_POKES:
            raise TargetError(f"a session may write {MAX_POKES} times; attach again for more")
        self._machine.act({"verb": "poke", "vm": self._vm, **what})
        self._raw = None

    def _forget(self) -> None:
        self._raw = self._stepped = None
        self._wanted = []

    def _now(self) -> dict[str, Any]:
        """Return the registers of all vCPUs, asked for once while the lab stands."""
        if self._raw is None:
            self._raw = self._machine.inspect("raw_registers", {"vm": self._vm})
        return self._raw

    def _current(self) -> int:
        current: int = self._now()["current"]
        return current if self._stepped is None else self._stepped

    def _met_by(self, stop: Stop) -> int:
        """Return the vCPU that stands at a breakpoint, or that runs where something was touched."""
        raw = self._now()
        here = [number for number, one in enumerate(raw["vcpus"]) if one["pc"] == stop.address]
        return raw["current"] if not here or raw["current"] in here else here[0]
