"""Record layouts: the one description of every piece of machine state.

A `Layout` is at once the struct that the kernels see (a numpy dtype), the struct that the rest of the
emulator sees (a `ctypes.Structure`; the same bytes, without numpy), the snapshot format and the WebAssembly
ABI. To keep those four the same everywhere, every field is an unsigned 64-bit integer or an array of them;
addresses of other memory are integers too.

Fields after `Layout.derived_from` are caches and addresses of this process: they are never part of a snapshot
or a hash.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property
from typing import Any

PAGE_BYTES = 4096
RAM_BASE = 0x8000_0000
ROM_BASE = 0x1000
NO_ADDRESS = 0xFFFF_FFFF_FFFF_FFFF

# Privilege levels (Privileged ISA 20240411, section 1.2).
PRIV_U, PRIV_S, PRIV_M = 0, 1, 3

# What `run` returns, named after KVM's exit reasons where KVM has one.
EXIT_BUDGET = 0  # the instruction budget is used up
EXIT_TRAP = 1  # a hosted hart trapped to HS- or M-mode; its CSRs say why
EXIT_WFI = 2  # wait-for-interrupt retired and no enabled interrupt is pending
EXIT_MMIO = 3  # an access to an address that is not RAM; see the mmio_* fields
EXIT_STORE_FULL = 4  # the backing store has no free slot for a copy-on-write
EXIT_DEBUG = 5  # at a breakpoint, or a watched range was touched; see host.debug_*
EXIT_BOUNDS = 6  # checked kernels only: an access outside its region, which is our mistake; see BOUNDS

EXIT_NAMES = ("budget", "trap", "wfi", "mmio", "store full", "debug")

# host.debug_hit, how many breakpoints and watched ranges a host has, and the kinds of access in watch_kinds.
DEBUG_NONE, DEBUG_BREAKPOINT, DEBUG_WATCH = 0, 1, 2
DEBUG_PLACES = 16
WATCH_LOAD, WATCH_STORE = 1, 2

# Kinds of memory access.
ACCESS_FETCH, ACCESS_LOAD, ACCESS_STORE = 0, 1, 2

# Stages of a walk reference.
STAGE_VS, STAGE_G = 1, 2

# Kinds of ring events.
EVENT_TRAP = 1  # a trap was taken: a = cause, b = epc, c = tval, d = target mode (virt << 2 | priv)

# Sizes of the per-hart translation lookaside buffers (entries, powers of two) and address-space contexts.
DTLB_ENTRIES = 512
ITLB_ENTRIES = 256
TLB_CONTEXTS = 63  # context 63 stays unused, so that no valid tag equals NO_ADDRESS

# A TLB entry is the page's HPA, the R, W, X bits of a page-table entry, and this bit for a part of a larger
# page.
TLB_SUPER = 1

# Pseudo-causes in hart.trap_cause: no trap, and the ways in which a hart waits for the host.
NO_TRAP = 0xFFFF_FFFF_FFFF_FFFF
WAIT_STORE = 0xFFFF_FFFF_FFFF_FFFE  # the backing store is full
WAIT_DEVICE = 0xFFFF_FFFF_FFFF_FFFD  # a device has to answer
WAIT_INTERRUPT = 0xFFFF_FFFF_FFFF_FFFC  # WFI: the lowest of these, so that "waits" is one comparison

# hart.mmio_state
MMIO_NONE, MMIO_WAITING, MMIO_ANSWERED, MMIO_REFUSED = 0, 1, 2, 3

# The fast map of a hart: (tag, addend) pairs for loads, then for stores, then (tag, code) pairs for fetches.
FAST_LOAD = 0
FAST_STORE = DTLB_ENTRIES * 16
FAST_FETCH = DTLB_ENTRIES * 32
FAST_BYTES = DTLB_ENTRIES * 32 + ITLB_ENTRIES * 16
# Behind it lie three decoded entries: an instruction that straddles two pages, then two empty ones.
FAST_STRIDE = FAST_BYTES + 64

# A decoded page: one 64-bit entry for each halfword and two that send the interpreter to the next page.
CODE_ENTRIES = PAGE_BYTES // 2
CODE_PAGE_BYTES = (CODE_ENTRIES + 2) * 8

WALK_REFERENCES = 24  # a full Sv57 over Sv57x4 walk makes 5 * 6 - 1 + 5 = 34; Sv39 over Sv39x4 makes 15
REGISTER_SINK = 32  # writes to x0 go here, so that no instruction has to test its rd


@dataclass(frozen=True)
class Layout:
    """A record of unsigned 64-bit fields: `fields` are `(name, count)`, count 1 for a plain integer."""

    name: str
    fields: tuple[tuple[str, int], ...]
    derived_from: str = ""

    @cached_property
    def struct(self) -> type[ctypes.Structure]:
        """The record as a `ctypes.Structure` class."""
        members = [
            (name, ctypes.c_uint64 if count == 1 else ctypes.c_uint64 * count) for name, count in self.fields
        ]
        return type(self.name, (ctypes.Structure,), {"_fields_": members})

    @cached_property
    def dtype(self) -> Any:
        """The record as a numpy dtype (numpy is imported here and not before)."""
        import numpy

        return numpy.dtype(
            [(name, "u8") if count == 1 else (name, "u8", (count,)) for name, count in self.fields]
        )

    @cached_property
    def size(self) -> int:
        """Bytes of one record."""
        return 8 * sum(count for _, count in self.fields)

    @cached_property
    def state_bytes(self) -> int:
        """Bytes at the front of the record that are state; the rest is derived."""
        return self.offset(self.derived_from) if self.derived_from else self.size

    def offset(self, field: str) -> int:
        """Byte offset of a field. Raises KeyError for an unknown name."""
        position = 0
        for name, count in self.fields:
            if name == field:
                return position
            position += 8 * count
        raise KeyError(field)


def _ones(names: str) -> tuple[tuple[str, int], ...]:
    return tuple((name, 1) for name in names.split())


HART = Layout(
    "HART",
    (
        ("x", 33),  # x0..x31, then the sink for writes to x0
        # Floating-point registers; fcsr: flags in bits 4:0, frm in bits 7:5 (Unprivileged ISA, 20 and 21).
        ("f", 32),
        *_ones("fcsr"),
        # extensions: what the hart has, as `isa.extensions` numbers it.
        *_ones("pc priv virt hart_id hosted extensions"),
        # clock: cycles of this pCPU since power-on, including charged exits and idle time.
        *_ones("clock mcycle minstret"),
        # Machine level (Privileged ISA, chapter 3). sstatus, sie, sip are views of these.
        *_ones("mstatus medeleg mideleg mie mip mtvec mcounteren mcountinhibit menvcfg mscratch"),
        *_ones("mepc mcause mtval mtval2 mtinst"),
        # Supervisor level (chapter 10); in a hart with the H extension these are the HS-mode registers.
        *_ones("stvec scounteren senvcfg sscratch sepc scause stval satp stimecmp"),
        # Hypervisor level (chapter 18). hie, hip are views of mie, mip and hvip.
        *_ones("hstatus hedeleg hideleg hvip hcounteren hgeie htval htinst hgatp henvcfg htimedelta"),
        # Virtual supervisor level. vsie, vsip are views of mie and hvip.
        *_ones("vsstatus vstvec vsscratch vsepc vscause vstval vsatp vstimecmp"),
        # Smstateen, Ssstateen; every bit of sstateen0 to 3 is read-only zero here.
        ("mstateen", 4),
        ("hstateen", 4),
        # lines: interrupts that devices assert, as bits of mip. Physical memory protection: no entries on a
        # hosted hart.
        *_ones("lines pmp_entries"),
        ("pmpcfg", 2),
        ("pmpaddr", 16),
        # LR/SC: physical address of the reservation, or NO_ADDRESS.
        *_ones("reservation"),
        # An access that is waiting for a device: state 0 none, 1 waiting, 2 answered, 3 refused (access
        # fault).
        *_ones("mmio_state mmio_address mmio_size mmio_write mmio_value mmio_entry"),
        # Translation caches. A tag is the virtual page ORed with its context; a page is as said at TLB_SUPER.
        ("context_stage1", TLB_CONTEXTS + 1),  # satp or vsatp of each context
        ("context_stage2", TLB_CONTEXTS + 1),  # hgatp of each context, all ones for V=0
        *_ones("context_count tlb_super"),
        ("dtlb_tag", DTLB_ENTRIES),
        ("dtlb_page", DTLB_ENTRIES),
        ("itlb_tag", ITLB_ENTRIES),
        ("itlb_page", ITLB_ENTRIES),
        # Counted, never modelled.
        *_ones("itlb_misses dtlb_misses walk_references traps_taken interrupts_taken"),
        # Derived: results of the last call and addresses of this process.
        *_ones("retired trapped trap_cause trap_tval trap_gpa trap_inst trap_gva trap_offset value fast"),
        # The clock at which it last stopped at a breakpoint, plus 1: there it may pass.
        *_ones("debug_clock"),
        # settled: the last system instruction changed nothing that the boundary of `run` looks at.
        # live: bit n is clear only if entry n of that TLB is empty.
        *_ones("settled"),
        ("dtlb_live", DTLB_ENTRIES // 64),
        ("itlb_live", ITLB_ENTRIES // 64),
    ),
    derived_from="retired",
)

HOST = Layout(
    "HOST",
    (
        *_ones("ram_base ram_frames rom_base rom_frames harts cycles_per_tick reservation_hart"),
        # Derived: where the memory of this host lies in this process.
        *_ones("store store_slots"),  # 4 KiB slots; slot 0 is the shared zero page
        *_ones("frame_slot slot_references free_slots free_count"),  # u32 per frame, u32 per slot, u32 stack
        *_ones(
            "code code_pages code_used code_hand frame_code code_frame"
        ),  # decoded pages; u32 per frame, u32 per page
        *_ones("fast"),  # the fast maps of all harts, FAST_STRIDE each
        *_ones("events event_capacity event_count"),
        *_ones("walk"),  # a WALK record for walks that nobody looks at
        # Breakpoints and watched ranges (`core/debug.py`); NO_ADDRESS as vmid or root: any. watch_end is not
        # in the range.
        *_ones("break_count watch_count"),
        ("break_pc", DEBUG_PLACES),
        ("break_vmid", DEBUG_PLACES),
        ("break_root", DEBUG_PLACES),
        ("watch_start", DEBUG_PLACES),
        ("watch_end", DEBUG_PLACES),
        ("watch_kinds", DEBUG_PLACES),
        # Why `run` came back with EXIT_DEBUG: DEBUG_*, the place's number, the pc or the HPA touched.
        *_ones("debug_hit debug_number debug_address"),
    ),
    derived_from="store",
)

EVENT = Layout("EVENT", _ones("clock kind hart a b c d e"))

WALK = Layout(
    "WALK",
    (
        # cause: exception code or NO_ADDRESS; hpa valid when there is none; gpa valid once the VS-stage has
        # ended.
        # page_bytes: what one TLB entry may cover; stage1_bytes: the page of the satp or vsatp table alone.
        *_ones("cause gpa hpa page_bytes permissions count stage1_bytes"),
        ("stage", WALK_REFERENCES),  # STAGE_VS or STAGE_G
        ("level", WALK_REFERENCES),
        ("address", WALK_REFERENCES),  # HPA of the page-table entry
        ("guest_address", WALK_REFERENCES),  # what this stage was translating: GVA for VS, GPA for G
        ("pte", WALK_REFERENCES),
    ),
)

# Checked kernels (`VMLAB_CHECKED=1`): the regions of host memory, each with the accesses that belong there.
# `store` is the backing store as guests and devices use it, `fresh` the same for a slot that is being filled,
# `own` the fast map of the hart that runs, `buffer` what the caller of `phys_read` or `phys_write` brought.
REGIONS = (
    "store", "frame_slot", "slot_references", "free_slots", "code", "frame_code", "code_frame", "fast",
    "events", "own", "buffer", "fresh",
)  # fmt: skip
# After the regions: an index into an array of a record.
BOUNDS_INDEX = len(REGIONS)

BOUNDS = Layout(
    "BOUNDS",
    (
        ("start", len(REGIONS)),
        ("length", len(REGIONS)),
        # The first violation: region, or BOUNDS_INDEX with an index and a count in place of address and size.
        *_ones("violations kind address size write pc_of_violation"),
        *_ones("pc"),  # of the instruction that runs
        ("spare", 8),  # where an access is sent that must not be made
    ),
)
