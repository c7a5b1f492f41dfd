"""A small corpus that reaches most of the core; `python -m tests.build.corpus` prints digests of its states.

The compiled kernels and the same kernels as plain Python must print the same.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from typing import Any

from emulator.build.engine import load_engine
from emulator.core.csr_bits import ENVCFG_STCE, FS, MPP, VS_INTERRUPTS
from emulator.isa.encodings import COMPRESSED, TABLE, encode
from emulator.isa.instruction import Instruction
from emulator.machine.host import Host
from emulator.state import (
    EXIT_MMIO,
    MMIO_ANSWERED,
    MMIO_REFUSED,
    NO_ADDRESS,
    PRIV_M,
    PRIV_S,
    PRIV_U,
    RAM_BASE,
)
from tests.core.machine import CODE, DATA, Machine
from tests.core.tables import LEAF, Tables
from tests.differential import translation_trials
from tests.differential.bare_metal import DATA as DATA_START
from tests.differential.bare_metal import NOP, PROBE, PROBE_USER, STUB, Trial
from tests.differential.floats import SPECIAL_D, SPECIAL_S
from tests.differential.operands import random_operands, value
from tests.differential.privileged_trials import MODES
from tests.differential.programs import DATA_BYTES, program

PIECES = ("programs", "translation", "interrupts", "devices", "privileges", "floats")
# Integer registers of floating-point instructions: results, and values or addresses.
ROLES = {"rd": (24, 32), "rs1": (8, 16)}
MODE_STATE = {"M": (PRIV_M, 0), "S": (PRIV_S, 0), "U": (PRIV_U, 0), "VS": (PRIV_S, 1), "VU": (PRIV_U, 1)}


def digest(host: Host, *more: object) -> str:
    """Return a hash of the architectural state and of what else was seen."""
    found = hashlib.blake2b(repr(more).encode(), digest_size=12)
    for part in host.state_parts():
        found.update(part)
    return found.hexdigest()


def programs(engine: Any) -> Iterator[str]:
    """Random programs in M-mode, in pieces of seven steps."""
    for seed in range(12):
        chance = random.Random(seed)
        machine = Machine(engine)
        machine.host.write(CODE, program(chance, 30))
        machine.host.write(DATA, chance.randbytes(DATA_BYTES))
        hart = machine.hart
        for number in range(1, 32):
            hart.x[number] = value(chance)
        hart.x[2] = hart.x[3] = DATA + DATA_BYTES // 2
        reasons = [machine.run(7) for _ in range(12)]
        yield digest(machine.host, reasons)


def enter_trial(hart: Any, trial: Trial) -> None:
    """Set what a trial sets, without the monitor."""
    hart.priv, hart.virt = MODE_STATE[trial.label.split()[-1]]
    for name, setting in trial.sets.items():
        if name == "a0":
            hart.x[10] = setting
        elif name == "a1":
            hart.x[11] = setting
        elif name not in ("by_sret", "first", "second", "poke_address", "poke_value"):
            setattr(hart, name, setting)
    hart.mtvec = hart.stvec = hart.vstvec = STUB
    hart.pc = trial.sets.get("sepc", PROBE)


def translation(engine: Any) -> Iterator[str]:
    """Random accesses through random page tables."""
    chance = random.Random(1)
    for _ in range(3):
        world = translation_trials.build(chance)
        host = Host(1, 4 << 20, 100_000_000, engine)
        for address, word in world.memory.words.items():
            # Not all of the data: un-jitted, a byte written costs as much as an instruction.
            if address < DATA_START or address % 256 == 0:
                host.write(address, word.to_bytes(8, "little"))
        host.write(STUB, (0x73).to_bytes(4, "little") * 64)
        hart = host.harts[0]
        for trial in translation_trials.trials(chance, world, 40):
            enter_trial(hart, trial)
            for page in (PROBE, PROBE_USER):
                host.write(page, trial.sets["first"].to_bytes(4, "little") + NOP.to_bytes(4, "little"))
            reason = host.run(0, 3)
            if reason == EXIT_MMIO:
                hart.mmio_state = MMIO_REFUSED
                reason = host.run(0, 3)
            yield digest(host, reason)


def interrupts(engine: Any) -> Iterator[str]:
    """Interrupts and timers in every mode, and WFI."""
    chance = random.Random(2)
    for _ in range(40):
        machine = Machine(engine)
        machine.code("nop\n wfi\n csrr a0, time\n csrr a1, instret\n 1: j 1b")
        hart = machine.hart
        hart.priv, hart.virt = MODE_STATE[chance.choice((*MODES, "M"))]
        hart.menvcfg = hart.henvcfg = chance.choice((0, ENVCFG_STCE))
        hart.mip, hart.mie, hart.mideleg = (chance.getrandbits(13) for _ in range(3))
        hart.hideleg, hart.hvip = (chance.getrandbits(13) & VS_INTERRUPTS for _ in range(2))
        hart.mstatus, hart.vsstatus = chance.getrandbits(4) & 10, chance.getrandbits(4) & 10
        hart.stimecmp, hart.vstimecmp = chance.randrange(6), chance.randrange(6)
        hart.mcounteren = hart.hcounteren = hart.scounteren = 7
        yield digest(machine.host, machine.run(9), machine.run(40))


def devices(engine: Any) -> Iterator[str]:
    """Accesses to devices, answered and refused; misaligned ones; code that changes itself."""
    lines = ["lw a1, (a0)", "sd a1, (a0)", "lh a1, 1(a0)", "sh a1, 1(a0)"]
    for line in [*lines, "amoadd.w a1, a1, (a0)", "lr.d a1, (a0)"]:
        for answer in (MMIO_ANSWERED, MMIO_REFUSED):
            machine = Machine(engine)
            machine.code(f"{line}\n {line}\n 1: j 1b")
            machine.hart.x[10] = 0x1000_0000
            reasons = [machine.run(4)]
            if reasons[0] == EXIT_MMIO:
                machine.hart.mmio_value, machine.hart.mmio_state = 0xFFFF_FFFF_8000_0001, answer
            yield digest(machine.host, reasons, machine.run(4))
    machine = Machine(engine)
    machine.code("1: lw t0, 20(a0)\n addi t0, t0, 1\n sw t0, 16(a0)\n fence.i\n nop\n j 1b")
    machine.hart.x[10] = CODE
    yield digest(machine.host, machine.run(40))


def privileges(engine: Any) -> Iterator[str]:
    """CSR accesses, fences, returns and hypervisor instructions in every mode."""
    lines = (
        "csrrw a0, sstatus, a1", "csrrs a0, mstatus, a1", "csrrw a0, hgatp, a1", "csrrc a0, sie, a1",
        "csrr a0, cycle", "csrrwi a0, vsatp, 3", "csrrw a0, hvip, a1", "csrrw a0, stvec, a1",
        "csrrw a0, henvcfg, a1", "csrr a0, 0x5c0", "csrrw a0, mideleg, a1", "csrr a0, stimecmp", "sret",
        "mret", "ecall", "ebreak", "sfence.vma a0, a1", "hfence.vvma a0, a1", "hfence.gvma x0, a1",
        "sinval.vma x0, a1", "hlv.w a0, (a2)", "hlvx.hu a0, (a2)", "hsv.h a1, (a2)", "hlv.d a0, 0(a2)",
        ".word 0", "wfi",
    )  # fmt: skip
    chance = random.Random(3)
    for line in lines:
        for mode in ("M", *MODES):
            machine = Machine(engine)
            tables = Tables(machine, RAM_BASE + 0x80000)
            tables.map(DATA, DATA, LEAF)
            machine.code(f"{line}\n nop\n 1: j 1b")
            hart = machine.hart
            hart.priv, hart.virt = MODE_STATE[mode]
            hart.mstatus = chance.getrandbits(23) & ~MPP
            hart.hstatus = chance.getrandbits(23)
            hart.hcounteren = hart.scounteren = hart.mcounteren = 7
            hart.vsatp = tables.register() if hart.virt == 0 else 0
            hart.x[10], hart.x[11] = chance.getrandbits(64), chance.getrandbits(64)
            hart.x[12] = DATA + chance.randrange(9)
            hart.medeleg, hart.hedeleg = chance.getrandbits(24), chance.getrandbits(16) & 0xB1FF
            hart.reservation = NO_ADDRESS
            yield digest(machine.host, machine.run(3))


def floats(engine: Any) -> Iterator[str]:
    """Every F and D instruction, loads and stores too, on registers of every kind and in every FS level."""
    chance = random.Random(4)
    rows = [row for row in (*TABLE, *COMPRESSED) if row.extension in "FD" or row.name.startswith("c.f")]
    for _ in range(40):
        machine = Machine(engine)
        hart = machine.hart
        chosen = chance.sample(rows, 16)
        machine.host.write(CODE, b"".join(_aimed(row, chance) for row in chosen))
        hart.priv, hart.virt = MODE_STATE[chance.choice((*MODES, "M"))]
        hart.mstatus, hart.vsstatus = (chance.choice((FS, FS, FS, FS // 3, 0)) for _ in range(2))
        hart.fcsr = chance.choice((0, 1, chance.getrandbits(8)))
        for number in range(32):
            single, double = chance.choice(SPECIAL_S), chance.choice(SPECIAL_D)
            hart.f[number] = chance.choice((single, double, chance.getrandbits(64)))
            hart.x[number] = 0 if number == 0 else DATA + 8 * number
        machine.host.write(DATA, chance.randbytes(256))
        reasons = [machine.run(chance.randrange(1, 5)) for _ in range(8)]
        yield digest(machine.host, reasons)


def _aimed(row: Instruction, chance: random.Random) -> bytes:
    """Encode an instruction with any operands; what it writes is never an address of another."""
    operands = random_operands(row, chance)
    operands |= {name: chance.randrange(*ends) for name, ends in ROLES.items() if name in operands}
    return encode(row, operands).to_bytes(row.length, "little")


def digests(engine: Any, pieces: tuple[str, ...] = PIECES) -> dict[str, list[str]]:
    """Run pieces of the corpus."""
    runners = {"programs": programs, "translation": translation, "interrupts": interrupts}
    runners |= {"devices": devices, "privileges": privileges, "floats": floats}
    return {piece: list(runners[piece](engine)) for piece in pieces}


def main() -> None:
    """Print the digests of the pieces named on the command line, or of all."""
    for piece, found in digests(load_engine(), tuple(sys.argv[1:]) or PIECES).items():
        print(piece, *found)


if __name__ == "__main__":
    main()
