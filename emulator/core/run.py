# ruff: noqa: F821, F841 -- dispatch and decode_word are written by build/generate.py, and use what is assigned here
"""The interpreter: fetch a decoded instruction, do what its number says, until something needs the outside.

This file is read by `build/generate.py`, which replaces the line `dispatch()` by one branch for each row of
the encodings table and `decode_word()` by the decoder of the same table. The life of an instruction is told
in DESIGN.md.

Two loops. The outer one is the *boundary*: traps, interrupts, the budget, the translation context, the page
to fetch from. The inner one runs decoded instructions of the current page and leaves for the boundary when
any of these may have changed.
"""

from emulator.core.access import fetch_page, fetch_word, load_slow, store_slow
from emulator.core.csr import cycles_to_timer, pending
from emulator.core.csr_bits import EXT_C, INSTRUCTION_MISALIGNED
from emulator.core.debug import at_breakpoint, has_break_offset
from emulator.core.fcsr import float_refusal, float_status, set_dirty
from emulator.core.intrinsics import load_u64, store_u64
from emulator.core.tlb import PAGE_MASK, context_of, data_context
from emulator.core.trap import due_interrupt, raise_exception, take_trap
from emulator.state import (
    CODE_ENTRIES,
    DEBUG_NONE,
    EXIT_BUDGET,
    EXIT_DEBUG,
    EXIT_MMIO,
    EXIT_STORE_FULL,
    EXIT_TRAP,
    EXIT_WFI,
    FAST_BYTES,
    FAST_FETCH,
    ITLB_ENTRIES,
    MMIO_NONE,
    NO_ADDRESS,
    NO_TRAP,
    WAIT_DEVICE,
    WAIT_INTERRUPT,
    WAIT_STORE,
)

SCRATCH = FAST_BYTES

# Positions in a decoded instruction: operation, length, rd, rs1, rs2, immediate.
LENGTH, RD, RS1, RS2, IMM = 9, 12, 18, 24, 32
# A floating-point instruction has its rounding mode in the lowest three bits there, then a third source.
FS3 = 35


def fetch_context(hart):
    return context_of(hart, hart.priv, hart.virt, 0)


def sink(rd):
    """Where an instruction writes: x0 becomes the sink register."""
    return 32 if rd == 0 else rd


def permitted(hart, entry):
    """A decoded instruction as the hart runs it.

    No instruction if the hart lacks an extension that it needs; without C, jumps that look where they go.
    """
    needs = needed_extensions(entry & 0x1FF)
    if ((entry >> LENGTH) & 7) == 2:
        needs |= EXT_C
    if needs & ~hart.extensions:
        return (entry & (7 << LENGTH)) | 0x1FF
    return entry if hart.extensions & EXT_C else checked_jump(entry)


def decode_at(hart, host, pc, page, context):
    """Decode the instruction at `pc` into its place in the decoded page; return the entry's address.

    0 with `hart.trap_*` set when it cannot be fetched, or with `host.debug_hit` at a breakpoint. An
    instruction that straddles two pages is decoded into the hart's scratch entries each time, because its
    second half may change without this page noticing; one at a breakpoint's offset, to come here again.
    """
    if host.break_count != 0 and at_breakpoint(hart, host, pc):
        hart.trap_cause = NO_TRAP
        return 0
    if pc & 2 and (hart.extensions & EXT_C) == 0:
        raise_exception(hart, INSTRUCTION_MISALIGNED, pc, hart.virt)
        return 0
    word = fetch_word(hart, host, pc, context)
    if hart.trap_cause != NO_TRAP:
        return 0
    offset = pc & 0xFFF
    straddles = offset == 0xFFE and (word & 3) == 3
    if straddles or (host.break_count != 0 and has_break_offset(host, offset)):
        scratch = hart.fast + SCRATCH
        store_u64(scratch, permitted(hart, decode_word(word)))
        return scratch
    store_u64(page + offset * 4, permitted(hart, decode_word(word)))
    return page + offset * 4


def explain_illegal(hart, host, pc, context):
    """Put the refused instruction's bits into tval, as the standard allows and software expects."""
    cause = hart.trap_cause
    word = fetch_word(hart, host, pc, context)
    hart.trap_cause = cause
    hart.trap_tval = word
    hart.trap_gpa = 0
    hart.trap_inst = 0
    hart.trap_gva = 0


def float_load(hart, host, va, size, data, pc, context):
    """Load for a floating-point register that may not yet be written to, or by the slow way."""
    hart.trap_cause = float_refusal(hart, 0)
    if hart.trap_cause != NO_TRAP:
        explain_illegal(hart, host, pc, context)
        return 0
    raw = load_slow(hart, host, va, size, data)
    if hart.trap_cause == NO_TRAP:
        set_dirty(hart)
    return raw


def float_store(hart, host, va, value, size, data, pc, context):
    """Store from a floating-point register that may not be read, or by the slow way."""
    hart.trap_cause = float_refusal(hart, 0)
    if hart.trap_cause != NO_TRAP:
        explain_illegal(hart, host, pc, context)
    else:
        store_slow(hart, host, va, value, size, data)


def claim_reservation(hart, host):
    """When another hart runs, the reservation of the one before is lost."""
    if host.reservation_hart != hart.hart_id:
        host.reservation_hart = NO_ADDRESS


def leave(hart, pc, n, traps, reason):
    """Write the loop's locals back and account for the cycles."""
    hart.pc = pc
    hart.clock += n
    hart.mcycle += n
    hart.minstret += n - traps
    hart.retired = n
    hart.trapped = traps
    return reason


def leave_for_debug(hart, host, pc, n, traps, owner):
    """Leave for a debug stop; before the first cycle not even the reservation has changed hands."""
    if n == 0:
        host.reservation_hart = owner
    return leave(hart, pc, n, traps, EXIT_DEBUG)


def wait_reason(cause):
    if cause == WAIT_DEVICE:
        return EXIT_MMIO
    return EXIT_STORE_FULL if cause == WAIT_STORE else EXIT_WFI


def run(hart, host, budget):
    """Run a hart for at most `budget` cycles, one for each instruction or trap; return an EXIT_* reason."""
    owner = host.reservation_hart
    claim_reservation(hart, host)
    hart.trap_offset = 0
    host.debug_hit = DEBUG_NONE
    x = hart.x
    f = hart.f
    fast = hart.fast
    # Whoever set it: an instruction at an odd address would be read across the end of its page.
    pc = hart.pc & ~1
    n = 0
    traps = 0
    cause = NO_TRAP
    while True:
        hart.retired = n
        hart.trapped = traps
        if host.debug_hit != DEBUG_NONE:
            if cause == NO_TRAP:
                return leave_for_debug(hart, host, pc, n, traps, owner)
            # The access ended in a fault after all, at its second page.
            host.debug_hit = DEBUG_NONE
        if cause != NO_TRAP:
            if cause == WAIT_INTERRUPT and (pending(hart, host) & hart.mie) != 0:
                cause = NO_TRAP
            elif cause >= WAIT_INTERRUPT and cause != NO_TRAP:
                return leave(hart, pc, n, traps, wait_reason(cause))
        if cause == NO_TRAP:
            if n >= budget:
                return leave(hart, pc, n, traps, EXIT_BUDGET)
            if hart.mmio_state == MMIO_NONE:
                cause = due_interrupt(hart, host)
        if cause != NO_TRAP:
            pc = take_trap(hart, host, cause, pc)
            cause = NO_TRAP
            n += 1
            traps += 1
            if hart.hosted and hart.virt == 0:
                return leave(hart, pc, n, traps, EXIT_TRAP)
            continue

        if host.break_count != 0 and at_breakpoint(hart, host, pc):
            return leave_for_debug(hart, host, pc, n, traps, owner)
        limit = budget
        timer = cycles_to_timer(hart, host)
        if timer < budget - n:
            limit = n + timer
        if hart.mmio_state != MMIO_NONE and limit > n + 1:
            # What was held back until the device had answered comes right after this instruction.
            limit = n + 1
        context = fetch_context(hart)
        data = data_context(hart)
        fp = float_status(hart)
        page = fetch_page(hart, host, pc, context)
        if page == 0:
            cause = hart.trap_cause
            continue
        code = page + (pc & 0xFFF) * 4
        if code == fast + SCRATCH and limit > n + 1:
            # Physical memory protection divides this page: its instructions are fetched one by one.
            limit = n + 1

        while n < limit:
            word = load_u64(code)
            op = word & 0x1FF
            if op == 0:
                if code - page >= CODE_ENTRIES * 8:
                    # Ran off the end of the page, or of the scratch entry.
                    entry = fast + FAST_FETCH + ((pc >> 12) & (ITLB_ENTRIES - 1)) * 16
                    if load_u64(entry) != (pc & PAGE_MASK) | context:
                        break
                    page = load_u64(entry + 8)
                    code = page + (pc & 0xFFF) * 4
                    continue
                hart.retired = n
                code = decode_at(hart, host, pc, page, context)
                if code == 0:
                    break
                continue
            dispatch()
            length = (word >> LENGTH) & 7
            pc += length
            code += length * 4
            n += 1
        cause = hart.trap_cause
