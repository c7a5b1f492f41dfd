"""Where everything of a batch lies in RAM, and the records that programs begin from and leave behind."""

from __future__ import annotations

from emulator.core.csr_bits import DEFAULT_ISA
from emulator.state import PAGE_BYTES, RAM_BASE

RAM_BYTES = 64 << 20  # QEMU's virt puts its device tree at +48 MiB
MONITOR = RAM_BASE
FRAME = RAM_BASE + 0x6000
STUB = RAM_BASE + 0x8000
# The program that is running. U- and VU-mode see it at another virtual address, because S-mode may not
# execute their pages.
CODE, CODE_BYTES = RAM_BASE + 0x1_0000, 0x1000
CODE_WINDOW = 2 * PAGE_BYTES  # what falls off the end finds an empty page
USER_CODE = 1 << 37 | CODE
# Page tables, then data at a boundary of 2 MiB, where a large page may begin: what a program may change, what
# is hashed in the end, and restored from PRISTINE for the next one.
TABLE_PAGES, DATA_PAGES = 84, 4
DATA = RAM_BASE + 0x20_0000
POOL = DATA - TABLE_PAGES * PAGE_BYTES
# With the page behind the data, which accesses at large offsets reach.
POOL_BYTES = (TABLE_PAGES + DATA_PAGES + 1) * PAGE_BYTES
# Pages that are jumped to, beside where data lies in their 2 MiB.
EXEC, EXEC_PAGES = RAM_BASE + 0x40_0000, 4
PRISTINE = RAM_BASE + 0x60_0000
PROGRAMS = RAM_BASE + 0x80_0000
LOG, LOG_END = RAM_BASE + 0x100_0000, RAM_BASE + 0x2E0_0000
COUNTS = RAM_BASE + 0xE0_0000  # instructions of the program so far, one word for each record of the log

FINISHER, MSIP, MTIMECMP = 0x10_0000, 0x0200_0000, 0x0200_4000
NOWHERE = 1 << 36  # physical addresses from here on have nothing behind them on either machine

FLOATS = bool(DEFAULT_ISA.misa & 1 << 3)

# Registers that only the monitor and a program's own scaffolding write.
LINK, GLOBAL, SCRATCH, COUNTER = 1, 3, 4, 31
POINTERS = (2, 8, 9, 12, 13)  # addresses of data
TARGET = 14  # an address to jump to
RESERVED = frozenset({LINK, GLOBAL, SCRATCH, COUNTER, *POINTERS, TARGET})

# What a context sets when a program enters it, and again after each trap.
CONTEXT_CSRS = (
    "mstatus", "hstatus", "vsstatus", "satp", "vsatp", "hgatp", "medeleg", "hedeleg", "mideleg", "hideleg",
    "menvcfg", "henvcfg", "mcounteren", "hcounteren", "scounteren", "stvec", "vstvec", "stimecmp",
    "vstimecmp", "htimedelta", "pmpaddr0", "pmpaddr1", "pmpaddr2", "pmpaddr3", "pmpcfg0",
)  # fmt: skip
# Interrupts: set too, until the first has been taken.
PENDING_CSRS = ("mip", "hvip", "mie")
CONTEXT_FIELDS = (
    "base", *(f"x{number}" for number in (*POINTERS, TARGET)), *CONTEXT_CSRS, *PENDING_CSRS, "msip",
    "mtimecmp",
)  # fmt: skip
CONTEXTS = 6
END = 1000  # the service that ends a program; others are the number of a context plus one

# What the log holds of each trap.
NOTED_CSRS = (
    "mcause", "mepc", "mtval", "mtval2", "mtinst", "mstatus", "medeleg", "mideleg", "mie", "mip",
    "mcounteren",
    "menvcfg", "scause", "sepc", "stval", "stvec", "sscratch", "satp", "scounteren", "stimecmp", "hstatus",
    "hedeleg", "hideleg", "hvip", "hcounteren", "henvcfg", "htval", "htinst", "hgatp", "htimedelta",
    "vsstatus", "vscause", "vsepc", "vstval", "vstvec", "vsscratch", "vsatp", "vstimecmp", "pmpcfg0",
)  # fmt: skip
FLOAT_FIELDS = ("fcsr", *(f"f{number}" for number in range(32))) if FLOATS else ()
RECORD_FIELDS = (
    "program", *(f"x{number}" for number in range(1, 32)), *NOTED_CSRS, *FLOAT_FIELDS, "hash",
)  # fmt: skip
RECORD_BYTES = 8 * len(RECORD_FIELDS)
# Written anew after each trap, so that what a trap leaves alone shows.
CLEARED = ("scause", "stval", "htval", "htinst", "vscause", "vstval", "mtval", "mtval2", "mtinst", "mcause")

# A program: initial registers, contexts, code.
INITIAL_BYTES = 8 * (32 + (33 if FLOATS else 0))
CONTEXT_BYTES = 8 * len(CONTEXT_FIELDS)
CONTEXTS_OFFSET = INITIAL_BYTES
CODE_OFFSET = CONTEXTS_OFFSET + CONTEXTS * CONTEXT_BYTES
PROGRAM_BYTES = CODE_OFFSET + CODE_BYTES
MAX_PROGRAMS = (COUNTS - PROGRAMS) // PROGRAM_BYTES
TRAP_BUDGET = 64


def record_offset(field: str) -> int:
    """Return where a field lies in a record of the log."""
    return 8 * RECORD_FIELDS.index(field)


def context_offset(field: str) -> int:
    """Return where a field lies in a context."""
    return 8 * CONTEXT_FIELDS.index(field)
