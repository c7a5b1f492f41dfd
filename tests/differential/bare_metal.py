"""A bare-metal program that runs trials, and the two machines that run it: QEMU's and ours.

RAM is one image. A monitor in M-mode goes through a list of trials. For each it writes registers and a word
of memory, puts two instructions before an `ecall`, enters some mode and waits for the trap that ends in
M-mode; then it notes what the trap registers of every level hold, and a hash of the page tables and data.
Traps that are delegated go to a page full of `ecall`, so that every trial comes back.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from emulator.isa.assembler import assemble
from emulator.isa.extensions import DEFAULT_ISA, Isa
from emulator.machine.host import Host
from emulator.state import EXIT_BUDGET, EXIT_MMIO, MMIO_ANSWERED, MMIO_REFUSED, PAGE_BYTES, PRIV_M, RAM_BASE

RAM_BYTES = 32 << 20  # QEMU puts its device tree at +16 MiB
PROBE, STUB, PROBE_USER = RAM_BASE + 0x8000, RAM_BASE + 0x9000, RAM_BASE + 0xA000
# Page tables, then data from a boundary of 2 MiB on: what is hashed.
DATA, DATA_PAGES, TABLE_PAGES = RAM_BASE + 0x20_0000, 12, 84
POOL = DATA - TABLE_PAGES * PAGE_BYTES
POOL_PAGES = TABLE_PAGES + DATA_PAGES
TRIALS, RESULTS = RAM_BASE + 0x40_0000, RAM_BASE + 0x80_0000
FINISHER, MTIMECMP = 0x10_0000, 0x0200_4000
NOP, ECALL = 0x13, 0x73

# What a trial sets, in the order of its record. `by_sret` 1 enters by sret, 0 jumps to PROBE in M-mode.
_SET_BEFORE = ["by_sret", "first", "second", "mstatus", "a0", "a1", "poke_address", "poke_value"]
_SET_AS_CSR = [
    "hstatus", "satp", "vsatp", "hgatp", "medeleg", "hedeleg", "mideleg", "hideleg", "mie", "mip", "hvip",
    "vsstatus", "mepc", "sepc", "vsepc", "stvec", "vstvec", "mcounteren", "hcounteren", "scounteren",
    "menvcfg", "henvcfg",
]  # fmt: skip
SETS = _SET_BEFORE + _SET_AS_CSR
# What is noted.
_NOTED_CSRS = [
    "mcause", "mepc", "mtval", "mtval2", "mtinst", "mstatus", "scause", "sepc", "stval", "htval", "htinst",
    "hstatus", "vscause", "vsepc", "vstval", "vsstatus", "mip",
]  # fmt: skip
NOTES = [*_NOTED_CSRS, "a0", "hash"]
_CLEARED = ["scause", "stval", "htval", "htinst", "vscause", "vstval", "mtval", "mtval2", "mtinst", "mcause"]


@dataclass
class Trial:
    """What one trial sets; what is left out is 0. `label` says what it is about, `ignore` bits of notes."""

    label: str
    sets: dict[str, int] = field(default_factory=dict[str, int])
    ignore: dict[str, int] = field(default_factory=dict[str, int])

    def record(self) -> bytes:
        """Return the trial as the monitor reads it."""
        values = {"second": NOP, "stvec": STUB, "vstvec": STUB, "poke_address": RESULTS - 8} | self.sets
        assert values.keys() <= set(SETS), values.keys() - set(SETS)
        return struct.pack(f"<{len(SETS)}Q", *(values.get(name, 0) for name in SETS))


@cache
def monitor() -> bytes:
    """Return the monitor's code, to stand at RAM_BASE."""

    def place(name: str) -> str:
        return f"{8 * SETS.index(name)}(s0)"

    # QEMU's reset vector leaves values in some registers.
    lines = [f"li x{number}, 0" for number in range(1, 32)]
    lines += [
        "la t0, skip", "csrw mtvec, t0",
        # PMP, where there is one: everything is allowed.
        "li t1, -1", "csrw pmpaddr0, t1", "li t1, 31", "csrw pmpcfg0, t1", ".balign 4", "skip:",
        f"li t0, {MTIMECMP}", "li t1, -1", "sd t1, 0(t0)",
        "la t0, trapped", "csrw mtvec, t0", f"li s0, {TRIALS}", f"li s1, {RESULTS}",
        "next:", f"ld t0, {place('first')}", "beqz t0, done",
    ]  # fmt: skip
    for page in (PROBE, PROBE_USER):
        lines += [f"li t1, {page}", "sw t0, 0(t1)", f"ld t2, {place('second')}", "sw t2, 4(t1)"]
    lines += ["fence.i", f"ld t1, {place('poke_address')}", f"ld t2, {place('poke_value')}", "sd t2, 0(t1)"]
    lines += [f"csrw {name}, zero" for name in _CLEARED]
    for name in _SET_AS_CSR:
        lines += [f"ld t0, {place(name)}", f"csrw {name}, t0"]
    lines += ["sfence.vma", "hfence.vvma", "hfence.gvma", "la t0, saved", "sd s0, 0(t0)", "sd s1, 8(t0)"]
    lines += [
        f"ld a0, {place('a0')}",
        f"ld a1, {place('a1')}",
        f"ld t2, {place('by_sret')}",
        f"ld t0, {place('mstatus')}",
    ]
    lines += [f"li t1, {PROBE}", "csrw mstatus, t0", "bnez t2, enter", "jr t1", "enter: sret"]
    lines += [".balign 4", "trapped:", "la t0, saved", "ld s0, 0(t0)", "ld s1, 8(t0)"]
    for name in _NOTED_CSRS:
        lines += [f"csrr t1, {name}", f"sd t1, {8 * NOTES.index(name)}(s1)"]
    lines += [f"sd a0, {8 * NOTES.index('a0')}(s1)", "csrw mie, zero", "csrw mip, zero", "csrw mstatus, zero"]
    lines += [
        f"li t0, {POOL}",
        f"li t1, {POOL + POOL_PAGES * PAGE_BYTES}",
        "li t2, 0",
        "li t4, 0x9E3779B97F4A7C15",
    ]
    lines += ["again: ld t3, 0(t0)", "add t2, t2, t3", "mul t2, t2, t4", "srli t3, t2, 29", "xor t2, t2, t3"]
    lines += ["addi t0, t0, 8", "bltu t0, t1, again", f"sd t2, {8 * NOTES.index('hash')}(s1)"]
    lines += [f"addi s0, s0, {8 * len(SETS)}", f"addi s1, s1, {8 * len(NOTES)}", "j next"]
    lines += [
        "done:",
        f"li t0, {FINISHER}",
        "li t1, 0x5555",
        "sw t1, 0(t0)",
        "1: j 1b",
        ".balign 8",
        "saved: .dword 0, 0",
    ]
    segments = assemble(".section .text\n" + "\n".join(lines)).segments
    assert len(segments) == 1
    assert len(segments[0].data) < PROBE - RAM_BASE
    return segments[0].data


def image(memory: Mapping[int, bytes], trials: Sequence[Trial]) -> dict[int, bytes]:
    """Return all that RAM holds at the start, by address."""
    records = b"".join(trial.record() for trial in trials)
    assert TRIALS + len(records) < RESULTS
    stub = ECALL.to_bytes(4, "little") * (PAGE_BYTES // 4)
    return {**memory, RAM_BASE: monitor(), PROBE: stub, STUB: stub, PROBE_USER: stub, TRIALS: records}


Notes = dict[str, int]


def _notes(data: bytes, count: int) -> list[Notes]:
    size = 8 * len(NOTES)
    rows = (struct.unpack_from(f"<{len(NOTES)}Q", data, size * number) for number in range(count))
    return [dict(zip(NOTES, row, strict=True)) for row in rows]


def run_qemu(
    command: str, directory: Path, memory: Mapping[int, bytes], trials: Sequence[Trial]
) -> list[Notes]:
    """Run the trials on QEMU's virt machine."""
    ram = run_qemu_image(command, directory, image(memory, trials))
    return _notes(ram[RESULTS - RAM_BASE :], len(trials))


def run_qemu_image(command: str, directory: Path, content: Mapping[int, bytes], extra: str = "") -> bytes:
    """Run what lies at the start of RAM on QEMU's virt machine, whose RAM is a file; return all of RAM.

    `extra` is more for `-cpu`.
    """
    ram = directory / "ram"
    with ram.open("wb") as file:
        file.truncate(RAM_BYTES)
        for address, data in content.items():
            file.seek(address - RAM_BASE)
            file.write(data)
    arguments = ["-nographic", "-bios", "none", "-m", f"{RAM_BYTES >> 20}M", "-net", "none"]
    arguments += ["-cpu", f"rv64,h=true{extra}", "-monitor", "none", "-serial", "none"]
    arguments += ["-object", f"memory-backend-file,id=ram,size={RAM_BYTES},mem-path={ram},share=on"]
    arguments += ["-machine", "virt,memory-backend=ram"]
    done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return ram.read_bytes()


def run_ours(engine: Any, memory: Mapping[int, bytes], trials: Sequence[Trial]) -> list[Notes]:
    """Run the trials on our machine."""
    host = run_our_image(engine, image(memory, trials))
    return _notes(host.read(RESULTS, 8 * len(NOTES) * len(trials)), len(trials))


def run_our_image(
    engine: Any, content: Mapping[int, bytes], pmp_entries: int = 0, isa: Isa = DEFAULT_ISA
) -> Host:
    """Run what lies at the start of RAM on our machine, until it writes to the finisher; return its host.

    Outside RAM there are only the finisher and the timer's comparator.
    """
    host = Host(1, RAM_BYTES, 100_000_000, engine, isa)
    for address, data in content.items():
        host.write(address, data)
    hart: Any = host.harts[0]
    hart.priv, hart.pc, hart.pmp_entries = PRIV_M, RAM_BASE, pmp_entries
    while True:
        reason = host.run(0, 1 << 40)
        assert reason in (EXIT_MMIO, EXIT_BUDGET), reason
        if hart.mmio_address == FINISHER and hart.mmio_write:
            return host
        known = hart.mmio_address == MTIMECMP
        hart.mmio_state = MMIO_ANSWERED if known else MMIO_REFUSED
