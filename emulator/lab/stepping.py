"""Stepping over calls: which instruction to run to so that a called function is run in one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.hypervisor.faults import fetch_instruction
from emulator.hypervisor.shadow import as_guest
from emulator.isa.disassembler import disassemble, instruction_length
from emulator.lab.conditions import number_of
from emulator.lab.registers import live_vcpu

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

# Unprivileged ISA 20240411, table "Return-address stack prediction hints": ra and t0 are link registers.
LINKS = (1, 5)
JAL, JALR = 0x6F, 0x67


def over(lab: Lab, whose: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the condition that ends a step over what a vCPU (`vm`, `vcpu`) executes next. Raises LabError.

    Over a call it is a breakpoint behind it, met by this vCPU: a function that calls itself meets it in the
    innermost of its calls first.
    """
    vm, index = str(whose.get("vm")), number_of(whose, "vcpu") if "vcpu" in whose else 0
    vcpu = live_vcpu(lab, vm, index)
    record = lab.hypervisor.registers(vcpu)
    word = fetch_instruction(lab.hypervisor.host, as_guest(vcpu, record), record.pc)
    if word is None or not is_call(word):
        return {"kind": "instruction", "vm": vm, "vcpu": index}
    behind = (record.pc + instruction_length(word & 0xFFFF)) % (1 << 64)
    return {"kind": "breakpoint", "vm": vm, "vcpu": index, "address": behind}


def is_call(word: int) -> bool:
    """Tell whether an instruction jumps and links, in ra or t0."""
    if word & 3 == 3:
        return word & 0x7F in (JAL, JALR) and word >> 7 & 31 in LINKS
    return disassemble(word, 0, pseudo=False).startswith("c.jalr")
