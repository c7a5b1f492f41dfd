"""What `htinst` says about a trapped access, field by field.

Privileged ISA 20240411, 18.6.3, "Transformed Instruction or Pseudoinstruction for mtinst or htinst": zero,
the instruction transformed (bit 0 is 1; bit 1 is 0 if it was compressed), or a pseudoinstruction for an
access that the hart made by itself to a page-table entry (bits 1:0 are 0).
"""

from __future__ import annotations

from emulator.isa.registers import REGISTERS
from emulator.lab.byte_views import EntryField

PSEUDO = {
    0x2000: "the hart read a 32-bit entry of the guest's own page table",
    0x2020: "the hart wrote a 32-bit entry of the guest's own page table",
    0x3000: "the hart read an entry of the guest's own page table",
    0x3020: "the hart set A or D in an entry of the guest's own page table",
}
OPCODES = {
    0x03: "LOAD",
    0x07: "LOAD-FP",
    0x0F: "MISC-MEM",
    0x23: "STORE",
    0x27: "STORE-FP",
    0x2F: "AMO",
    0x73: "SYSTEM: a hypervisor load or store",
}
LOADS, STORES, FLOATS = (0x03, 0x07), (0x23, 0x27), (0x07, 0x27)
WIDTHS = (
    "1 byte, signed",
    "2 bytes, signed",
    "4 bytes, signed",
    "8 bytes",
    "1 byte",
    "2 bytes",
    "4 bytes",
    "?",
)


def meaning(value: int) -> str:
    """Return what a value of htinst is, in a sentence."""
    if value == 0:
        return "Zero: the hart does not say what the instruction was."
    if value & 1 == 0:
        return f"A pseudoinstruction: {PSEUDO.get(value, 'one that the specification does not define')}."
    kind = "a compressed instruction, written out," if not value & 2 else "the instruction"
    return f"The transformed instruction: {kind} with the address taken out."


def fields(value: int) -> list[EntryField]:
    """Return the fields of a transformed instruction, highest bit first; none of anything else."""
    if value & 1 == 0:
        return []
    opcode = value & 0x7C | 3
    store, load = opcode in STORES, opcode in LOADS
    length = "the instruction has 2 bytes" if not value & 2 else "the instruction has 4 bytes"
    return [
        _field("0", 31, 25, value, "must be 0: the offset is taken out") if load or store else _rest(value),
        _field("rs2", 24, 20, value, _register(value >> 20, opcode) if not load else "must be 0"),
        _field("offset", 19, 15, value, "bytes from the start of the access to the byte that faulted"),
        _field("funct3", 14, 12, value, WIDTHS[value >> 12 & 7]),
        _field("rd", 11, 7, value, "must be 0" if store else _register(value >> 7, opcode)),
        _field("opcode", 6, 2, value, OPCODES.get(opcode, "not an access to memory")),
        _field("length", 1, 1, value, length),
        _field("1", 0, 0, value, "a transformed instruction"),
    ]


def _rest(value: int) -> EntryField:
    return _field("funct7", 31, 25, value, "which operation, with aq and rl")


def _register(bits: int, opcode: int) -> str:
    return f"f{bits & 31}" if opcode in FLOATS else REGISTERS[bits & 31]


def _field(name: str, high: int, low: int, value: int, said: str) -> EntryField:
    held = value >> low & (1 << high - low + 1) - 1
    return {"name": name, "high": high, "low": low, "value": f"{held:0{high - low + 1}b}", "meaning": said}
