"""Where this machine and another one may differ: the one table, and what random programs leave out because
of it.

Section numbers are those of the Privileged ISA 20240411.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from emulator.core.csr_bits import (
    FS,
    HSTATUS_WRITABLE,
    MIE,
    MPP,
    MPP_LOW,
    MPRV,
    MSTATUS_WRITABLE,
    MXR,
    PTE_V,
    PTE_W,
    SSTATUS_WRITABLE,
)
from emulator.fuzz.operands import value
from emulator.isa.encodings import encode, expand
from emulator.isa.instruction import Instruction

# ecalls of HS-mode must reach the monitor.
DELEGABLE = 0xF0_B5FF
GUEST_DELEGABLE = 0xB1FF
# Left out, because QEMU 7.2 has them not (Zicond, Zicbom, Zicboz), has them wrong (ctzw; HLVX needs execute
# permission "in place of" read permission, 18.3; SFENCE.W.INVAL and SFENCE.INVAL.IR, which U-mode may execute
# there), or because they move a pointer.
ABSENT_INSTRUCTIONS = frozenset({
    "czero.eqz", "czero.nez", "cbo.inval", "cbo.clean", "cbo.flush", "cbo.zero",
    "sfence.w.inval", "sfence.inval.ir", "ctzw", "hlvx.hu", "hlvx.wu", "c.addi16sp",
})  # fmt: skip
NO_INSTRUCTIONS = (0, 0xFFFF_FFFF, 0x9002, 0x0000_4073, 0x1050_0073 | 1 << 7, 0x6000_0073)

# The high bits of entries that are set by chance: with Svnapot and Svpbmt QEMU 7.2 does not look at those
# "reserved for future standard use" (10.4.1), and sets A and D before it refuses a wrong N.
RESERVED_BITS, PAGE_TYPE_BITS = range(54, 64), range(61, 63)
COUNTERS = ("cycle", "time", "instret")
# Left out, because QEMU 7.2 is wrong: sie and sip, which in VS-mode are vsie and vsip: it keeps the first
# without the shift by one and reads the second as 0 (18.2.12); sstatus and vsstatus, whose SD it does not
# compute (3.1.6.6); writing mip, through which it writes VSTIP and VSEIP of hvip too: in mip they are
# "aliases for the corresponding bits in ... hip" (18.4.3), where they are "read-only" (18.2.3).
READABLE = (
    "mstatus", "medeleg", "mideleg", "mie", "mcounteren", "mepc", "mcause", "mtval", "mip", "mtval2",
    "mscratch", "mhartid", "stvec", "scounteren", "sepc", "scause", "stval", "satp",
    "sscratch", "hstatus", "hedeleg", "hideleg", "hie", "hcounteren", "htval", "hip", "hvip", "hgatp",
    "htimedelta", "hgeie", "hgeip", "vstvec", "vsepc", "vscause", "vstval", "vsatp", "vsscratch",
)  # fmt: skip
WRITABLE = (
    "mstatus", "medeleg", "mideleg", "mie", "mcounteren", "mepc", "mcause", "mtval", "mtval2", "mtinst",
    "sstatus", "stvec", "scounteren", "sepc", "scause", "stval", "satp", "sscratch",
    "hstatus", "hedeleg", "hideleg", "hie", "hcounteren", "htval", "hip", "hvip", "hgatp", "htimedelta",
    "hgeie", "vsstatus", "vstvec", "vsepc", "vscause", "vstval", "vsatp", "vsscratch",
)  # fmt: skip
# Written and left so: nothing depends on them before the monitor writes them again.
KEPT = frozenset(
    {"sscratch", "vsscratch", "mtval", "mcause", "mtval2", "scause", "stval", "vscause", "vstval"}
)
ONLY_WHOLE = frozenset({"satp", "vsatp", "hgatp", "mepc", "sepc", "vsepc"})
# Pending bits that software sets, never more than one at once.
PENDING = (("mip", 0x222), ("sip", 0x2), ("hvip", 0x404), ("hip", 0x4))
VSTIP = 1 << 6


def possible_type(entry: int) -> int:
    """Return an entry without PBMT 3, which is reserved (Svpbmt) and which QEMU 7.2 takes."""
    return entry & ~(1 << 61) if entry >> 61 & 3 == 3 else entry


def encoded(row: Instruction, operands: dict[str, int]) -> int:
    """Return an instruction's word."""
    return encode(row, operands)


def chosen_mpv(chance: random.Random) -> int:
    """Return MPV for accesses under MPRV: 0."""
    # QEMU 7.2 calls the guest-page faults of such accesses page faults, and looks at MPV with MPP=3.
    return 0


def one_of_each_level(chance: random.Random, lower: int, guest: int) -> int:
    """Enable one interrupt for each level: QEMU 7.2 takes them by number, not in the order of 3.1.9."""
    levels = (0x1FFF & ~lower, 0x1FFF & lower & ~guest, guest)
    choices = [[1 << n for n in range(13) if level >> n & 1] or [0] for level in levels]
    return sum(chance.choice(level) for level in choices)


def written_value(chance: random.Random, name: str) -> int:
    """Return what to write into a CSR: nothing that the two keep differently by choice, or QEMU wrongly."""
    kept = value(chance) & 0x7FFF_FFFF
    if name in ("satp", "vsatp", "hgatp"):
        return 0
    if name.endswith("tvec"):
        return kept & ~2
    if name.endswith("epc"):
        return kept & ~1
    if name in ("mie", "hie", "hip", "hvip", "mideleg", "hideleg"):
        return kept & 0x404 if name in ("hie", "hip", "hvip") else 0
    if name in ("medeleg", "hedeleg"):
        return kept & (DELEGABLE if name == "medeleg" else GUEST_DELEGABLE)
    if name == "hstatus":
        return kept & HSTATUS_WRITABLE
    if name in ("vsstatus", "sstatus"):
        return kept & SSTATUS_WRITABLE & ~(FS | MXR)
    if name == "mstatus":
        return kept & MSTATUS_WRITABLE & ~(MPRV | MIE | MPP | FS | MXR) | chance.choice((0, 1, 3)) << MPP_LOW
    return kept


def paired(delegated: int) -> int:
    """Delegate a fault of stores like that of loads, and guest-page faults alike."""
    for load, store in ((4, 6), (5, 7), (13, 15), (21, 23), (21, 20)):
        delegated = delegated & ~(1 << store) | (delegated >> load & 1) << store
    return delegated


# Bits that are not compared.
MASKS: dict[str, int] = {
    # Svadu came after QEMU 7.2, which always updates A and D itself, as we do with ADUE set.
    "menvcfg": ~(1 << 61),
    "henvcfg": ~(1 << 61),
    # "SD ... is a read-only bit that summarizes" (3.1.6.6): QEMU 7.2 does not compute it in vsstatus.
    "vsstatus": ~(1 << 63),
}
ADDRESS_CAUSES = frozenset({0, 1, 3, 4, 5, 6, 7, 12, 13, 15, 20, 21, 23})
# Where QEMU may load from a page that we may not store to, nothing may be behind it.
# Access faults, and what QEMU takes them for; AMOs for loads.
GUEST_FAULTS_OF_PMP = ((1, 20), (5, 21), (7, 23), (7, 21))
PMP_UNDIVIDED = 0x1F << 24
LOADS_OF_STORE = {15: (13, 5, 21), 7: (5,), 6: (4,), 23: (21, 5)}
CAUSES = ("mcause", "scause", "vscause")
TVALS = {"mtval": "mcause", "stval": "scause", "vstval": "vscause"}
TINSTS = {"mtinst": "mcause", "htinst": "scause"}
GUEST_PAGE_FAULTS = frozenset({20, 21, 23})
DATA_CAUSES = frozenset({4, 5, 6, 7, 13, 15, 21, 23})
STALE = {"mtval2": "mcause", "htval": "scause"}
PSEUDOINSTRUCTIONS = frozenset({0x3000, 0x3020})
IMPLICIT_WRITE = 0x3020
LOADS_AND_STORES = ("load", "store", "fpload", "fpstore")
INVALIDATIONS = ("sinval.vma", "hinval.vvma", "hinval.gvma")
PRIVILEGED = ("csr", "csri", "system", "hload", "hstore")
SUM_BIT, TVM_BIT, TSR_BIT = 18, 20, 22


class Values(Protocol):
    """A note: registers by name."""

    def __getitem__(self, name: str, /) -> int: ...


def transformed(row: Instruction, operands: Mapping[str, int]) -> int:
    """Return an instruction as mtinst and htinst show it (18.6.3), for an access at no offset."""
    base, named = expand(row, operands)
    word = encode(base, named | {field: 0 for field in ("rs1", "imm") if field in named})
    return word if row.length == 4 else word & ~2


def _trap_instruction(
    a: int, b: int, cause: int, row: Instruction | None, operands: Mapping[str, int]
) -> str:
    """Return why mtinst or htinst may differ: ours must be right, QEMU's zero, or stale."""
    if a in PSEUDOINSTRUCTIONS:
        return ""
    accesses = row is not None and row.width and cause in DATA_CAUSES
    offset = a >> 15 & 31
    if a and not (accesses and row and offset < row.width and a ^ offset << 15 == transformed(row, operands)):
        return ""
    if b == 0:
        return "tinst"
    if b in PSEUDOINSTRUCTIONS:
        return "tinst-stale" if cause not in GUEST_PAGE_FAULTS else ""
    return ""


def excused(
    name: str, ours: Values, theirs: Values, row: Instruction | None, operands: Mapping[str, int]
) -> str:
    """Return why one register may differ in this note alone, or nothing.

    Nothing depends on these registers until the monitor has written them again.
    """
    a, b = ours[name], theirs[name]
    if name in TINSTS:
        return _trap_instruction(a, b, ours[TINSTS[name]], row, operands)
    kind = row.kind if row else ""
    if name == "mstatus" and a ^ b == 1 << 38 and not _sets_gva(ours, "mcause", "mtval", a >> 39 & 1):
        return "gva"
    if name == "hstatus" and a ^ b == 1 << 6 and not _sets_gva(ours, "scause", "stval", 1):
        return "gva"
    if name in CAUSES and kind in ("sc", "amo") and b in LOADS_OF_STORE.get(a, ()):
        return "amo-cause"
    if name == "vscause" and a in (2, 6) and b == a - 1:
        return "vscause-2"
    if name in STALE and a == 0 and ours[STALE[name]] not in GUEST_PAGE_FAULTS:
        return "tval2-stale"
    if (
        name in TVALS
        and ours[TVALS[name]] in (5, 7)
        and row is not None
        and row.width
        and b == a & -row.width
    ):
        return "tval-aligned"
    parts = row is not None and row.width and b < a < b + row.width and ours["pmpcfg0"] != PMP_UNDIVIDED
    if name in TVALS and ours[TVALS[name]] in (5, 7) and parts:
        return "pmp-parts"
    if name in TVALS and ours[TVALS[name]] == 3 and b == 0:
        return "ebreak"
    if name in TVALS and ours[TVALS[name]] in (2, 22) and row is not None:
        forgets = kind in ("hload", "hstore") or row.name in INVALIDATIONS
        return "tval-hlv" if forgets and a == encode(row, operands) else ""
    if name in CAUSES and (a, b) in ((20, 21), (23, 21)) and (
        ours["mtinst" if name == "mcause" else "htinst"] in PSEUDOINSTRUCTIONS
    ):  # fmt: skip
        return "implicit-cause"
    return ""


def _sets_gva(ours: Values, cause: str, tval: str, guest: int) -> bool:
    return bool(ours[cause] in ADDRESS_CAUSES - {3} and ours[tval] and guest)


@dataclass(frozen=True)
class Origin:
    """Where in a program a trap began, behind the stubs that it was delegated to."""

    place: int
    cause: int
    tval: int
    guest_physical: int  # that of an implicit access that failed
    pseudoinstruction: int
    virtual: bool
    level: int  # 0 U, 1 S, 3 M
    by_guest: bool  # handled in VS-mode
    status: tuple[int, int, int]  # mstatus, hstatus, vsstatus
    protected: bool  # PMP divides memory

    def bit(self, register: int, number: int) -> bool:
        """Return a bit of mstatus (0), hstatus (1) or vsstatus (2)."""
        return bool(self.status[register] >> number & 1)


def forgiven(
    ours: Origin,
    theirs: Origin,
    row: Instruction | None,
    leaf: Callable[[int], int],
) -> str:
    """Return why two machines may go separate ways at our trap, at the instruction `row`, or nothing.

    `leaf` returns the G-stage's entry for a guest-physical address.
    """
    kind = row.kind if row else ""
    both = ours.place == theirs.place
    causes = (ours.cause, theirs.cause)
    entry = leaf(ours.guest_physical)
    if ours.pseudoinstruction == IMPLICIT_WRITE and entry & (PTE_V | PTE_W) == PTE_V:
        return "implicit-write"
    if kind in LOADS_AND_STORES and both and causes in ((5, 13), (7, 15)) and crosses(ours.tval, theirs.tval):
        return "crossing"
    through_guest = ours.virtual or kind in ("hload", "hstore")
    if both and ours.protected and through_guest and causes in GUEST_FAULTS_OF_PMP:
        return "pmp-guest"
    # An access across pages whose first part we may make; QEMU refuses it at its start or the word around it.
    before = 0 < ours.tval - theirs.tval <= row.width if row and kind in LOADS_AND_STORES else False
    if both and ours.protected and before and ours.tval & 0xFFF == 0 and ours.cause == theirs.cause:
        return "pmp-parts"
    as_load = theirs.cause in LOADS_OF_STORE.get(ours.cause, ()) and ours.tval == theirs.tval
    if kind == "amo" and both and as_load:
        return "amo-cause"
    if kind in ("hload", "hstore") and ours.cause in (13, 15):
        if not ours.bit(2, SUM_BIT):
            return "hlv-sum"
        if both and causes in ((13, 5), (15, 7)):
            return "hlv-bare"
    # In vscause QEMU's 2 is a 1.
    illegal = 1 if theirs.by_guest else 2
    if both and causes == (22, illegal) and ours.virtual and ours.level == 0 and kind in PRIVILEGED:
        return "virtual-in-vu"
    return ""


def unequal_privilege(trapped: Origin, row: Instruction | None, operands: Mapping[str, int]) -> str:
    """Return why only one of the machines may refuse an instruction, or nothing."""
    name = row.name if row else ""
    refused = trapped.cause in ((5, 7, 21, 23) if trapped.virtual else (5, 7))
    if row and row.width and trapped.protected and refused:
        # Of an access across pages QEMU checks the aligned words on both sides.
        border = trapped.tval & 0xFFF in (0, 0x1000 - row.width)
        return "pmp-parts" if border or trapped.tval % row.width else ""
    if trapped.cause not in (1 if trapped.by_guest else 2, 2, 22):
        return ""
    if name == "sret" and trapped.virtual and trapped.level == 1 and trapped.bit(0, TSR_BIT):
        return "tsr"
    if operands.get("csr") == 0x680 and not trapped.virtual and trapped.bit(0, TVM_BIT):
        return "tvm"
    if (operands.get("csr") == 0x180 or name in ("sfence.vma", "sinval.vma")) and trapped.virtual:
        return "tvm" if trapped.bit(0, TVM_BIT) or trapped.bit(1, TVM_BIT) else ""
    return ""


def crosses(lower: int, upper: int) -> bool:
    """Tell whether two addresses are in neighbouring pages, at their common border."""
    return upper & 0xFFF == 0 and 0 < upper - lower < 8


# Each reason: what the two do, and the sentence or section that allows it or says who is wrong.
REASONS = {
    "gva": (
        "QEMU 7.2 sets GVA for every trap with V=1 whose tval is not zero, and not for HLV, HSV and MPRV: "
        '"GVA ... is set to 1 for any trap that writes a guest virtual address to mtval" (18.4.1; hstatus '
        "18.2.1)"
    ),
    "amo-cause": (
        "QEMU 7.2 translates for SC and AMOs as for a load first, and reports a load's faults: they are "
        "store/AMO faults (3.1.15)"
    ),
    "vscause-2": (
        "QEMU 7.2 takes exceptions 2 and 6 for the VS-level interrupts of these numbers: only interrupt "
        "codes are shifted (18.2.2)"
    ),
    "tinst": (
        '"the value written to the trap instruction register ... may always be zero" (18.6.3): QEMU\'s is, '
        "ours is the transformed instruction"
    ),
    "tinst-stale": "QEMU 7.2 writes the pseudoinstruction of an earlier walk at other traps (18.6.3)",
    "tval2-stale": (
        'QEMU 7.2 writes a guest-physical address of an earlier walk at other traps: "for other traps, '
        'mtval2 is set to zero" (18.4.4; htval 18.2.8)'
    ),
    "tval-aligned": (
        'QEMU 7.2 gives the aligned address of a misaligned access outside RAM: "mtval will contain the '
        'virtual address of the portion of the access that caused the fault" (3.1.16)'
    ),
    "tval-hlv": (
        "QEMU 7.2 forgets tval when it refuses HLV, HSV and Svinval: zero or the instruction's bits (3.1.16)"
    ),
    "implicit-cause": (
        "QEMU 7.2 reports a fault of an implicit access as a load's: \"any exception is always reported for "
        'the original access type" (18.5.1)'
    ),
    "implicit-write": (
        'QEMU 7.2 sets A and D in VS-stage entries that the G-stage lets it read only: "permissions and the '
        "need to set A and/or D bits at the G-stage level are checked as though for an implicit load or "
        'store" (18.5.1)'
    ),
    "crossing": (
        'Either half of a misaligned access may fault first: we take the lower, QEMU the page fault: "the '
        'portion of the access that caused the fault" (3.1.16)'
    ),
    "ebreak": (
        '"mtval is written with either zero or the virtual address of the instruction" (3.1.16): QEMU '
        "writes zero"
    ),
    "virtual-in-vu": (
        "QEMU 7.2 calls what VU-mode may not do, and VS-mode or HS-mode may, an illegal instruction instead "
        "of a virtual one (18.6.1)"
    ),
    "tvm": (
        "QEMU 7.2 lets TVM, not VTVM, forbid satp and SFENCE.VMA in VS-mode, and nothing hgatp (18.2.10)"
    ),
    "tsr": (
        'QEMU 7.2 lets TSR forbid SRET in VS-mode too: "The TSR and TVM fields of mstatus affect execution '
        'only in HS-mode, and not in VS-mode" (18.4.1)'
    ),
    "pmp-guest": (
        "QEMU 7.2 calls what PMP refuses to a guest a guest-page fault: "
        '"attempting to execute a load ... without read permissions raises a load access-fault exception" '
        "(3.7.1)"
    ),
    "pmp-parts": (
        "We make a misaligned access in parts and check each, QEMU checks it whole: "
        '"misaligned loads, stores, and instruction fetches may also be decomposed into multiple accesses, '
        'some of which may succeed" (3.7.1)'
    ),
    "hlv-sum": (
        'QEMU 7.2 treats vsstatus.SUM as set for HLV and HSV: they have "the address translation and '
        'protection ... that apply to memory accesses in either VS-mode or VU-mode" (18.3)'
    ),
    "hlv-bare": (
        'QEMU 7.2 with satp bare calls the page faults of HLV and HSV access faults: "as usual when V=1, '
        'two-stage address translation is applied" (18.3)'
    ),
}
