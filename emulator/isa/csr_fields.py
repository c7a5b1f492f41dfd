"""The fields of the control and status registers that a guest and its hypervisor use: bits, names, meanings.

Source: The RISC-V Instruction Set Manual, Volume II (Privileged, 20240411), chapters "Supervisor-Level ISA"
(sstatus 10.1.1, stvec, sip and sie, scounteren, scause, senvcfg, satp), "Hypervisor Extension" (18.2) and
"Sstc"; Volume I (20240411), "Floating-Point Control and Status Register". This table is what people are
shown; the masks that the kernels use are in `emulator/core/csr_bits.py`, and a test holds one against the
other. Left out: the machine's registers, and bits that are reserved or read-only zero here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emulator.isa.causes import INTERRUPT_BIT, describe


@dataclass(frozen=True, slots=True)
class CsrField:
    """Bits `high`..`low` of a register, and what they mean; `values` names the values that have names."""

    name: str
    high: int
    low: int
    meaning: str
    values: Mapping[int, str] = field(default_factory=dict[int, str])

    @property
    def bits(self) -> str:
        """The bits as the specification writes them: "63" or "14:13"."""
        return str(self.low) if self.high == self.low else f"{self.high}:{self.low}"

    @property
    def mask(self) -> int:
        """The bits of the register that the field takes."""
        return (1 << self.high + 1) - (1 << self.low)

    def of(self, value: int) -> int:
        """Return the field's own value in a register's."""
        return (value & self.mask) >> self.low


@dataclass(frozen=True, slots=True)
class DecodedField:
    """A field with its value in one register, and what that value means."""

    field: CsrField
    value: int
    meaning: str


def _bit(name: str, at: int, meaning: str, zero: str = "", one: str = "") -> CsrField:
    return CsrField(name, at, at, meaning, {0: zero, 1: one} if zero or one else {})


_DIRTY = {0: "off", 1: "initial", 2: "clean", 3: "dirty"}
_WIDTH = {1: "32 bits", 2: "64 bits", 3: "128 bits"}
_STAGE_1 = {0: "Bare: no translation", 8: "Sv39", 9: "Sv48", 10: "Sv57"}
_STAGE_2 = {0: "Bare: no translation", 8: "Sv39x4", 9: "Sv48x4", 10: "Sv57x4"}
_STATUS = (
    _bit("SD", 63, "summary: some extension's state is dirty and must be saved"),
    CsrField("UXL", 33, 32, "width of registers in U-mode", _WIDTH),
    _bit("MXR", 19, "make executable readable", "loads need R", "loads may also read pages with X only"),
    _bit("SUM", 18, "supervisor may access user memory", "pages with U are forbidden", "and may"),
    CsrField("XS", 16, 15, "state of additional extensions", _DIRTY),
    CsrField("FS", 14, 13, "state of floating point", _DIRTY),
    CsrField("VS", 10, 9, "state of vectors", _DIRTY),
    _bit("SPP", 8, "mode before the last trap to S-mode", "U-mode", "S-mode"),
    _bit("UBE", 6, "byte order of U-mode's memory accesses", "little-endian", "big-endian"),
    _bit("SPIE", 5, "SIE before the last trap to S-mode", "interrupts were off", "interrupts were on"),
    _bit("SIE", 1, "supervisor interrupt enable", "interrupts off in S-mode", "interrupts on in S-mode"),
)
_INTERRUPTS = {1: "S-mode software", 5: "S-mode timer", 9: "S-mode external"}
_SHORT = {"SS": 1, "ST": 5, "SE": 9}
_VS_SHORT = {"VSS": 2, "VST": 6, "VSE": 10}
_VS_INTERRUPTS = {2: "VS-mode software", 6: "VS-mode timer", 10: "VS-mode external"}


def _interrupts(
    suffix: str, short: Mapping[str, int], names: Mapping[int, str], meaning: str, zero: str, one: str
) -> tuple[CsrField, ...]:
    pairs = sorted(short.items(), key=lambda item: -item[1])
    return tuple(_bit(f"{name}{suffix}", at, meaning.format(names[at]), zero, one) for name, at in pairs)


_COUNTERS = (
    CsrField("HPM", 31, 3, "hpmcounter31..3 may be read (one bit each)"),
    _bit("IR", 2, "instret may be read", "no", "yes"),
    _bit("TM", 1, "time may be read", "no", "yes"),
    _bit("CY", 0, "cycle may be read", "no", "yes"),
)
_ROUNDING = {0: "to nearest, ties to even", 1: "towards zero", 2: "down", 3: "up", 4: "to nearest, ties away"}
_INVALIDATE = {0: "CBO.INVAL traps", 1: "CBO.INVAL flushes", 3: "CBO.INVAL invalidates"}
_USER_ENVIRONMENT = (
    _bit("CBZE", 7, "cache-block zero enable", "CBO.ZERO traps", "CBO.ZERO may be used"),
    _bit("CBCFE", 6, "cache-block clean and flush enable", "they trap", "they may be used"),
    CsrField("CBIE", 5, 4, "cache-block invalidate enable", _INVALIDATE),
    _bit("FIOM", 0, "fence of I/O implies memory", "no", "yes"),
)
_ENVIRONMENT = (
    _bit("STCE", 63, "the guest's own timer compare (stimecmp)", "traps", "may be used"),
    _bit("PBMTE", 62, "page-based memory types (Svpbmt)", "PTE bits 62:61 are reserved", "in force"),
    _bit(
        "ADUE", 61, "update of the A and D bits", "the guest gets a page fault (Svade)", "in hardware (Svadu)"
    ),
    *_USER_ENVIRONMENT,
)
_DELEGATED = (
    (15, "store/AMO page faults of the guest"),
    (13, "load page faults of the guest"),
    (12, "instruction page faults of the guest"),
    (8, "ecalls from U-mode of the guest"),
    (7, "store/AMO access faults of the guest"),
    (6, "misaligned stores of the guest"),
    (5, "load access faults of the guest"),
    (4, "misaligned loads of the guest"),
    (3, "breakpoints of the guest"),
    (2, "illegal instructions of the guest"),
    (1, "instruction access faults of the guest"),
    (0, "misaligned instructions of the guest"),
)

CSR_FIELDS: Mapping[str, tuple[CsrField, ...]] = {
    "sstatus": _STATUS,
    "sie": _interrupts("IE", _SHORT, _INTERRUPTS, "{} interrupt enable", "disabled", "enabled"),
    "sip": _interrupts("IP", _SHORT, _INTERRUPTS, "{} interrupt pending", "no", "pending"),
    "stvec": (
        CsrField("BASE", 63, 2, "address of the trap handler, without its two lowest bits"),
        CsrField(
            "MODE",
            1,
            0,
            "where traps go",
            {0: "direct: all to BASE", 1: "vectored: interrupts to BASE + 4 x cause"},
        ),
    ),
    "scounteren": _COUNTERS,
    "senvcfg": _USER_ENVIRONMENT,
    "scause": (
        _bit("Interrupt", 63, "kind of the last trap", "exception", "interrupt"),
        CsrField("Code", 62, 0, "what it was"),
    ),
    "satp": (
        CsrField("MODE", 63, 60, "translation of GVA to GPA", _STAGE_1),
        CsrField("ASID", 59, 44, "address-space identifier: a tag of TLB entries"),
        CsrField("PPN", 43, 0, "page number of the root page table; times 4096 it is a GPA"),
    ),
    "fcsr": (
        CsrField(
            "FRM",
            7,
            5,
            "rounding mode",
            _ROUNDING,
        ),
        _bit("NV", 4, "invalid operation", "no", "raised"),
        _bit("DZ", 3, "division by zero", "no", "raised"),
        _bit("OF", 2, "overflow", "no", "raised"),
        _bit("UF", 1, "underflow", "no", "raised"),
        _bit("NX", 0, "inexact", "no", "raised"),
    ),
    "hstatus": (
        CsrField("VSXL", 33, 32, "width of registers in VS-mode", _WIDTH),
        _bit("VTSR", 22, "virtual trap SRET", "SRET runs in VS-mode", "SRET leaves the guest"),
        _bit("VTW", 21, "virtual timeout wait", "WFI may wait", "WFI leaves the guest"),
        _bit(
            "VTVM",
            20,
            "virtual trap virtual memory",
            "satp and SFENCE.VMA run in VS-mode",
            "satp and SFENCE.VMA leave the guest",
        ),
        CsrField("VGEIN", 17, 12, "number of the guest's external interrupt line"),
        _bit("HU", 9, "hypervisor loads and stores in U-mode", "no", "yes"),
        _bit("SPVP", 8, "guest's mode before the trap", "VU-mode", "VS-mode"),
        _bit("SPV", 7, "virtualization before the trap", "host", "guest"),
        _bit("GVA", 6, "stval holds a guest virtual address", "no", "yes"),
        _bit("VSBE", 5, "byte order of VS-mode's memory accesses", "little-endian", "big-endian"),
    ),
    "hedeleg": tuple(
        _bit(f"{at}", at, what, "the hypervisor", "the guest") for at, what in _DELEGATED
    ),
    "hideleg": _interrupts(
        "I", _VS_SHORT, _VS_INTERRUPTS, "{} interrupts go to", "the hypervisor", "the guest"
    ),
    "hvip": _interrupts(
        "IP", _VS_SHORT, _VS_INTERRUPTS, "{} interrupt raised by the hypervisor", "no", "pending"
    ),
    "hie": (
        _bit("SGEIE", 12, "guest external interrupt enable", "disabled", "enabled"),
        *_interrupts("IE", _VS_SHORT, _VS_INTERRUPTS, "{} interrupt enable", "disabled", "enabled"),
    ),
    "hcounteren": _COUNTERS,
    "henvcfg": _ENVIRONMENT,
    "htimedelta": (CsrField("DELTA", 63, 0, "what the guest's time is ahead of the host's, in ticks"),),
    "htval": (CsrField("GPA", 63, 0, "address of the last guest-page fault, shifted right by 2"),),
    "htinst": (CsrField("INST", 63, 0, "the trapped instruction, transformed; 0 where there is none"),),
    "hgatp": (
        CsrField("MODE", 63, 60, "translation of GPA to HPA", _STAGE_2),
        CsrField("VMID", 57, 44, "virtual-machine identifier: a tag of TLB entries"),
        CsrField("PPN", 43, 0, "page number of the root table (16 KiB); times 4096 it is an HPA"),
    ),
}  # fmt: skip


def decode_csr(name: str, value: int) -> list[DecodedField]:
    """Return the fields of a register with their values, highest bits first; none for one without fields.

    Args:
        name: As in the specification; "sstatus" is also what vsstatus looks like.
        value: The register, 64 bits.
    """
    return [DecodedField(one, one.of(value), _meaning(name, one, value)) for one in CSR_FIELDS.get(name, ())]


def _meaning(name: str, one: CsrField, value: int) -> str:
    part = one.of(value)
    if name == "scause" and one.name == "Code":
        return describe(part | value & INTERRUPT_BIT).name if value else "no trap yet"
    if one.name == "PPN":
        return f"HPA {part << 12:#x}" if name == "hgatp" else f"GPA {part << 12:#x}"
    if name == "stvec" and one.name == "BASE":
        return f"GVA {part << 2:#x}"
    if name == "htval":
        return f"GPA {part << 2:#x}"
    return one.values.get(part, "reserved value" if one.values else "")
