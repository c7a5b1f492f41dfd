"""What the rest of the emulator calls: the kernels behind a C ABI of addresses and integers.

`build/generate.py` wraps each function here as a C callback of the same name; every parameter is a uint64.
"""

from emulator.core.csr import cycles_to_timer, pending
from emulator.core.intrinsics import hart_at, host_at, walk_at
from emulator.core.memory import copy_from_ram, copy_to_ram
from emulator.core.ptw import translate
from emulator.core.run import run
from emulator.core.sharing import adopt_slots, hold_slots, release_slots
from emulator.core.tlb import flush_all, flush_fast
from emulator.state import NO_ADDRESS


def enter_run(hart, host, budget):
    return run(hart_at(hart), host_at(host), budget)


def enter_translate(hart, host, walk, va, access, priv, virt, sum_bit):
    """Explain a translation: an access's walk that changes no A or D bit, counter or trap register."""
    state = hart_at(hart)
    references = state.walk_references
    cause, gpa, inst = state.trap_cause, state.trap_gpa, state.trap_inst
    hpa = translate(state, host_at(host), walk_at(walk), va, access, priv, virt, sum_bit, 0, 0)
    state.walk_references = references
    state.trap_cause = cause
    state.trap_gpa = gpa
    state.trap_inst = inst
    return hpa


def enter_flush(hart):
    flush_all(hart_at(hart))
    return 0


def enter_flush_fast(hart):
    flush_fast(hart_at(hart))
    return 0


def enter_pending(hart, host):
    """Interrupts that are pending between two runs, as bits of mip."""
    state = hart_at(hart)
    state.retired = 0
    return pending(state, host_at(host))


def enter_cycles_to_timer(hart, host):
    state = hart_at(hart)
    state.retired = 0
    return cycles_to_timer(state, host_at(host))


def enter_read(host, hpa, target, length):
    copy_from_ram(host_at(host), hpa, target, length)
    return 0


def enter_write(host, hpa, source, length):
    """Returns 1, or 0 when the backing store is full. Any reservation is lost."""
    state = host_at(host)
    state.reservation_hart = NO_ADDRESS
    return 1 if copy_to_ram(state, hpa, source, length) else 0


def enter_hold(host, table, length):
    hold_slots(host_at(host), table, length)
    return 0


def enter_release(host, table, length):
    release_slots(host_at(host), table, length)
    return 0


def enter_adopt(host, table, length):
    """Let frames have the bytes of held slots. Any reservation is lost."""
    state = host_at(host)
    state.reservation_hart = NO_ADDRESS
    adopt_slots(state, table, length)
    return 0
