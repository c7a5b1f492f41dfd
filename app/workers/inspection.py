"""The views of a lab that are asked for one at a time: registers, memory, walk, frame, fault, listing, exits,
and what a line of the host console comes to.

Arguments come from a query string and are hostile: each is parsed here, with an error that names it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, cast

from app.workers import keeping
from emulator.errors import VmLabError
from emulator.lab import Lab
from emulator.lab.chains import chains_view
from emulator.lab.instructions import instructions
from emulator.lab.monitoring.export import to_csv, to_prometheus
from emulator.lab.monitoring.series import SIGNALS, series
from emulator.lab.monitoring.timeline import MOST_WIDTH, timeline
from emulator.lab.packets import packet_view, packets_pcap, packets_view
from emulator.lab.symbol_file import symbol_file
from emulator.libvirt import Change, interpret

MAX_LENGTH = 4096
MOST_CYCLES = (1 << 53) - 1
SPACES = ("gva", "gpa", "hpa")
ACCESSES = ("fetch", "load", "store")

Args = Mapping[str, Any]


class ArgumentError(VmLabError):
    """An argument of a view is missing or wrong; `path` names it."""

    def __init__(self, path: str, problem: str) -> None:
        """Keep the argument's name apart from the sentence."""
        super().__init__(f"{path} {problem}")
        self.path = path


def inspect(lab: Lab, view: str, args: Args) -> dict[str, Any]:
    """Return one view of the lab; raise ArgumentError or LabError."""
    if view not in VIEWS:
        raise ArgumentError("view", f"is {view!r}; expected one of {', '.join(VIEWS)}")
    return VIEWS[view](lab, args)


def number(args: Args, key: str, default: int | None = None, highest: int = (1 << 64) - 1) -> int:
    """Return a whole number, decimal or 0x hexadecimal, `_` allowed; raise ArgumentError."""
    value = args.get(key, default)
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = int(value.strip(), 0)
        except ValueError:
            value = None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= highest:
        raise ArgumentError(
            key, f"is {args.get(key)!r}; expected a number from 0 to {highest:#x}, e.g. 0x8000_0000"
        )
    return value


def word(args: Args, key: str, choices: tuple[str, ...] = (), default: str | None = None) -> str:
    """Return a name, one of `choices` if there are any; raise ArgumentError."""
    value = args.get(key, default)
    if not isinstance(value, str) or (choices and value not in choices):
        raise ArgumentError(
            key, f"is {value!r}; expected {'one of ' + ', '.join(choices) if choices else 'a name'}"
        )
    return value


def _registers(lab: Lab, args: Args) -> Any:
    return lab.registers(word(args, "vm"), number(args, "vcpu", 0, 63))


def _cpu(lab: Lab, args: Args) -> Any:
    vm, vcpu = word(args, "vm"), number(args, "vcpu", 0, 63)
    at = lab.address(vm, vcpu, word(args, "at")) if args.get("at") not in (None, "") else None
    return lab.cpu(vm, vcpu, at, number(args, "count", 32, 256))


def _memory(lab: Lab, args: Args) -> Any:
    space = word(args, "space", SPACES, "gpa")
    vm = None if space == "hpa" else word(args, "vm")
    length = number(args, "length", 256, MAX_LENGTH)
    return lab.memory(vm, number(args, "vcpu", 0, 63), number(args, "address"), cast("Any", space), length)


def _walk(lab: Lab, args: Args) -> Any:
    access = word(args, "access", ACCESSES, "load")
    return lab.walk(word(args, "vm"), number(args, "vcpu", 0, 63), number(args, "gva"), cast("Any", access))


def _where(lab: Lab, args: Args) -> Any:
    space = word(args, "space", SPACES, "gva")
    vm = None if space == "hpa" and not args.get("vm") else word(args, "vm")
    access = word(args, "access", ACCESSES, "load")
    asked = word(args, "address")
    return lab.where(vm, number(args, "vcpu", 0, 63), cast("Any", space), asked, cast("Any", access))


def _table(lab: Lab, args: Args) -> Any:
    return lab.table(number(args, "hfn"))


def _exit(lab: Lab, args: Args) -> Any:
    return lab.exit(number(args, "event", highest=(1 << 53) - 1))


def _frame(lab: Lab, args: Args) -> Any:
    return lab.frame(number(args, "hfn"))


def _fault(lab: Lab, args: Args) -> Any:
    return lab.fault(number(args, "event", highest=(1 << 53) - 1))


def _listing(lab: Lab, args: Args) -> Any:
    return lab.listing(word(args, "vm"))


def _program(lab: Lab, args: Args) -> Any:
    vm = word(args, "vm")
    program = lab.program(vm)
    return {"vm": vm, "name": program.name, "source": program.source or ""}


def _symbol_file(lab: Lab, args: Args) -> Any:
    """Return the symbols of a VM's program as an ELF file, in base64; empty if it has none."""
    return {"elf": base64.b64encode(symbol_file(lab.vm(word(args, "vm")).settings.executable)).decode()}


def _programs(lab: Lab, _args: Args) -> Any:
    return {vm.name: _program(lab, {"vm": vm.name}) for vm in lab.config.vms}


def _virsh(lab: Lab, args: Args) -> Any:
    """Return what a line of the host console prints, or the action that it asks for."""
    try:
        answer = interpret(lab, word(args, "line"))
    except VmLabError as error:
        return {"output": f"error: {error}\n"}
    if isinstance(answer, Change):
        return {"action": dict(answer.action), "done": answer.done, "failed": answer.failed}
    return {"output": answer}


def _metrics(lab: Lab, args: Args) -> Any:
    """Return the samples as CSV, or the newest in the Prometheus text format."""
    if word(args, "format", ("csv", "prometheus"), "prometheus") == "csv":
        return {"text": to_csv(lab.monitor.samples)}
    return {"text": to_prometheus(lab.monitor.samples[-1] if lab.monitor.samples else None)}


def _series(lab: Lab, args: Args) -> Any:
    """Return what plots show: the values of `signals`, separated by commas, after the instant `since`."""
    wanted = word(args, "signals", default="pcpu,ready,exits,resident").split(",")
    for name in wanted:
        word({"signals": name}, "signals", tuple(SIGNALS))
    since = number(args, "since", highest=(1 << 63) - 1) if "since" in args else -1
    return series(lab, wanted, since)


def _timeline(lab: Lab, args: Args) -> Any:
    """Return the window `from` to `to` of the past, in cycles of a pCPU clock, all of it if left out."""
    first = number(args, "from", 0, MOST_CYCLES)
    last = number(args, "to", MOST_CYCLES, MOST_CYCLES)
    if last <= first:
        raise ArgumentError("to", f"is {last}; expected a clock after from, {first}")
    return timeline(lab, first, last, number(args, "width", 400, MOST_WIDTH))


def _trace(lab: Lab, args: Args) -> Any:
    """Return the instructions from the clock `from` to `to`, at most 500 cycles later."""
    first = number(args, "from", highest=MOST_CYCLES)
    return instructions(lab, first, number(args, "to", first + 500, MOST_CYCLES))


def _why(lab: Lab, args: Args) -> Any:
    return lab.why(number(args, "event", highest=(1 << 53) - 1))


def _exits(lab: Lab, _args: Args) -> Any:
    return {vm["name"]: vm["exits"] for vm in lab.observe(None)["vms"]}


def _resources(lab: Lab, _args: Args) -> Any:
    return {"storage": lab.storage(), "chains": chains_view(lab), "networks": lab.networks()}


def _packets(lab: Lab, args: Args) -> Any:
    return packets_view(lab, word(args, "network", default=""), word(args, "filter", default=""))


def _packet(lab: Lab, args: Args) -> Any:
    return packet_view(lab, number(args, "number", highest=(1 << 53) - 1))


def _pcap(lab: Lab, args: Args) -> Any:
    """Return the packets that are kept of a network as a pcap file, in base64."""
    return {"pcap": base64.b64encode(packets_pcap(lab, word(args, "network", default=""))).decode()}


VIEWS: dict[str, Callable[[Lab, Args], dict[str, Any]]] = {
    "registers": _registers,
    "cpu": _cpu,
    "raw_registers": lambda lab, args: cast("Any", lab.raw_registers(word(args, "vm"))),
    "memory": _memory,
    "walk": _walk,
    "where": _where,
    "table": _table,
    "exit": _exit,
    "frame": _frame,
    "fault": _fault,
    "listing": _listing,
    "exits": _exits,
    "why": _why,
    "program": _program,
    "programs": _programs,
    "symbol_file": _symbol_file,
    "virsh": _virsh,
    "resources": _resources,
    "packets": _packets,
    "packet": _packet,
    "pcap": _pcap,
    "metrics": _metrics,
    "series": _series,
    "timeline": _timeline,
    "trace": _trace,
    "snapshots": lambda lab, _: keeping.snapshots(lab),
    "export": lambda lab, args: keeping.export(lab, word(args, "vm")),
}
