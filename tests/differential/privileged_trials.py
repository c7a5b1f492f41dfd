"""Random trials of CSRs, system instructions, delegation and interrupts for `bare_metal`."""

from __future__ import annotations

import random

from emulator.core.csr_bits import (
    HSTATUS_WRITABLE,
    MIE,
    MPP,
    MPP_LOW,
    MPRV,
    MPV,
    SIE,
    SPP,
    SPV,
    SSTATUS_WRITABLE,
)
from emulator.isa.csrs import CSR_NUMBERS
from emulator.isa.encodings import BY_NAME, encode
from tests.differential.bare_metal import PROBE, STUB, Trial
from tests.differential.comparison import VECTOR_STATE
from tests.differential.operands import value

A0, A1 = 10, 11
S, U, VS, VU, M = "S", "U", "VS", "VU", "M"
MODES = (S, U, VS, VU)
STATUS = {name: 1 << bit for name, bit in {"SUM": 18, "MXR": 19, "TVM": 20, "TW": 21, "TSR": 22}.items()}
HSTATUS = {name: 1 << bit for name, bit in {"SPVP": 8, "HU": 9, "VTVM": 20, "VTW": 21, "VTSR": 22}.items()}

# Registers that exist both here and in QEMU's hart. Left out, because QEMU 7.2 is wrong: htinst, which it
# does not write; vsie, which it writes without the shift by one; vsip, which it reads as 0 whatever hvip
# says.
COUNTERS = ("cycle", "time", "instret")
MACHINE = [
    "mstatus", "misa", "medeleg", "mideleg", "mie", "mcounteren", "mepc", "mcause", "mtval", "mip", "mtval2",
    "mtinst", "mscratch", "mhartid",
]  # fmt: skip
SUPERVISOR = [
    "sstatus", "sie", "stvec", "scounteren", "sepc", "scause", "stval", "sip", "satp", "sscratch",
]  # fmt: skip
HYPERVISOR = [
    "hstatus", "hedeleg", "hideleg", "hie", "hcounteren", "htval", "hip", "hvip", "hgatp", "htimedelta",
    "hgeie", "hgeip", "vsstatus", "vstvec", "vsepc", "vscause", "vstval", "vsatp", "vsscratch",
]  # fmt: skip
# Neither has these; 0x5c0 and 0x9c0 are custom numbers.
ABSENT = [0x007, 0x1FF, 0x2FF, 0x5C0, 0x6FF, 0x9C0, 0xDC0]
# Bits of the value read that belong to extensions that we lack, or are read-only choices.
IGNORED: dict[str, dict[str, int]] = {
    "mstatus": {"a0": VECTOR_STATE},
    "sstatus": {"a0": VECTOR_STATE},
    "vsstatus": {"a0": VECTOR_STATE},
    "misa": {"a0": -1},
    "medeleg": {"a0": 1 << 11},  # "ecall from M-mode ... read-only zero" is a choice (3.1.8)
}
LCOFI = 1 << 13  # Sscofpmf, which QEMU 7.2 has


def chosen(chance: random.Random, bits: dict[str, int], odds: float = 0.25) -> int:
    """Return some of the bits."""
    return sum(bit for bit in bits.values() if chance.random() < odds)


def into(mode: str, pc: int = PROBE) -> dict[str, int]:
    """Return what makes the monitor enter a mode at `pc`; M-mode begins at PROBE whatever `pc` says."""
    if mode == M:
        return {"mepc": STUB, "sepc": STUB}
    return {
        "by_sret": 1,
        "sepc": pc,
        "mstatus": SPP if mode in (S, VS) else 0,
        "hstatus": SPV if mode in (VS, VU) else 0,
    }


def with_bits(sets: dict[str, int], **bits: int) -> dict[str, int]:
    """Return `sets` with more bits in some of its registers."""
    return sets | {name: sets.get(name, 0) | extra for name, extra in bits.items()}


def word(name: str, **operands: int) -> int:
    """Encode an instruction."""
    return encode(BY_NAME[name], operands)


def read(csr: int) -> int:
    return word("csrrs", rd=A0, csr=csr)


def write(csr: int) -> int:
    return word("csrrw", rd=0, rs1=A1, csr=csr)


def csr_write_trials(chance: random.Random, rounds: int) -> list[Trial]:
    """Write registers in M-mode, read them back."""
    trials: list[Trial] = []
    for name in MACHINE + SUPERVISOR + HYPERVISOR:
        for _ in range(rounds):
            sets = into(M) | {
                "first": write(CSR_NUMBERS[name]),
                "second": read(CSR_NUMBERS[name]),
                "a1": written_value(chance, name),
                # What sie and the like show depends on the delegation.
                "mideleg": value(chance),
                "hideleg": value(chance),
                "hvip": value(chance),
                "mie": value(chance) & ~0xFFFF,
            }
            if name == "mip":
                sets["hvip"] = 0
            trials.append(Trial(f"write and read {name}", sets, IGNORED.get(name, {})))
    return trials


def written_value(chance: random.Random, name: str) -> int:
    """Return what to write: nothing that the two keep differently by choice, or QEMU wrongly."""
    kept = value(chance)
    if name in ("satp", "vsatp", "hgatp"):
        # QEMU 7.2 keeps any mode, VMID and PPN in vsatp and hgatp; a G-stage root is 16 KiB aligned
        # (18.2.10).
        return chance.choice((0, 8, 9, 10)) << 60 | kept & 0xFFF_FFFF_FFFC
    if name.endswith("tvec"):
        return kept & ~2
    if name.endswith("epc"):
        return kept & ~1  # "The low bit of mepc is always zero" (3.1.14); QEMU 7.2 keeps it
    if name.endswith("counteren"):
        return kept & 0xFFFF_FFFF
    if name == "mip":
        return kept & ~(LCOFI | 0x440)  # VSTIP and VSEIP are read-only here (18.4.3); QEMU 7.2 writes them
    if name in ("mideleg", "mie", "sie", "sip", "hie", "hip"):
        return kept & ~LCOFI
    if name == "hstatus":
        return kept & HSTATUS_WRITABLE  # QEMU 7.2 keeps all 64 bits
    if name == "vsstatus":
        return kept & SSTATUS_WRITABLE  # likewise
    if name == "sstatus":
        return fixed_lengths(kept)
    if name == "mstatus":
        # MPRV would catch the monitor's own stores, MIE the real timer; what MPP 2 becomes is a choice.
        kept &= ~(MPRV | MIE | MPP | MPV)
        return fixed_lengths(kept) | chance.choice((0, 1, 3)) << MPP_LOW
    return kept


def fixed_lengths(status: int) -> int:
    """SXL and UXL say 64 bits: QEMU 7.2 lets them be changed, we do not."""
    return status & ~(0xF << 32) | 0xA << 32


def csr_access_trials(chance: random.Random, rounds: int) -> list[Trial]:
    """Touch every register from every mode under random permissions; also registers that do not exist."""
    trials: list[Trial] = []
    names = [*MACHINE, *SUPERVISOR, *HYPERVISOR, *COUNTERS]
    numbers = [(name, CSR_NUMBERS[name]) for name in names] + [(hex(number), number) for number in ABSENT]
    for name, number in numbers:
        # QEMU 7.2 calls a supervisor register in VU-mode an illegal instruction, not a virtual one (18.6.1).
        for mode in [mode for mode in MODES if mode != VU or name not in SUPERVISOR]:
            for _ in range(rounds):
                # A new satp would let the next fetch fail.
                writes = name not in COUNTERS and name != "satp" and chance.random() < 0.4
                # A counter's value is its own: only whether it may be read is compared.
                first = word("csrrs", rd=0, csr=number) if name in COUNTERS else read(number)
                first = word("csrrw", rd=A0, rs1=A1, csr=number) if writes else first
                sets = into(mode) | {"first": first, "a1": written_value(chance, name)}
                sets = with_bits(sets, mstatus=chosen(chance, STATUS), hstatus=chosen(chance, HSTATUS))
                if (name == "satp" and mode == VS) or name == "hgatp":
                    # QEMU 7.2 lets TVM, not VTVM, forbid satp in VS-mode, and nothing hgatp (18.2.10).
                    sets["mstatus"] &= ~STATUS["TVM"]
                    sets["hstatus"] = sets.get("hstatus", 0) & ~HSTATUS["VTVM"]
                if name == "sip" and mode == VS:
                    sets["hvip"] = 0  # as vsip above
                sets |= {f"{level}counteren": chance.choice((0, 7, chance.randrange(8))) for level in "mhs"}
                sets |= {"medeleg": value(chance) & 0xFF_B1FF & ~(7 << 8), "hedeleg": value(chance)}
                sets |= {
                    "mideleg": value(chance),
                    "hideleg": value(chance),
                    "hvip": sets.get("hvip", value(chance)),
                }
                label = f"{'write' if writes else 'read'} {name} in {mode}"
                trials.append(Trial(label, sets, IGNORED.get(name, {})))
    return trials


SYSTEM = [
    word("ecall"), word("ebreak"), word("sret"), word("mret"), word("wfi"), word("sfence.vma"),
    word("sfence.vma", rs1=A0, rs2=A1), word("hfence.vvma"), word("hfence.vvma", rs1=A0), word("hfence.gvma"),
    word("hfence.gvma", rs2=A1), word("hlv.d", rd=A0, rs1=A0), word("hlvx.wu", rd=A0, rs1=A0),
    word("hsv.b", rs1=A0, rs2=A1), word("fence.i"),
    0, 0xFFFF_FFFF, 0x9002, 0x0000_4073, 0x1050_0073 | 1 << 7, 0x6000_0073,
]  # fmt: skip


def system_trials(chance: random.Random, count: int) -> list[Trial]:
    """Execute system instructions, some of them no instructions, in every mode."""
    trials: list[Trial] = []
    for _ in range(count):
        mode = chance.choice((*MODES, M))
        first = chance.choice(SYSTEM)
        sets = into(mode) | {"first": first, "a0": STUB + 8 * chance.randrange(64), "a1": value(chance)}
        sets = with_bits(sets, mstatus=chosen(chance, STATUS), hstatus=chosen(chance, HSTATUS))
        sets |= {"medeleg": value(chance) & 0xF0_B1FF & ~(6 << 8), "hedeleg": value(chance)}
        sets |= {
            "vsstatus": value(chance) & (SPP | SIE | 1 << 5),
            "vsepc": STUB,
            "mepc": STUB,
            "mie": 0x222,
            "mip": 2,
        }
        if mode == M:
            # Where MRET and SRET go from M-mode.
            sets = with_bits(
                sets,
                mstatus=chance.choice((0, 1, 3)) << MPP_LOW
                | chance.choice((0, SPP))
                | chance.getrandbits(1) << 7,
                hstatus=chance.choice((0, SPV)),
            )
        trials.append(Trial(f"system instruction in {mode}", sets))
    return trials


def interrupt_trials(chance: random.Random, count: int) -> list[Trial]:
    """Enter a mode with random interrupts pending, enabled and delegated, and vectors of both kinds."""
    trials: list[Trial] = []
    for _ in range(count):
        mode = chance.choice((*MODES, M))
        sets = into(mode) | {"first": word("addi")}
        for name in ("mip", "hvip", "mideleg", "hideleg"):
            sets[name] = chance.choice((chance.getrandbits(13), 0x1FFF, 1 << chance.randrange(13), 0x444))
        sets["mie"] = one_of_each_level(chance, sets["mideleg"] | 0x1444, sets["hideleg"] & 0x444)
        # The monitor clears mie with interrupts off: MIE is never on in M-mode here, so what goes there
        # waits.
        sets = with_bits(sets, mstatus=chance.choice((0, 1 << 5, SIE, SIE | 1 << 5)))
        sets |= {"vsstatus": chance.choice((0, SIE)), "stvec": STUB | chance.getrandbits(1)}
        sets["vstvec"] = STUB | chance.getrandbits(1)
        trials.append(Trial(f"interrupts in {mode}", sets))
    return trials


def one_of_each_level(chance: random.Random, lower: int, guest: int) -> int:
    """Enable one interrupt for each level: QEMU 7.2 takes them by number, not in the order of 3.1.9."""
    levels = (0x1FFF & ~lower & ~0x80, 0x1FFF & lower & ~guest & ~0x80, guest)
    choices = [[1 << n for n in range(13) if level >> n & 1] or [0] for level in levels]
    return sum(chance.choice(level) for level in choices)
