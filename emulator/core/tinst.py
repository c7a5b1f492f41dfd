"""mtinst and htinst: the trapping instruction, as software that emulates it wants it.

Privileged ISA 20240411, section 18.6.3, "Transformed Instruction or Pseudoinstruction for mtinst or
htinst"; for cache-block operations Unprivileged ISA 20240411, "CMO", "Hypervisor Extension". A compressed
load or store appears as what it stands for, with bit 1 clear. What the address of rs1 would be is replaced
by the offset of the faulting byte from the start of the access, which is not zero only for misaligned
accesses. The pseudoinstructions for faults of the page-table walk itself are the walker's (`ptw`).
"""

from emulator.core.access import fetch_word
from emulator.core.csr_bits import (
    EXT_H,
    LOAD_ACCESS,
    LOAD_GUEST_PAGE,
    LOAD_MISALIGNED,
    LOAD_PAGE,
    STORE_ACCESS,
    STORE_GUEST_PAGE,
    STORE_MISALIGNED,
    STORE_PAGE,
)
from emulator.core.tlb import context_of
from emulator.state import NO_TRAP

# Fields of an instruction.
OPCODE, FUNCT3, RD_FIELD, RS1_FIELD, RS2_FIELD = 0x7F, 0x7000, 0xF80, 0xF8000, 0x1F0_0000
LOAD_OPCODE, LOAD_FP_OPCODE, STORE_OPCODE, STORE_FP_OPCODE, MISC_MEM_OPCODE = 0x03, 0x07, 0x23, 0x27, 0x0F
DOUBLE_FUNCT3, WORD_FUNCT3 = 3 << 12, 2 << 12

DATA_CAUSES = (
    1 << LOAD_MISALIGNED
    | 1 << LOAD_ACCESS
    | 1 << STORE_MISALIGNED
    | 1 << STORE_ACCESS
    | 1 << LOAD_PAGE
    | 1 << STORE_PAGE
    | 1 << LOAD_GUEST_PAGE
    | 1 << STORE_GUEST_PAGE
)


def transform(word, offset):
    """The standard transformation of a 32-bit instruction that accesses memory."""
    opcode = word & OPCODE
    if opcode == LOAD_OPCODE or opcode == LOAD_FP_OPCODE:
        return (word & (RD_FIELD | FUNCT3 | OPCODE)) | offset << 15
    if opcode == STORE_OPCODE or opcode == STORE_FP_OPCODE:
        return (word & (RS2_FIELD | FUNCT3 | OPCODE)) | offset << 15
    if opcode == MISC_MEM_OPCODE:
        return word & ~(RS1_FIELD | RD_FIELD)
    return (word & ~RS1_FIELD) | offset << 15


def transform_compressed(word, offset):
    """The same of a 16-bit load or store: `c.lw`, `c.sd`, `c.fldsp` and so on."""
    kind = (word >> 13) & 3
    is_store = (word >> 15) & 1
    result = (WORD_FUNCT3 if kind == 2 else DOUBLE_FUNCT3) | offset << 15
    result |= LOAD_FP_OPCODE if kind == 1 else LOAD_OPCODE
    register = ((word >> 2) & 7) + 8
    if (word & 3) == 2:
        register = (word >> 2) & 31 if is_store else (word >> 7) & 31
    result |= STORE_OPCODE | register << 20 if is_store else register << 7
    return result & ~2


def note_instruction(hart, host, cause, pc):
    """Fill `hart.trap_inst` for an exception of an explicit memory access; the registers still say whose."""
    if cause > 63 or ((DATA_CAUSES >> cause) & 1) == 0 or hart.trap_inst != 0:
        return
    if (hart.extensions & EXT_H) == 0:
        return
    gpa, tval, gva, offset = hart.trap_gpa, hart.trap_tval, hart.trap_gva, hart.trap_offset
    word = fetch_word(hart, host, pc, context_of(hart, hart.priv, hart.virt, 0))
    readable = hart.trap_cause == NO_TRAP
    hart.trap_gpa = gpa
    hart.trap_tval = tval
    hart.trap_gva = gva
    hart.trap_inst = 0
    if readable:
        hart.trap_inst = transform(word, offset) if (word & 3) == 3 else transform_compressed(word, offset)
