"""Where this machine and another one may differ: the one table, and what random programs leave out because
of it.

Section numbers are those of the Privileged ISA 20240411.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
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
    SSTATUS_WRITABLE,
)
from emulator.fuzz.operands import value
from emulator.isa.encodings import encode, expand
from emulator.isa.instruction import Instruction

# ecalls of HS-mode must reach the monitor.
DELEGABLE = 0xF0_B5FF
GUEST_DELEGABLE = 0xB1FF
# Left out, because QEMU 7.2 has them not (Zicond, Zicbom and Zicboz; Svinval only on demand), has them wrong
# (ctzw; HLVX needs execute permission "in place of" read permission, 18.3), or because they move a pointer.
ABSENT_INSTRUCTIONS = frozenset({
    "czero.eqz", "czero.nez", "cbo.inval", "cbo.clean", "cbo.flush", "cbo.zero",
    "sinval.vma", "sfence.w.inval", "sfence.inval.ir", "hinval.vvma", "hinval.gvma",
    "ctzw", "hlvx.hu", "hlvx.wu", "c.addi16sp",
})  # fmt: skip
NO_INSTRUCTIONS = (0, 0xFFFF_FFFF, 0x9002, 0x0000_4073, 0x1050_0073 | 1 << 7, 0x6000_0073)

COUNTERS = ("cycle", "time", "instret")
# Left out, because QEMU 7.2 is wrong: sie and sip, which in VS-mode are vsie and vsip: it keeps the first
# without the shift by one and reads the second as 0 (18.2.13); sstatus and vsstatus, whose SD it does not
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
    "mscratch", "sstatus", "stvec", "scounteren", "sepc", "scause", "stval", "satp", "sscratch",
    "hstatus", "hedeleg", "hideleg", "hie", "hcounteren", "htval", "hip", "hvip", "hgatp", "htimedelta",
    "hgeie", "vsstatus", "vstvec", "vsepc", "vscause", "vstval", "vsatp", "vsscratch",
)  # fmt: skip
# Written and left so: nothing depends on them before the monitor writes them again.
KEPT = frozenset(
    {"sscratch", "vsscratch", "mtval", "mcause", "mtval2", "scause", "stval", "htval", "vscause", "vstval"}
)
ONLY_WHOLE = frozenset({"satp", "vsatp", "hgatp", "mepc", "sepc", "vsepc"})
LCOFI = 1 << 13
VSTIP = 1 << 6


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
LOAD_OF_STORE = {15: 13, 7: 5, 6: 4, 23: 21}
CAUSES = ("mcause", "scause", "vscause")
TVALS = {"mtval": "mcause", "stval": "scause", "vstval": "vscause"}
# UXL and VS of mstatus and vsstatus, which have one value here.
FIXED, UXL_64 = 3 << 32 | 3 << 9, 2 << 32
TINSTS = {"mtinst": "mcause", "htinst": "scause"}
GUEST_PAGE_FAULTS = frozenset({20, 21, 23})
DATA_CAUSES = frozenset({4, 5, 6, 7, 13, 15, 21, 23})
STALE = {"mtval2": "mcause", "htval": "scause"}
PSEUDOINSTRUCTIONS = frozenset({0x3000, 0x3020})


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
    atomic = row is not None and row.kind in ("lr", "sc", "amo")
    if a in PSEUDOINSTRUCTIONS:
        return "tinst-amo" if atomic else ""
    accesses = row is not None and row.width and cause in DATA_CAUSES
    offset = a >> 15 & 31
    if a and not (accesses and row and offset < row.width and a ^ offset << 15 == transformed(row, operands)):
        return ""
    if b == 0:
        return "tinst"
    if b in PSEUDOINSTRUCTIONS:
        return "tinst-stale" if cause not in GUEST_PAGE_FAULTS else "tinst-amo" if atomic else ""
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
    if name in ("mstatus", "vsstatus") and (a ^ b) & ~FIXED == 0 and a & FIXED == UXL_64:
        return "status-junk"
    if name == "hstatus" and a ^ b == 1 << 6 and not _sets_gva(ours, "scause", "stval", 1):
        return "gva"
    if name in CAUSES and kind in ("lr", "sc", "amo") and LOAD_OF_STORE.get(a) == b:
        return "amo-cause"
    if name == "vscause" and a in (2, 6) and b == a - 1:
        return "vscause-2"
    if name in STALE and a == 0 and ours[STALE[name]] not in GUEST_PAGE_FAULTS:
        return "tval2-stale"
    if name in TVALS and ours[TVALS[name]] in (5, 7) and (a ^ b) < 8:
        return "tval-aligned"
    if name in TVALS and ours[TVALS[name]] == 3 and b == 0:
        return "ebreak"
    if name in TVALS and ours[TVALS[name]] in (2, 22) and kind in ("hload", "hstore"):
        return "tval-hlv"
    if name in CAUSES and (a, b) in ((20, 21), (23, 21)) and (
        ours["mtinst" if name == "mcause" else "htinst"] in PSEUDOINSTRUCTIONS
    ):  # fmt: skip
        return "implicit-cause"
    return ""


def _sets_gva(ours: Values, cause: str, tval: str, guest: int) -> bool:
    return bool(ours[cause] in ADDRESS_CAUSES - {3} and ours[tval] and guest)


def forgiven(row: Instruction | None, operands: Mapping[str, int], cause: int, tval: int) -> str:
    """Return why two machines may go separate ways at an instruction of a program, or nothing."""
    kind = row.kind if row else ""
    if kind == "amo" and cause in (5, 7, 13, 15, 21, 23):
        return "amo-cause"
    if kind == "sc" and cause in (4, 5, 6, 7, 13, 15, 21, 23):
        return "sc-unreserved"
    if kind in ("load", "store", "fpload", "fpstore") and cause in (5, 7) and (tval + 8 & 0xFFF) < 16:
        return "crossing"
    if kind in ("hload", "hstore"):
        return "hlv"
    if kind in ("csr", "csri", "system") and cause == 22:
        return "virtual-in-vu"
    if row is not None and row.name == "sret" and cause in (1, 2):
        return "tsr"
    if (operands.get("csr") in (0x180, 0x680) or (row and row.name == "sfence.vma")) and cause in (1, 2, 22):
        return "tvm"
    return ""


# Each reason: what the two do, and the sentence or section that allows it or says who is wrong.
REASONS = {
    "gva": "QEMU 7.2 sets GVA for every trap with V=1 whose tval is not zero, and not for HLV, HSV and MPRV: "
    '"GVA ... is set to 1 for any trap that writes a guest virtual address to mtval" (18.4.1; hstatus '
    "18.2.1)",
    "amo-cause": "QEMU 7.2 translates for SC and AMOs as for a load, and reports a load's faults: they are "
    "store/AMO faults (3.1.15)",
    "amo-memory": "QEMU 7.2 translates for AMOs as for a load first: where one faults, it may have set other "
    "A and D bits than those of a store (12.3.2)",
    "status-junk": "QEMU 7.2 lets UXL of mstatus become 3, which is 128 bits, wider than MXL (3.1.6.3), and "
    "VS not zero, which without vector registers is read-only zero (3.1.6.6)",
    "vscause-2": "QEMU 7.2 takes exceptions 2 and 6 for the VS-level interrupts of these numbers: only "
    "interrupt "
    "codes are shifted (18.2.3)",
    "tinst": '"the value written to the trap instruction register ... may always be zero" (18.6.3): '
    "QEMU's is, ours is the transformed instruction",
    "tinst-stale": "QEMU 7.2 writes the pseudoinstruction of an earlier walk at other traps (18.6.3)",
    "tval2-stale": "QEMU 7.2 writes a guest-physical address of an earlier walk at other traps: "
    '"for other traps, mtval2 is set to zero" (18.4.5; htval 18.2.7)',
    "tinst-amo": "QEMU 7.2 takes AMOs for loads: pseudoinstructions tell reads from writes (18.6.3)",
    "tval-aligned": "QEMU 7.2 gives the aligned address of a misaligned access outside RAM (3.1.16)",
    "tval-hlv": "QEMU 7.2 forgets tval when it refuses HLV and HSV: zero or the instruction's bits (3.1.16)",
    "implicit-cause": "QEMU 7.2 reports a fault of an implicit access as a load's: it has the cause of "
    "the original "
    "access (18.6.1)",
    "sc-unreserved": "An SC without a reservation: QEMU does not translate its address, which is allowed, "
    "as is to "
    'translate it (Unprivileged ISA, "Zalrsc")',
    "aborted": "QEMU 7.2 ends itself with an assertion in gen_unary_per_ol (clz, ctz, rev8): left out",
    "crossing": "Either half of a misaligned access may fault first: we take the lower, QEMU the page fault",
    "ebreak": '"mtval is written with either zero or the virtual address of the instruction" (3.1.16): '
    "QEMU writes zero",
    "virtual-in-vu": "QEMU 7.2 calls what VU-mode may not do, and VS-mode or HS-mode may, an illegal "
    "instruction instead of "
    "a virtual one (18.6.1)",
    "tvm": "QEMU 7.2 lets TVM, not VTVM, forbid satp and SFENCE.VMA in VS-mode, and nothing hgatp (18.2.10)",
    "tsr": 'QEMU 7.2 lets TSR forbid SRET in VS-mode too: "The TSR and TVM fields of mstatus affect '
    "execution only in "
    'HS-mode, and not in VS-mode" (18.4.1)',
    "hlv": "QEMU 7.2 treats SUM as set for HLV and HSV, and with satp bare calls their page faults access "
    "faults: "
    '"the HS-level sstatus.SUM is ignored" (18.3)',
}
