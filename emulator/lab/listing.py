"""A VM's program: its source beside its code, or the disassembly of an ELF file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.hypervisor.vm import HOLDS_MEMORY
from emulator.isa.disassembler import disassemble, instruction_length
from emulator.lab.observation import (
    ListingLine,
    ListingView,
)
from emulator.lab.observing import address
from emulator.machine.elf import Executable

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

MAX_LISTING_INSTRUCTIONS = 4096
SHOWN_BYTES = 32


def listing(lab: Lab, vm: str) -> ListingView:
    """Return the source of a VM's program beside its code, or the disassembly of an ELF file.

    Raises LabError.
    """
    found, program = lab.vm(vm), lab.program(vm)
    executable = program.executable
    if program.source is not None:
        lines = _source_lines(executable)
    else:
        lines = _disassembly(executable)
    by_address = {line["address"]: line["number"] for line in lines if line["address"] is not None}
    on = found.vcpus if found.lifecycle in HOLDS_MEMORY else []
    pcs = [by_address.get(address(lab.hypervisor.registers(vcpu).pc)) for vcpu in on]
    return {
        "vm": vm,
        "program": program.name,
        "kind": "source" if program.source is not None else "disassembly",
        "entry": address(executable.entry),
        "lines": lines,
        "pcs": pcs,
    }


def _source_lines(executable: Executable) -> list[ListingLine]:
    """Pair each source line with the bytes from its first address to the next line's."""
    starts = sorted(executable.lines)
    first: dict[int, int] = {}
    code: dict[int, bytes] = {}
    for at, end in zip(starts, [*starts[1:], None], strict=True):
        number = executable.lines[at]
        first.setdefault(number, at)
        code[number] = code.get(number, b"") + _bytes_between(executable, at, end)
    return [
        {
            "number": number,
            "text": text,
            "address": address(first[number]) if number in first else None,
            "code": code.get(number, b"")[:SHOWN_BYTES].hex(),
            "symbol": executable.symbols.at(first[number]) if number in first else None,
        }
        for number, text in enumerate(executable.source.split("\n"), 1)
    ]


def _bytes_between(executable: Executable, start: int, end: int | None) -> bytes:
    for segment in executable.segments:
        if segment.address <= start < segment.address + segment.size:
            stop = segment.address + len(segment.data) if end is None else end
            return segment.data[start - segment.address : max(0, stop - segment.address)]
    return b""


def _disassembly(executable: Executable) -> list[ListingLine]:
    lines: list[ListingLine] = []
    symbols = executable.symbols_under(0)
    for segment in executable.segments:
        at = 0
        while segment.flags & 1 and at + 2 <= len(segment.data) and len(lines) < MAX_LISTING_INSTRUCTIONS:
            half = int.from_bytes(segment.data[at : at + 2], "little")
            length = instruction_length(half)
            code = segment.data[at : at + length]
            text = disassemble(int.from_bytes(code, "little"), segment.address + at, symbols)
            lines.append(
                {
                    "number": len(lines) + 1,
                    "text": text,
                    "address": address(segment.address + at),
                    "code": code.hex(),
                    "symbol": symbols.at(segment.address + at),
                }
            )
            at += length
    return lines
