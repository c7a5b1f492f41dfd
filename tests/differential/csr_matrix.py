"""Every CSR number, read, written, set and cleared in every mode: a program that notes what happens.

Each of the 4 * 4096 accesses is an instruction of its own, with a jump back behind it. The monitor enters a
mode, jumps to the access, and notes the cause of the trap or OK, what the instruction read, and if there was
no trap what the register holds afterwards, read in M-mode. After an access that may have changed something
all registers that matter get back what the setting says.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from emulator.core.csr_bits import FS, HSTATUS_WRITABLE, MPP_LOW, MPV, SSTATUS_WRITABLE, TVM, VTVM
from emulator.isa.assembler import assemble
from emulator.isa.csrs import csr_name
from emulator.isa.encodings import BY_NAME, encode
from emulator.isa.extensions import NAMES, make_isa
from emulator.state import RAM_BASE
from tests.differential.bare_metal import FINISHER, MTIMECMP, run_our_image, run_qemu_image

OPERATIONS = ("read", "write", "set", "clear")
MODES = ("M", "S", "U", "VS", "VU")
CSRS = 4096
ACCESSES = len(OPERATIONS) * CSRS
OK = (1 << 64) - 1
ILLEGAL, VIRTUAL = 2, 22
RECORD_BYTES = 24
VALUES, READ_BACK, PATTERNS = RAM_BASE + 0x8000, RAM_BASE + 0x1_0000, RAM_BASE + 0x4_0000
BLOCKS, RESULTS = RAM_BASE + 0x10_0000, RAM_BASE + 0x40_0000
A0, A1, T6 = 10, 11, 31
# What VS-mode calls by a supervisor register's number lies a page of numbers further on.
SUPERVISOR = (0x100, 0x104, 0x105, 0x140, 0x141, 0x142, 0x143, 0x144, 0x14D, 0x180)
# Given back their values in this order; floating point must be on for fcsr.
RESTORED = (
    "mstatus", "fcsr", "medeleg", "mideleg", "mie", "mip", "mcounteren", "mcountinhibit", "menvcfg",
    "mscratch", "mepc", "mcause", "mtval", "mtval2", "mtinst", "stvec", "scounteren", "senvcfg",
    "sscratch", "sepc", "scause", "stval", "satp", "stimecmp", "hstatus", "hedeleg", "hideleg", "hvip",
    "hie", "hcounteren", "hgeie", "htval", "htinst", "hgatp", "henvcfg", "htimedelta", "vsstatus",
    "vstvec", "vsscratch", "vsepc", "vscause", "vstval", "vsatp", "vstimecmp",
    *(f"pmpaddr{n}" for n in range(16)), "pmpcfg0", "pmpcfg2",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What the enabling registers hold; `mstatus` and `hstatus` are what modes are entered with."""

    label: str
    mstatus: int
    hstatus: int
    values: dict[str, int]

    def restored(self) -> list[int]:
        """Return a value for each register of RESTORED."""
        values = {"mstatus": FS, "stimecmp": OK, "vstimecmp": OK, "pmpaddr0": (1 << 54) - 1, "pmpcfg0": 0x1F}
        values |= {"hstatus": self.hstatus, **self.values}
        return [values.get(name, 0) for name in RESTORED]


def _open(letters: str, value: int) -> dict[str, int]:
    return {f"{letter}counteren": value for letter in letters}


STCE = 1 << 63
# What is not written, where the two may keep different things: "WARL" fields of which each legal value would
# do (tvec's mode, counter enables beyond 31, medeleg of an ecall from M-mode, counters and events that do not
# count), and where QEMU 7.2 is wrong: it keeps bit 0 of epc (3.1.14), reserved bits of hstatus and vsstatus
# (18.2.1, 18.2.11), any mode of vsatp and hgatp (18.2.10), bits 54 and up of pmpaddr (3.7.1), and writes
# VSTIP and VSEIP through mip (18.4.3). LCOFI belongs to Sscofpmf.
PATTERN = {
    "mtvec": OK ^ 2, "stvec": OK ^ 2, "vstvec": OK ^ 2, "mepc": OK ^ 1, "sepc": OK ^ 1, "vsepc": OK ^ 1,
    "mcounteren": 0xFFFF_FFFF, "hcounteren": 0xFFFF_FFFF, "scounteren": 0xFFFF_FFFF, "mcountinhibit": 0,
    "medeleg": OK ^ 1 << 11, "mideleg": 0x1FFF, "mie": 0x1FFF, "mip": 0x1BBF, "hstatus": HSTATUS_WRITABLE,
    "vsstatus": SSTATUS_WRITABLE, "vsatp": 8 << 60 | (1 << 60) - 1, "hgatp": 8 << 60 | (1 << 58) - 4,
}  # fmt: skip
# What QEMU 7.2 has not.
ABSENT = {"smstateen", "ssstateen", "svadu"}
SETTINGS = (
    Setting(
        "all open",
        FS,
        0,
        _open("mhs", 0xFFFF_FFFF) | {"menvcfg": STCE, "henvcfg": STCE}
        | {"mideleg": 0x222, "hideleg": 0x444},
    ),
    Setting("all closed", TVM, VTVM, {}),
    Setting(
        "M opens, H and S do not",
        FS,
        0,
        _open("m", 0xFFFF_FFFF) | {"menvcfg": STCE, "hideleg": 0x444},
    ),
    Setting(
        "M and H open, S does not",
        FS,
        VTVM,
        _open("mh", 0xFFFF_FFFF) | {"menvcfg": STCE, "henvcfg": STCE, "mideleg": 0x222},
    ),
    Setting("M and S open, H does not", FS, 0, _open("ms", 0xFFFF_FFFF)),
    Setting("H and S open, M does not", FS, 0, _open("hs", 0xFFFF_FFFF) | {"henvcfg": STCE}),
)  # fmt: skip


@dataclass(frozen=True)
class Note:
    """What an access did: OK or a cause; the old value; what the register held then."""

    cause: int
    read: int
    after: int


def entry_status(setting: Setting, mode: str) -> int:
    """Return mstatus for an MRET into a mode."""
    level = {"M": 3, "S": 1, "U": 0, "VS": 1, "VU": 0}[mode]
    return setting.mstatus | level << MPP_LOW | (MPV if mode in ("VS", "VU") else 0)


def pattern(number: int) -> int:
    """Return what is written, set and cleared: all ones but where that would end the test or be a choice."""
    name = csr_name(number)
    if name.startswith("pmpcfg"):
        return 0x1F1F_1F1F_1F1F_1F1F  # not locked
    if name.startswith("mhpm"):
        return 0
    return PATTERN.get(name, (1 << 54) - 1 if name.startswith("pmpaddr") else OK)


@cache
def _blocks() -> bytes:
    back = encode(BY_NAME["jalr"], {"rd": 0, "rs1": T6, "imm": 0})
    rows = [BY_NAME["csrrs"], BY_NAME["csrrw"], BY_NAME["csrrs"], BY_NAME["csrrc"]]
    words: list[int] = []
    for operation, row in zip(OPERATIONS, rows, strict=True):
        source = 0 if operation == "read" else A1
        for number in range(CSRS):
            words += [encode(row, {"rd": A0, "rs1": source, "csr": number}), back]
    return struct.pack(f"<{len(words)}I", *words)


def _read_back() -> bytes:
    """Return where each register is read in M-mode: two tables, the second for VS- and VU-mode."""
    plain = [BLOCKS + 8 * number for number in range(CSRS)]
    guest = [BLOCKS + 8 * (number + 0x100 if number in SUPERVISOR else number) for number in range(CSRS)]
    return struct.pack(f"<{2 * CSRS}Q", *plain, *guest)


@cache
def monitor() -> bytes:
    """Return the monitor's code, to stand at RAM_BASE."""
    first_mode = 8 * len(RESTORED)
    lines = [f"li x{number}, 0" for number in range(1, 32)]
    lines += [
        f"li t0, {MTIMECMP}", "li t1, -1", "sd t1, 0(t0)",
        "csrw pmpaddr0, t1", "li t1, 31", "csrw pmpcfg0, t1", f"li s1, {RESULTS}", "j begin",
        # What an access comes back to: in M-mode, and in the others.
        ".balign 4", "back: li t0, -1", "j note", ".balign 4", "away: ecall",
        ".balign 4", "trapped: csrr t0, mcause", "csrr t1, mepc", "la t2, away", "bne t1, t2, note",
        "li t0, -1",
        "note: sd t0, 0(s1)", "sd a0, 8(s1)", "sd zero, 16(s1)", "bgez t0, next",
        "slli t1, s0, 52", "srli t1, t1, 49", f"li t2, {READ_BACK}", "add t1, t1, t2",
        "li t2, 3", "blt s2, t2, 1f", f"li t2, {8 * CSRS}", "add t1, t1, t2", "1: ld t1, 0(t1)",
        "la t6, after", "jr t1", "after: sd a0, 16(s1)", "srli t0, s0, 12", "beqz t0, next",
        "begin: la t0, trapped", "csrw mtvec, t0", f"li s3, {VALUES}",
    ]  # fmt: skip
    for number, name in enumerate(RESTORED):
        lines += [f"ld t0, {8 * number}(s3)", f"csrw {name}, t0"]
    lines += [
        "beqz s4, first",
        "next:", f"addi s1, s1, {RECORD_BYTES}", "addi s0, s0, 1", f"li t0, {ACCESSES}", "bne s0, t0, access",
        "li s0, 0", "addi s2, s2, 1", "li t0, 5", "beq s2, t0, done", "first: li s4, 1",
        "access: slli t0, s0, 3", f"li t1, {BLOCKS}", "add t0, t0, t1", "csrw mepc, t0",
        "slli t0, s2, 3", "add t0, t0, s3", f"ld t0, {first_mode}(t0)", "csrw mstatus, t0",
        "slli t0, s0, 52", "srli t0, t0, 49", f"li t1, {PATTERNS}", "add t0, t0, t1", "ld a1, 0(t0)",
        "la t6, away", "bnez s2, 3f", "la t6, back", "3: li a0, 0", "mret",
        "done:", f"li t0, {FINISHER}", "li t1, 0x5555", "sw t1, 0(t0)", "4: j 4b",
    ]  # fmt: skip
    segments = assemble(".section .text\n" + "\n".join(lines)).segments
    assert len(segments) == 1
    assert len(segments[0].data) < VALUES - RAM_BASE
    return segments[0].data


def _content(setting: Setting) -> dict[int, bytes]:
    values = [*setting.restored(), *(entry_status(setting, mode) for mode in MODES)]
    return {
        RAM_BASE: monitor(),
        VALUES: struct.pack(f"<{len(values)}Q", *values),
        READ_BACK: _read_back(),
        PATTERNS: struct.pack(f"<{CSRS}Q", *(pattern(number) for number in range(CSRS))),
        BLOCKS: _blocks(),
    }


Matrix = dict[tuple[str, str, int], Note]


def _matrix(data: bytes) -> Matrix:
    keys = ((mode, operation, number) for mode in MODES for operation in OPERATIONS for number in range(CSRS))
    return {key: Note(*note) for key, note in zip(keys, struct.iter_unpack("<3Q", data), strict=True)}


def _size() -> int:
    return len(MODES) * ACCESSES * RECORD_BYTES


def our_matrix(engine: Any, setting: Setting) -> Matrix:
    """Run it here."""
    host = run_our_image(engine, _content(setting), pmp_entries=16, isa=make_isa(set(NAMES) - ABSENT))
    return _matrix(host.read(RESULTS, _size()))


def qemu_matrix(command: str, directory: Path, setting: Setting) -> Matrix:
    """Run it on QEMU."""
    ram = run_qemu_image(command, directory, _content(setting), ",svpbmt=true,svnapot=true,pmu-num=29")
    return _matrix(ram[RESULTS - RAM_BASE :][: _size()])
