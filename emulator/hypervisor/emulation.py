"""Trap and emulate by a policy: a device window or a hypervisor's CSR, in the hands of an exit handler.

The handler (`emulator.policy`) says what a guest's load or CSR instruction reads, or that it takes a write;
everything else about the exit is done here: decoding, registers, the pc. What it leaves alone is handled as
if there were no handler. Privileged ISA 20240411: 18.6.1 (which accesses raise a virtual-instruction
exception), 18.6.3 (transformed instructions); Unprivileged ISA, "Zicsr".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.hypervisor import mmio
from emulator.hypervisor.decisions import NOBODY, Desk
from emulator.isa.encodings import decode
from emulator.state import NO_ADDRESS

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor
    from emulator.hypervisor.vcpu import Vcpu

EXACT = 1 << 53
OPERATIONS = {"csrrw": "write", "csrrs": "set", "csrrc": "clear"}


def covers(desk: Desk, gpa: int) -> bool:
    """Return whether an exit handler has a device at an address."""
    traits = desk.traits.get("exits")
    return traits is not None and traits.base <= gpa < traits.base + traits.size


def device_access(hypervisor: Hypervisor, vcpu: Vcpu, hart: Any, gpa: int) -> str | None:
    """Let the handler do a load or store; return what was done, None if it is left alone."""
    desk = hypervisor.desk
    base = desk.traits["exits"].base
    access = mmio.instruction_of(hypervisor.host, hart)
    if access is None or gpa & access.size - 1:
        return None
    vm, offset = vcpu.vm.name, gpa - base
    if access.write:
        value = hart.x[access.register] & (1 << 8 * access.size) - 1
        if _answer(desk, "write", vm, offset, access.size, value) == NOBODY:
            return None
    else:
        answer = _answer(desk, "read", vm, offset, access.size)
        if answer == NOBODY:
            return None
        if access.register:
            hart.x[access.register] = mmio.extended(answer & (1 << 8 * access.size) - 1, access)
    hart.pc = (hart.pc + access.length) & NO_ADDRESS
    if access.write:
        return f"write to the policy's device, offset {offset:#x}"
    return f"read from the policy's device, offset {offset:#x}"


def csr_access(hypervisor: Hypervisor, vcpu: Vcpu, hart: Any) -> str | None:
    """Let the handler do a CSR instruction; return what was done, None if it is left alone."""
    desk = hypervisor.desk
    if not desk.asks("exits", "csr"):
        return None
    decoded = decode(hart.stval)
    if decoded is None or decoded[0].name.rstrip("i") not in OPERATIONS:
        return None
    row, operands = decoded
    operation = OPERATIONS[row.name.rstrip("i")]
    immediate = row.name.endswith("i")
    source = operands["rs1"]
    value = source if immediate else hart.x[source]
    if operation != "write" and not source:
        operation, value = "read", 0
    answer = _answer(desk, "csr", vcpu.vm.name, operands["csr"], operation, value)
    if answer == NOBODY:
        return None
    if operands["rd"]:
        hart.x[operands["rd"]] = answer & NO_ADDRESS
    hart.pc = (hart.pc + 4) & NO_ADDRESS
    return f"CSR {operands['csr']:#x}: {operation}, by the policy"


def _answer(desk: Desk, method: str, *question: Any) -> int:
    """Return what the handler says, or said: a value, or NOBODY."""
    if not desk.asks("exits", method):
        return NOBODY
    if desk.live.exits is not None:
        given = getattr(desk.live.exits, method)(*question)
        answer = NOBODY if given is None or given is False else int(given)
        # Beyond 2**53 a number of JSON is not exact everywhere.
        desk.note(method, answer if answer < EXACT else hex(answer))
    elif desk.has(method):
        kept = desk.again(method)
        answer = int(kept, 16) if isinstance(kept, str) else kept
    else:
        return NOBODY
    desk.taken += answer != NOBODY
    return answer
