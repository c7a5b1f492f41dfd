"""The monitor: M-mode code that runs a batch of programs, one after the other, and logs every trap.

It loads a program's registers, enters its first context and waits for traps; in the end it restores memory.
Each trap is logged whole: integer and floating-point registers and the CSRs of all levels. Traps that are
delegated go to a page full of `ecall`, so that all come back. The program then goes on behind the
instruction that trapped; at the instruction, after an interrupt and where the mode could not fetch it; after
a jump to nowhere, behind the jump. A program asks for another context by `ecall` with its number in gp.
"""

from __future__ import annotations

from functools import cache

from emulator.core.csr_bits import MPRV
from emulator.fuzz.layout import (
    CLEARED,
    CODE,
    CODE_BYTES,
    CODE_OFFSET,
    CODE_WINDOW,
    CONTEXT_BYTES,
    CONTEXT_CSRS,
    CONTEXTS_OFFSET,
    COUNTS,
    END,
    FINISHER,
    FLOATS,
    FRAME,
    LOG,
    MONITOR,
    MSIP,
    MTIMECMP,
    NOTED_CSRS,
    PENDING_CSRS,
    POINTERS,
    POOL,
    POOL_BYTES,
    PRISTINE,
    PROGRAM_BYTES,
    PROGRAMS,
    RECORD_BYTES,
    STUB,
    TARGET,
    TRAP_BUDGET,
    USER_CODE,
    context_offset,
    record_offset,
)
from emulator.isa.assembler import assemble

# The frame, to which mscratch points: saved registers, then the monitor's variables.
_PROGRAM, _LEFT, _LOG, _COUNTS, _BUDGET, _CONTEXT, _ENTERED, _TOTAL, _QUIET, _NUMBER, _POOL = range(
    256, 344, 8
)
COUNT = FRAME + _LEFT  # where the number of programs is put before the start
POOL_START = FRAME + _POOL  # and the first page of the pool that the world uses
_FS = 3 << 13
# Instructions of the monitor between its two looks at minstret.
OVERHEAD = 40


@cache
def monitor() -> bytes:
    """Return the monitor's code, to stand at the start of RAM."""
    lines = [
        *_begin(),
        *_next_program(),
        *_trap(),
        *_find_cause(),
        *_serve(),
        *_resume(),
        *_end_program(),
        *_copy(),
    ]
    segments = assemble(".section .text\n" + "\n".join(lines)).segments
    assert len(segments) == 1
    assert len(segments[0].data) <= FRAME - MONITOR
    return segments[0].data


def _begin() -> list[str]:
    return [
        # QEMU's reset vector leaves values in some registers.
        *(f"li x{number}, 0" for number in range(1, 32)),
        "la t0, trap", "csrw mtvec, t0", "li t1, -1", "csrw pmpaddr0, t1", "li t1, 31", "csrw pmpcfg0, t1",
        f"li sp, {FRAME}", "csrw mscratch, sp", f"li t0, {LOG}", f"sd t0, {_LOG}(sp)", f"li t0, {COUNTS}",
        f"sd t0, {_COUNTS}(sp)", f"li t0, {PROGRAMS}", f"sd t0, {_PROGRAM}(sp)",
    ]  # fmt: skip


def _next_program() -> list[str]:
    lines = [
        "next_program:",
        "csrr sp, mscratch", f"ld t0, {_LEFT}(sp)", "beqz t0, finish", "addi t0, t0, -1",
        f"sd t0, {_LEFT}(sp)",
        f"ld t0, {_NUMBER}(sp)", "addi t0, t0, 1", f"sd t0, {_NUMBER}(sp)",
        f"ld s0, {_PROGRAM}(sp)", f"li t0, {CODE_OFFSET}", "add a0, s0, t0", f"li a1, {CODE}",
        f"li a2, {CODE_BYTES}", "jal copy", "fence.i",
        f"addi t0, s0, {CONTEXTS_OFFSET}", f"sd t0, {_CONTEXT}(sp)",
        f"li t1, {TRAP_BUDGET}", f"sd t1, {_BUDGET}(sp)", f"sd zero, {_TOTAL}(sp)", f"sd zero, {_QUIET}(sp)",
        *(line for n in range(1, 32) for line in (f"ld t1, {8 * n}(s0)", f"sd t1, {8 * n}(sp)")),
        "csrw sscratch, zero", "csrw vsscratch, zero", "csrw sepc, zero", "csrw vsepc, zero",
    ]  # fmt: skip
    if FLOATS:
        lines += [f"li t1, {_FS}", "csrs mstatus, t1", f"ld t1, {8 * 32}(s0)", "csrw fcsr, t1"]
        lines += [f"fld f{number}, {8 * (33 + number)}(s0)" for number in range(32)]
    # In t0 the context.
    return [*lines, "li s2, 0", "j enter_context"]


def _trap() -> list[str]:
    """Save the registers, and write a record."""
    lines = [
        ".balign 4", "trap:", "csrrw sp, mscratch, sp", "sd x1, 8(sp)",
        *(f"sd x{number}, {8 * number}(sp)" for number in range(3, 32)),
        "csrr t0, mscratch", "sd t0, 16(sp)", "csrw mscratch, sp",
        "csrr t0, minstret", f"ld t1, {_ENTERED}(sp)", "sub t0, t0, t1", f"ld t1, {_TOTAL}(sp)",
        "add t0, t0, t1", f"sd t0, {_TOTAL}(sp)", f"ld t1, {_COUNTS}(sp)", "sd t0, 0(t1)",
        "addi t1, t1, 8", f"sd t1, {_COUNTS}(sp)",
        f"ld s0, {_LOG}(sp)", f"li t0, {RECORD_BYTES}", "add t0, t0, s0", f"sd t0, {_LOG}(sp)",
        f"ld t0, {_NUMBER}(sp)", "sd t0, 0(s0)",
    ]  # fmt: skip
    for number in range(1, 32):
        lines += [f"ld t0, {8 * number}(sp)", f"sd t0, {8 * number}(s0)"]
    for name in NOTED_CSRS:
        lines += [f"csrr t0, {name}", f"sd t0, {record_offset(name)}(s0)"]
    if FLOATS:
        lines += [f"li t0, {_FS}", "csrs mstatus, t0", "csrr t0, fcsr", f"sd t0, {record_offset('fcsr')}(s0)"]
        lines += [f"fsd f{number}, {record_offset(f'f{number}')}(s0)" for number in range(32)]
    return lines


def _find_cause() -> list[str]:
    """Find where in the program the trap began, in s2, and why, in s3."""
    return [
        f"ld t0, {record_offset('mstatus')}(s0)", "csrr s2, mepc", "csrr s3, mcause", f"li t2, {STUB}",
        "xor t1, s2, t2", "srli t1, t1, 12", "bnez t1, found",
        "srli t1, t0, 39", "andi t1, t1, 1", "bnez t1, from_guest",
        "csrr s2, sepc", "csrr s3, scause", "xor t1, s2, t2", "srli t1, t1, 12", "bnez t1, found",
        "from_guest:", "csrr s2, vsepc", "csrr s3, vscause",
        "found:", *(f"csrw {name}, zero" for name in CLEARED),
        # One interrupt is taken in each visit of a context.
        "srli t0, s3, 63", "csrr t1, mcause", "srli t1, t1, 63", "or t0, t0, t1", "beqz t0, no_interrupt",
        f"sd t0, {_QUIET}(sp)", "no_interrupt:",
        f"ld t0, {_BUDGET}(sp)", "addi t0, t0, -1", f"sd t0, {_BUDGET}(sp)", "beqz t0, end_program",
        "sd zero, 248(sp)",  # a loop that traps is not repeated
        # Behind the instruction that trapped; after a fetch that failed, behind the jump.
        "mv a0, s2", "jal offset", f"li t0, {CODE_WINDOW}", "bltu a0, t0, in_code", "ld a0, 8(sp)",
        "jal offset",
        f"li t0, {CODE_WINDOW}", "bgeu a0, t0, end_program", "mv s2, a0", "j serve",
        # At the same place again after an interrupt, or if the mode could not fetch it: the context's can.
        "in_code:", f"li t1, {CODE}", "add t1, t1, a0", "lhu t1, 0(t1)", "srli t0, s3, 63",
        "bnez t0, at_same", *_at_once(12, 20),
        "addi a0, a0, 2", "andi t1, t1, 3", "addi t1, t1, -3", "bnez t1, at_same", "addi a0, a0, 2",
        "at_same: mv s2, a0", "j serve",
        # a0: how far an address lies behind the start of the program.
        "offset:", f"li t0, {CODE}", "sub t0, a0, t0", f"li t1, {CODE_WINDOW}", "bltu t0, t1, offset_found",
        f"li t0, {USER_CODE}", "sub t0, a0, t0", "offset_found: mv a0, t0", "ret",
    ]  # fmt: skip


def _at_once(*causes: int) -> list[str]:
    """Go on at the same place after some causes, which s3 holds."""
    return [line for cause in causes for line in (f"addi t0, s3, -{cause}", "beqz t0, at_same")]


def _serve() -> list[str]:
    """Change the context if an ecall asks for it."""
    lines = [
        "serve:",
        "addi t0, s3, -8", "sltiu t0, t0, 4", "beqz t0, same_context", "ld t1, 24(sp)",
        "beqz t1, same_context",
        "sd zero, 24(sp)", f"li t0, {END}", "beq t0, t1, end_program",
        "addi t1, t1, -1", f"li t0, {CONTEXT_BYTES}", "mul t0, t0, t1", f"ld t1, {_PROGRAM}(sp)",
        f"addi t1, t1, {CONTEXTS_OFFSET}", "add t0, t0, t1", f"sd t0, {_CONTEXT}(sp)",
        f"sd zero, {_QUIET}(sp)",
        "enter_context:",
    ]  # fmt: skip
    for number in (*POINTERS, TARGET):
        lines += [f"ld t1, {context_offset(f'x{number}')}(t0)", f"sd t1, {8 * number}(sp)"]
    return [*lines, "li s4, 1", "j resume", "same_context:", "li s4, 0"]


def _resume() -> list[str]:
    """Write the context's registers and go back to offset s2; s4 tells whether the context is new."""
    lines = [
        "resume:", f"ld s0, {_CONTEXT}(sp)", "csrw mie, zero",
    ]  # fmt: skip
    for name in CONTEXT_CSRS:
        lines.append(f"ld t0, {context_offset(name)}(s0)")
        if name == "mstatus":
            lines += [f"li t1, {MPRV}", "not t1, t1", "and t0, t0, t1"]
        lines.append(f"csrw {name}, t0")
    lines += [f"ld t0, {_QUIET}(sp)", "bnez t0, quiet"]
    lines += [f"li t1, {MSIP}", f"ld t0, {context_offset('msip')}(s0)", "sw t0, 0(t1)"]
    lines += [f"li t1, {MTIMECMP}", f"ld t0, {context_offset('mtimecmp')}(s0)", "sd t0, 0(t1)"]
    for name in PENDING_CSRS:
        lines += [f"ld t0, {context_offset(name)}(s0)", f"csrw {name}, t0"]
    lines += ["j fences", "quiet:", f"li t1, {MSIP}", "sw zero, 0(t1)", f"li t1, {MTIMECMP}", "li t0, -1"]
    lines += ["sd t0, 0(t1)", "csrw mip, zero", "csrw hvip, zero"]
    lines += ["fences:", "beqz s4, leave", "sfence.vma", "hfence.vvma", "hfence.gvma"]
    lines += ["leave:", f"ld t0, {context_offset('base')}(s0)", "add t0, t0, s2", "csrw mepc, t0"]
    lines += [f"ld x{number}, {8 * number}(sp)" for number in range(31, 2, -1) if number not in (5, 6)]
    lines += ["ld x1, 8(sp)", "csrr t0, minstret", f"sd t0, {_ENTERED}(sp)", "ld x6, 48(sp)", "ld x5, 40(sp)"]
    return [*lines, "ld sp, 16(sp)", "mret"]


def _end_program() -> list[str]:
    return [
        "end_program:",
        *_restore(), f"ld s0, {_LOG}(sp)", f"li t0, -{RECORD_BYTES}", "add s0, s0, t0",
        f"sd t2, {record_offset('hash')}(s0)",
        f"ld s0, {_PROGRAM}(sp)", f"li t0, {PROGRAM_BYTES}", "add s0, s0, t0", f"sd s0, {_PROGRAM}(sp)",
        "j next_program",
        "finish:", f"li t0, {FINISHER}", "li t1, 0x5555", "sw t1, 0(t0)", "1: j 1b",
    ]  # fmt: skip


def _restore() -> list[str]:
    """Put back what a program changed in the pool; leave a hash of the changes in t2."""
    lines = [
        # An entry of PMP that matches half of a word refuses it to M-mode too.
        "csrw pmpcfg0, zero", f"ld t0, {_POOL}(sp)", f"li t1, {POOL}", f"li t3, {PRISTINE}",
        "sub t4, t3, t1", "add t1, t0, t4",
        f"li s0, {POOL + POOL_BYTES}", "li t2, 0", "li t4, 0x9E3779B97F4A7C15", "look:",
    ]  # fmt: skip
    for place in range(0, 64, 8):
        lines += [f"ld t3, {place}(t0)", f"ld t5, {place}(t1)", f"beq t3, t5, same_{place}"]
        lines += ["jal t6, changed", f"sd t5, {place}(t0)", f"same_{place}:"]
    lines += ["addi t0, t0, 64", "addi t1, t1, 64", "bltu t0, s0, look", "j restored"]
    # What is there now, where (t6 tells the word among the eight).
    lines += ["changed:", "add t2, t2, t6", "mul t2, t2, t4"]
    for source in ("t0", "t3"):
        lines += [f"add t2, t2, {source}", "mul t2, t2, t4", "srli s1, t2, 29", "xor t2, t2, s1"]
    return [*lines, "jr t6", "restored:"]


def _copy() -> list[str]:
    """Copy a2 bytes, a multiple of 64, from a0 to a1."""
    lines = ["copy:", "add a2, a2, a0", "1:"]
    lines += [f"ld t{n % 4}, {8 * n}(a0)\nsd t{n % 4}, {8 * n}(a1)" for n in range(8)]
    return [*lines, "addi a0, a0, 64", "addi a1, a1, 64", "bltu a0, a2, 1b", "ret"]
