"""What a vCPU is doing now: the code around its pc as it stands in memory, registers, CSRs field by field.

The code is what the vCPU would fetch, through its own page tables; the program's symbols and source lines are
put beside it where there are any. Instructions have 2 or 4 bytes, so going back from the pc is a guess unless
a source line or a symbol says where one begins: the longest run of instructions that ends at the pc is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from emulator.hypervisor.faults import walk_guest
from emulator.hypervisor.shadow import as_guest, as_nested
from emulator.hypervisor.vcpu import Vcpu
from emulator.isa.causes import describe
from emulator.isa.csr_fields import decode_csr
from emulator.isa.disassembler import disassemble, instruction_length
from emulator.isa.symbols import Symbols
from emulator.lab.errors import LabError
from emulator.lab.observation import RegistersView, VcpuState
from emulator.lab.observing import address
from emulator.lab.registers import live_vcpu, registers
from emulator.machine.elf import Executable
from emulator.state import ACCESS_FETCH, NO_ADDRESS, PAGE_BYTES

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

ADDRESSES = 1 << 64
BYTES_BEFORE = 64
MAX_INSTRUCTIONS = 256
SHORTEST, LONGEST = 2, 4


class CodeLine(TypedDict):
    """One instruction as it stands in memory."""

    address: str
    code: str  # its bytes in hexadecimal, "" where nothing can be fetched
    text: str  # disassembled, or why there is nothing
    label: str | None  # a symbol that is exactly here
    line: int | None  # source line
    source: str  # the text of that line, "" where there is none
    length: int  # bytes


class CodeView(TypedDict):
    """Instructions from some address on; `where` is the pc in words, e.g. "main+0x10".

    `named` tells whether the program has symbols at all.
    """

    pc: str
    where: str
    named: bool
    lines: list[CodeLine]


class FieldValue(TypedDict):
    """A field of a CSR (emulator/isa/csr_fields.py): `bits` as "14:13", `value` in hexadecimal."""

    name: str
    bits: str
    value: str
    meaning: str
    says: str


class CpuView(TypedDict):
    """One vCPU at one instant; `fields` has an entry for each CSR of `registers` that has fields."""

    state: VcpuState
    registers: RegistersView
    fields: dict[str, list[FieldValue]]
    code: CodeView


def cpu(lab: Lab, vm: str, vcpu: int, at: int | None = None, count: int = 32) -> CpuView:
    """Return a vCPU with `count` instructions from about `at` on, or around its pc. Raises LabError."""
    live = live_vcpu(lab, vm, vcpu)
    shown = registers(lab, vm, vcpu)
    csrs = [*shown["control"], *shown["hypervisor"], *(r for r in shown["floating"] if r["name"] == "fcsr")]
    return {
        "state": live.state.value,
        "registers": shown,
        "fields": {r["name"]: found for r in csrs if (found := _fields(r["name"], int(r["value"], 16)))},
        "code": code(lab, vm, vcpu, at, count),
    }


def _fields(name: str, value: int) -> list[FieldValue]:
    return [
        {
            "name": one.field.name,
            "bits": one.field.bits,
            "value": hex(one.value),
            "meaning": one.field.meaning,
            "says": one.meaning,
        }
        for one in decode_csr(name, value)
    ]


def code(lab: Lab, vm: str, index: int, at: int | None = None, count: int = 32) -> CodeView:
    """Return `count` instructions: from `at` on, or from a few before the pc. Raises LabError."""
    if not 1 <= count <= MAX_INSTRUCTIONS:
        raise LabError(f"count is {count}; must be from 1 to {MAX_INSTRUCTIONS}", "count")
    vcpu = live_vcpu(lab, vm, index)
    executable = vcpu.vm.settings.executable
    record = as_guest(vcpu, lab.hypervisor.registers(vcpu))
    pc, symbols = record.pc, executable.symbols_under(record.vsatp)
    fetched = _Fetched(lab, vcpu)
    if at is None:
        before = _instructions_before(fetched, executable, symbols, pc)
        start = before[-min(len(before), count // 3)] if before and count >= 3 else pc
    else:
        start = at
    return {
        "pc": address(pc),
        "where": symbols.name_of(pc),
        "named": bool(symbols),
        "lines": _lines(fetched, executable, symbols, start, count),
    }


class _Fetched:
    """The memory that a vCPU can fetch from, page by page."""

    def __init__(self, lab: Lab, vcpu: Vcpu) -> None:
        self._host = lab.hypervisor.host
        self._record = as_nested(vcpu, lab.hypervisor.registers(vcpu))
        self._pages: dict[int, bytes | str] = {}

    def halfword(self, at: int) -> int | None:
        """Return two bytes as a number, None where they cannot be fetched."""
        page = self._page(at)
        if isinstance(page, str):
            return None
        return int.from_bytes(page[at % PAGE_BYTES : at % PAGE_BYTES + 2], "little")

    def word(self, at: int) -> int | None:
        """Return the instruction at an address."""
        low = self.halfword(at)
        if low is None or instruction_length(low) == SHORTEST:
            return low
        high = self.halfword((at + SHORTEST) % ADDRESSES)
        return None if high is None else high << 16 | low

    def reason(self, at: int) -> str:
        """Return why nothing can be fetched at an address."""
        for place in (at, (at + SHORTEST) % ADDRESSES):
            page = self._page(place)
            if isinstance(page, str):
                return page
        return ""

    def _page(self, at: int) -> bytes | str:
        start = at - at % PAGE_BYTES
        if start not in self._pages:
            walk = walk_guest(self._host, self._record, start, ACCESS_FETCH)
            found = walk.cause == NO_ADDRESS
            self._pages[start] = self._host.read(walk.hpa, PAGE_BYTES) if found else describe(walk.cause).name
        return self._pages[start]


def _instructions_before(fetched: _Fetched, executable: Executable, symbols: Symbols, pc: int) -> list[int]:
    """Return the addresses of some instructions that end at the pc, in order."""
    known = [at for at in executable.lines if pc - BYTES_BEFORE <= at < pc]
    known += symbols.between(pc - BYTES_BEFORE, pc)
    guesses = [pc - back for back in range(BYTES_BEFORE, 0, -SHORTEST) if pc >= back]
    for start in [*sorted(known), *guesses]:
        found = _run(fetched, start, pc)
        if found:
            return found
    return []


def _run(fetched: _Fetched, start: int, end: int) -> list[int]:
    """Return where the instructions from `start` begin, empty unless the last one ends at `end`."""
    at, found = start, list[int]()
    while at < end:
        word = fetched.word(at)
        if word is None or disassemble(word, at).startswith("."):
            return []
        found.append(at)
        at += instruction_length(word & 0xFFFF)
    return found if at == end else []


def _lines(
    fetched: _Fetched, executable: Executable, symbols: Symbols, start: int, count: int
) -> list[CodeLine]:
    sources = executable.source.split("\n") if executable.source else []
    lines: list[CodeLine] = []
    at = start - start % SHORTEST
    while len(lines) < count and at < ADDRESSES:
        word = fetched.word(at)
        length = SHORTEST if word is None else instruction_length(word & 0xFFFF)
        number = executable.lines.get(at)
        text = fetched.reason(at) if word is None else disassemble(word, at, symbols)
        lines.append(
            {
                "address": address(at),
                "code": "" if word is None else word.to_bytes(length, "little").hex(),
                "text": text,
                "label": symbols.at(at),
                "line": number,
                "source": sources[number - 1].strip() if number and number <= len(sources) else "",
                "length": length,
            }
        )
        if word is None:
            break
        at += length
    return lines
