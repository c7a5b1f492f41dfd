"""The kinds of atoms that random programs are made of."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache, partial

from emulator.core.csr_bits import MPP_LOW, MPRV, MPV, PTE_W, PTE_X, SPP, SPV
from emulator.fuzz import known
from emulator.fuzz.layout import (
    CODE_BYTES,
    CONTEXTS,
    COUNTER,
    DATA,
    DATA_PAGES,
    EXEC,
    FLOATS,
    GLOBAL,
    LINK,
    POINTERS,
    RESERVED,
    SCRATCH,
    STUB,
    TARGET,
)
from emulator.fuzz.operands import random_operands, value
from emulator.fuzz.program import Atom, Line, line
from emulator.fuzz.worlds import World
from emulator.isa.csrs import CSR_NUMBERS
from emulator.isa.encodings import COMPRESSED, TABLE, expand
from emulator.isa.instruction import Instruction
from emulator.state import PAGE_BYTES

Lines = tuple[Line, ...]
FREE = tuple(number for number in range(5, 31) if number not in RESERVED)


@cache
def rows(*kinds: str) -> tuple[Instruction, ...]:
    """Return the instructions of some kinds, compressed ones too."""
    return tuple(
        row for row in (*TABLE, *COMPRESSED)
        if row.kind in kinds and row.name not in known.ABSENT_INSTRUCTIONS
    )  # fmt: skip


@cache
def float_rows() -> tuple[Instruction, ...]:
    """Return the floating-point instructions that touch no memory."""
    return tuple(row for row in TABLE if row.kind.startswith("fp") and row.kind not in ("fpload", "fpstore"))


def free_operands(row: Instruction, chance: random.Random) -> dict[str, int]:
    """Return operands that write none of the reserved registers."""
    while True:
        operands = random_operands(row, chance)
        if expand(row, operands)[1].get("rd", 0) not in RESERVED:
            return operands


def made(row: Instruction, operands: dict[str, int], target: int | None = None) -> Line:
    """Return an instruction."""
    return Line(row, tuple(operands.items()), target)


def free(chance: random.Random) -> int:
    """Return a register that programs may write."""
    return chance.choice(FREE)


def compute(chance: random.Random, label: int) -> Lines:
    """A few arithmetic instructions."""
    found: list[Line] = []
    for _ in range(chance.randrange(1, 8)):
        row = chance.choice(rows("alu", "alui", "upper"))
        found.append(made(row, free_operands(row, chance)))
    return tuple(found)


def branch(chance: random.Random, label: int) -> Lines:
    """A jump forward, sometimes by a condition."""
    row = chance.choice(rows("branch", "branch", "jal"))
    operands = free_operands(row, chance)
    operands.pop("imm", None)
    return (made(row, operands, label + chance.randrange(1, 6)),)


def repeated(chance: random.Random, label: int) -> Lines:
    """The start of a loop; `again` ends it."""
    return (line("addi", rd=COUNTER, rs1=0, imm=chance.choice((3, 20, 100, 400))),)


def again(chance: random.Random, label: int, start: int) -> Lines:
    """The end of a loop whose body begins with the atom `start`."""
    back = made(next(row for row in rows("branch") if row.name == "blt"), {"rs1": 0, "rs2": COUNTER}, start)
    return (line("addi", rd=COUNTER, rs1=COUNTER, imm=-1), back)


def call(chance: random.Random, label: int) -> Lines:
    """A jump by register over an instruction or two."""
    over = chance.choice((0, 2, 4))
    skipped: dict[int, Lines] = {
        0: (),
        2: (line("c.addi", rd=11, imm=5),),
        4: (line("addi", rd=11, rs1=11, imm=5),),
    }
    link = chance.choice((0, LINK, 5, 30))
    jump = line("jalr", rd=link, rs1=SCRATCH, imm=8 + over + chance.randrange(2))
    return (line("auipc", rd=SCRATCH, imm=0), jump, *skipped[over])


def leap(chance: random.Random, label: int) -> Lines:
    """A jump to where the world may or may not let code run."""
    return (line("jalr", rd=LINK, rs1=TARGET, imm=chance.choice((0, 0, 2, 6, chance.randrange(-64, 64)))),)


def access(chance: random.Random, label: int) -> Lines:
    """A load or store near a pointer."""
    row = chance.choice(rows("load", "store", "fpload", "fpstore") if FLOATS else rows("load", "store"))
    operands = free_operands(row, chance)
    if "rs1" in row.fields:
        pointers = [number for number in POINTERS if number > 7] if row.is_compact("rs1") else POINTERS
        operands["rs1"] = chance.choice(pointers)
    width = max(row.width, 1) if row.width else 8
    if row.length == 4 and chance.random() < 0.8:
        operands["imm"] -= operands["imm"] % width
    return (made(row, operands),)


def computed_access(chance: random.Random, label: int) -> Lines:
    """A load or store at a computed address, seldom aligned."""
    kinds = ("load", "store", "fpload", "fpstore") if FLOATS else ("load", "store")
    row = chance.choice([row for row in rows(*kinds) if row.length == 4])
    if chance.random() < 0.25:
        # Across the end of a page, if the pointer is in its second half.
        end = line("ori", rd=SCRATCH, rs1=chance.choice(POINTERS), imm=0x7FF)
        operands = free_operands(row, chance) | {"rs1": SCRATCH, "imm": -chance.randrange(8)}
        return (end, made(row, operands))
    return (*address(chance, 0x7FF), made(row, free_operands(row, chance) | {"rs1": SCRATCH}))


# QEMU 7.2 loads for an AMO before it stores: it sets A of an entry that refuses only the store, which is
# allowed ("updates of the A bit may be performed as a result of speculation", 10.3.1), and not D where only
# the physical address is refused. A load and a store to the same page let the bits be the same again, if they
# run in the AMO's mode. A trap leads back to the context's mode: so they follow an AMO in that mode, or come
# first, twice for a trap on the way.
TO_CONTEXT = line("ecall")
OTHER_WORD = line("xori", rd=SCRATCH, rs1=SCRATCH, imm=8)
TOUCHED = (line("lb", rd=0, rs1=SCRATCH, imm=0), line("sb", rs1=SCRATCH, rs2=0, imm=0))


def amo(chance: random.Random, row: Instruction) -> Lines:
    """An AMO to the address in the scratch register, on a page whose A and D are the same in the end."""
    access = made(row, free_operands(row, chance) | {"rs1": SCRATCH})
    if chance.random() < 0.5:
        return (TO_CONTEXT, access, OTHER_WORD, *TOUCHED)
    return (OTHER_WORD, *TOUCHED, *TOUCHED, OTHER_WORD, access)


def atomic(chance: random.Random, label: int) -> Lines:
    """An AMO, or LR and SC."""
    mask = 0x7F8 if chance.random() < 0.95 else 0x7FF
    place = address(chance, mask)
    if chance.random() < 0.6:
        return (*place, *amo(chance, chance.choice(rows("amo"))))
    return (*place, *conditional(chance))


def conditional(chance: random.Random) -> Lines:
    """LR and SC of the address in the scratch register.

    An SC without a reservation need not translate its address, so there is none at an address that may
    fault: a trap clears the counter register, and branches lead past what then must not run.
    """
    size = chance.choice("wd")
    by_name = {row.name: row for row in rows("lr", "sc", "amo")}

    def at_address(name: str) -> Line:
        return made(by_name[name], free_operands(by_name[name], chance) | {"rs1": SCRATCH})

    store = at_address(f"sc.{size}")
    between = [line("addi", rd=free(chance), rs1=free(chance), imm=1)] if chance.random() < 0.3 else []
    after = [unless_trapped(4), at_address(f"sc.{size}")] if chance.random() < 0.3 else []
    begin = line("addi", rd=COUNTER, rs1=0, imm=1)
    if chance.random() < 0.3:
        # Another doubleword of a page that can be written.
        body = [at_address(f"lr.{size}"), line("xori", rd=SCRATCH, rs1=SCRATCH, imm=8), *between, store]
        first = (TO_CONTEXT, begin, at_address(f"amoxor.{size}"), OTHER_WORD, *TOUCHED)
        return (*first, unless_trapped(4 * len(body)), *body)
    body = [*between, store, *after]
    return (begin, at_address(f"lr.{size}"), unless_trapped(4 * len(body)), *body)


def unless_trapped(length: int) -> Line:
    """Return a branch over some bytes that is taken if a trap has cleared the counter register."""
    return line("beq", rs1=COUNTER, rs2=0, imm=4 + length)


def address(chance: random.Random, mask: int) -> Lines:
    """Instructions that leave an address near a pointer in the scratch register."""
    return (
        line("andi", rd=SCRATCH, rs1=free(chance), imm=mask),
        line("add", rd=SCRATCH, rs1=SCRATCH, rs2=chance.choice(POINTERS)),
    )


def constant(chance: random.Random, label: int) -> Lines:
    """Load an immediate of 32 bits into a register."""
    rd = free(chance)
    return (*load_immediate(rd, chance.choice((value(chance), chance.getrandbits(32)))),)


def load_immediate(rd: int, number: int) -> Lines:
    """Return lui and addi for the low 32 bits of a number, sign-extended."""
    low = (number & 0xFFF ^ 0x800) - 0x800
    high = (number - low & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
    return (line("lui", rd=rd, imm=high), line("addiw", rd=rd, rs1=rd, imm=low))


def wide(rd: int, number: int) -> Lines:
    """Return instructions that load a bit mask of 64 bits."""
    if -(1 << 31) <= number < 1 << 31:
        return load_immediate(rd, number)
    shift = (number & -number).bit_length() - 1
    return (*load_immediate(rd, number >> shift), line("slli", rd=rd, rs1=rd, imm=shift))


def switch(chance: random.Random, label: int) -> Lines:
    """Ask the monitor for another context."""
    return (line("addi", rd=GLOBAL, rs1=0, imm=chance.randrange(CONTEXTS) + 1), line("ecall"))


def system(chance: random.Random, label: int) -> Lines:
    """An instruction that may trap, or should."""
    row = chance.choice(rows("system", "fence", "fencei"))
    if row.name in ("wfi", "mret", "sret"):
        return (line("ecall"),)
    if chance.random() < 0.15:
        return (Line(None, word=chance.choice(known.NO_INSTRUCTIONS)),)
    return (made(row, free_operands(row, chance)),)


def hypervisor(chance: random.Random, label: int) -> Lines:
    """A load or store through the guest's translation."""
    row = chance.choice(rows("hload", "hstore"))
    return (made(row, free_operands(row, chance) | {"rs1": chance.choice(POINTERS)}),)


def csr_read(chance: random.Random, label: int) -> Lines:
    """Read a CSR, or only see whether it may be."""
    name = chance.choice(known.READABLE + known.COUNTERS)
    rd = 0 if name in known.COUNTERS else free(chance)
    return (line("csrrs", rd=rd, rs1=0, csr=CSR_NUMBERS[name]),)


def csr_write(chance: random.Random, label: int) -> Lines:
    """Write a CSR and put back what was there."""
    name = chance.choice(known.WRITABLE)
    number = CSR_NUMBERS[name]
    rd, old = chance.sample(FREE, 2)
    written = known.written_value(chance, name)
    operation = chance.choice(("csrrw", "csrrw", "csrrs", "csrrc"))
    if name in known.ONLY_WHOLE:
        operation = "csrrw"
    readable = name in known.READABLE
    found = (*wide(rd, written), line(operation, rd=old if readable else 0, rs1=rd, csr=number))
    if name in known.KEPT or not readable:
        return found
    # What is put back if a trap into another mode lets only that happen.
    found = (*wide(old, STUB if name.endswith("tvec") else 0), *found)
    restored = line("csrrw", rd=0, rs1=old, csr=number)
    return (*found, line("csrrs", rd=rd, rs1=0, csr=number), restored)


def pend(chance: random.Random, label: int) -> Lines:
    """Set or clear pending bits of interrupts that software may set, in one of the CSRs that show them."""
    name, bits = chance.choice(known.PENDING)
    register = free(chance)
    operation = chance.choice(("csrrs", "csrrs", "csrrc"))
    wanted = chance.choice([1 << bit for bit in range(13) if bits >> bit & 1])
    return (*load_immediate(register, wanted), line(operation, rd=0, rs1=register, csr=CSR_NUMBERS[name]))


def edit(entries: list[int], chance: random.Random, label: int) -> Lines:
    """Store a page-table entry where nothing translates addresses, then ask for a context, which fences."""
    register = free(chance)
    start = chance.choice((DATA, EXEC))
    flags = chance.choice((0xDF, 0xCF, 0xD7, 0x1F, 0x5F, 0xDB, chance.getrandbits(8)))
    # What is jumped to stays as it is for the next program, and data is not run.
    flags &= ~(PTE_X if start == DATA else PTE_W)
    entry = start + PAGE_BYTES * chance.randrange(DATA_PAGES) >> 2 | flags
    store = (
        *load_immediate(register, entry),
        *wide(SCRATCH, chance.choice(entries)),
        line("sd", rs1=SCRATCH, rs2=register, imm=0),
    )
    return (*store, *switch(chance, label))


def float_csr(chance: random.Random, label: int) -> Lines:
    """Read or write fcsr or a part of it."""
    number = chance.choice((1, 2, 3))
    row = chance.choice(rows("csr", "csri"))
    if chance.random() < 0.5:
        # A rounding mode that exists, most of the time.
        return (line("csrrwi", rd=free(chance), rs1=chance.choice((0, 1, 2, 3, 4, 4, 5, 7)), csr=2),)
    return (made(row, free_operands(row, chance) | {"csr": number}),)


def floating(chance: random.Random, label: int) -> Lines:
    """A few floating-point instructions."""
    found: list[Line] = []
    for _ in range(chance.randrange(1, 5)):
        row = chance.choice(float_rows())
        operands = free_operands(row, chance)
        if "rm" in operands:
            operands["rm"] = chance.choice((0, 1, 2, 3, 4, 7, 7, 7, 7, 7, chance.randrange(8)))
        found.append(made(row, operands))
    return tuple(found)


def back_to(chance: random.Random, label: int) -> Lines:
    """Return from a trap that never was, to the next atom, in a mode chosen by chance."""
    machine = chance.random() < 0.5
    # Without MPV for M-mode: QEMU 7.2 then enters M-mode with V=1.
    bits = (
        chance.choice((0, 1, MPV >> MPP_LOW, MPV >> MPP_LOW | 1, 3)) << MPP_LOW
        if machine
        else SPP * chance.getrandbits(1)
    )
    other = free(chance)
    found = [*wide(other, bits)] if bits else []
    status, epc, name = ("mstatus", "mepc", "mret") if machine else ("sstatus", "sepc", "sret")
    if bits:
        found.append(line("csrrs", rd=0, rs1=other, csr=CSR_NUMBERS[status]))
    if not machine and chance.random() < 0.5:
        found += load_immediate(other, SPV)
        found.append(line(chance.choice(("csrrs", "csrrc")), rd=0, rs1=other, csr=CSR_NUMBERS["hstatus"]))
    # auipc, addi, csrrw and the return itself
    found += [line("auipc", rd=SCRATCH, imm=0), line("addi", rd=SCRATCH, rs1=SCRATCH, imm=16)]
    return (*found, line("csrrw", rd=0, rs1=SCRATCH, csr=CSR_NUMBERS[epc]), line(name))


def lent(chance: random.Random, label: int) -> Lines:
    """Loads and stores in M-mode as if in another mode (mstatus.MPRV)."""
    bits = MPRV | chance.choice((0, 1, 3)) << MPP_LOW | known.chosen_mpv(chance)
    register = free(chance)
    body = (*access(chance, label), *access(chance, label))
    status = CSR_NUMBERS["mstatus"]
    return (
        *wide(register, bits), line("csrrs", rd=0, rs1=register, csr=status), *body,
        *wide(register, bits), line("csrrc", rd=0, rs1=register, csr=status),
    )  # fmt: skip


def patch(chance: random.Random, label: int) -> Lines:
    """Overwrite an instruction ahead, then run it; where stores to code are refused it stays a nop."""
    row = chance.choice([row for row in rows("alu", "alui") if row.length == 4])
    rd = free(chance)
    word = known.encoded(row, free_operands(row, chance))
    prepare = load_immediate(rd, word)
    # auipc, sw, fence.i, then the nop that is overwritten
    tail = (line("auipc", rd=SCRATCH, imm=0), line("sw", rs1=SCRATCH, rs2=rd, imm=12), line("fence.i"))
    return (*prepare, *tail, line("addi", rd=0, rs1=0, imm=0))


Maker = Callable[[random.Random, int], Lines]
_MIX: list[tuple[Maker, int]] = [
    (compute, 24), (branch, 10), (call, 3), (leap, 3), (access, 20), (computed_access, 8), (atomic, 8),
    (constant, 3), (switch, 5), (system, 3), (hypervisor, 4), (csr_read, 4), (csr_write, 6), (back_to, 3),
    (lent, 3), (patch, 2), (pend, 3),
]  # fmt: skip
_FLOAT_MIX: list[tuple[Maker, int]] = [(floating, 14), (float_csr, 3)]


def _mix(world: World) -> tuple[list[Maker], list[int]]:
    mix = [*_MIX, (partial(edit, world.entries), 2), *(_FLOAT_MIX if FLOATS else [])]
    return [maker for maker, _ in mix], [weight for _, weight in mix]


def atoms(chance: random.Random, count: int, world: World) -> tuple[Atom, ...]:
    """Make the atoms of a program."""
    makers, weights = _mix(world)
    found: list[Atom] = []
    room = CODE_BYTES - 64
    loop: int | None = None
    for label in range(count):
        maker = chance.choices(makers, weights)[0]
        lines = maker(chance, label)
        if loop is None and chance.random() < 0.2:
            lines, loop = repeated(chance, label), label + 1
        elif loop is not None and label > loop + 2 and chance.random() < 0.3:
            lines, loop = again(chance, label, loop), None
        room -= sum(each.length for each in lines)
        if room < 0:
            break
        found.append(Atom(label, lines))
    return tuple(found)
