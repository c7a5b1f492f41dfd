"""What a student may do to the memory of a VM that is on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.hypervisor.memory.daemon import balloon_of
from emulator.lab.errors import LabError
from emulator.lab.quantities import format_size
from emulator.lab.values import memory_size, table_of
from emulator.state import PAGE_BYTES

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

Result = dict[str, Any]


def _set_balloon(lab: Lab, arguments: Result) -> Result:
    """Ask a VM's guest for a balloon of `target` bytes."""
    table_of(arguments, "set_balloon", ("vm", "target"))
    vm = lab.vm(arguments.get("vm"))
    if "target" not in arguments:
        raise LabError("target is missing: the size of the balloon, e.g. `1 MiB`", "target")
    if not lab.is_on(vm):
        raise LabError(f"cannot ask {vm.name} for memory: it is {vm.state.value}; start it first", "vm")
    balloon = balloon_of(vm)
    if balloon is None:
        raise LabError(f"{vm.name} has no balloon; add `balloon: true` to it while it is shut off", "vm")
    target = memory_size(arguments["target"], "target", 0, vm.settings.memory)
    was = balloon.state.target * PAGE_BYTES
    balloon.ask(target // PAGE_BYTES)
    lab.hypervisor.trace.log(
        "action",
        "set_balloon",
        f"{vm.name} was asked for {format_size(target)}",
        lab.position,
        lab.hypervisor.now,
        vm.name,
    )
    return {"vm": vm.name, "target": format_size(target), "was": {"target": format_size(was)}}


MEMORY_VERBS: dict[str, Callable[[Lab, Result], Result]] = {"set_balloon": _set_balloon}
