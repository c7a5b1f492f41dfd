"""The disassembler: instruction words to text in the GNU assembler's style, from the encodings table.

What it prints, the assembler assembles to the same word. Fields that an implementation must ignore (`rd` and
`rs1` of `fence`) are not printed, so words that set them are shown as data.
"""

from collections.abc import Callable, Mapping, Sequence

from emulator.isa.aliases import aliases_by_instruction
from emulator.isa.csrs import CSR_NUMBERS, csr_name
from emulator.isa.encodings import decode, decode_hint
from emulator.isa.instruction import Expansion, Instruction
from emulator.isa.registers import FLOAT_REGISTERS, REGISTERS, ROUNDING_MODES
from emulator.isa.symbols import Symbols

Operands = Mapping[str, int]

# The rounding mode that an instruction has when its text names none.
_DEFAULT_MODES: Mapping[str, int] = {"[rm]": 7, "[exact]": 0}


def disassemble(word: int, pc: int, symbols: Mapping[str, int] | None = None, *, pseudo: bool = True) -> str:
    """Return an instruction as text: `addi    a0,sp,16`, `beqz    a0,80000010 <loop>`.

    Args:
        word: 32 bits from memory; for a compressed instruction the upper half is ignored.
        pc: Its address, from which the targets of jumps follow.
        symbols: Labels and their addresses; a target is followed by the nearest label at or below it.
        pseudo: Prefer pseudo-instructions (`ret`) to what they stand for (`jalr zero,0(ra)`).

    A word that is no instruction is shown as `.word` or `.half` data.
    """
    decoded = (decode_hint(word) if pseudo else None) or decode(word)
    if decoded is None or _sets_ignored_fields(*decoded):
        return f".word   {word & 0xFFFF_FFFF:#010x}" if word & 3 == 3 else f".half   {word & 0xFFFF:#06x}"
    instruction, operands = decoded
    name, syntax, shown = _choose_form(instruction, operands, pseudo)
    name += _ordering(operands)
    text = ",".join(_elements(syntax, shown, pc, symbols or {}))
    return f"{name:7} {text}" if text else name


def instruction_length(halfword: int) -> int:
    """Return the bytes of the instruction that begins with `halfword`: 2 or 4."""
    return 4 if halfword & 3 == 3 else 2


def _sets_ignored_fields(instruction: Instruction, operands: Operands) -> bool:
    """Tell whether an instruction sets fields to what its text cannot show."""
    if operands.get("rm") in (5, 6):  # reserved
        return True
    if instruction.kind == "fencei":
        return any(operands.values())
    if instruction.kind != "fence":
        return False
    tso = operands["fm"] == 8 and operands["pred"] == operands["succ"] == 3
    return bool(operands["rd"] or operands["rs1"] or (operands["fm"] and not tso))


def _choose_form(instruction: Instruction, operands: Operands, pseudo: bool) -> tuple[str, str, Operands]:
    """Return the name, syntax and operands to print: a pseudo-instruction's if one fits and is wanted."""
    fence_tso = instruction.kind == "fence" and operands["fm"]
    if (pseudo or fence_tso) and instruction.length == 4:
        if instruction.name == "addi" and operands["rs1"] == 0 and (operands["rd"] or operands["imm"]):
            return "li", "rd,imm", operands
        for alias in aliases_by_instruction().get(instruction.name, ()):
            shown = _match(alias.expands, operands)
            if shown is not None:
                return alias.name, alias.syntax, shown
    if instruction.name == "c.nop" and operands["imm"] == 0:
        return instruction.name, "", operands
    shown = dict(operands)
    if instruction.kind == "csri":
        shown["zimm"] = operands["rs1"]
    return instruction.name, instruction.syntax, shown


def _match(expansion: Expansion, operands: Operands) -> dict[str, int] | None:
    """Return what an alias's operands are for an instruction's, or None if it cannot stand for it."""
    shown: dict[str, int] = {}
    for field, value in operands.items():
        source = expansion.operands.get(field, 0)
        if isinstance(source, str):
            if shown.setdefault(source, value) != value:  # `fmv.d`: the same register twice
                return None
        elif source != value:
            return None
    return shown


def _ordering(operands: Operands) -> str:
    """Return the suffix of an atomic instruction: `.aq`, `.rl`, `.aqrl` or nothing."""
    letters = ("aq" if operands.get("aq") else "") + ("rl" if operands.get("rl") else "")
    return f".{letters}" if letters else ""


def _elements(syntax: str, shown: Operands, pc: int, symbols: Mapping[str, int]) -> Sequence[str]:
    """Return the text of each operand."""
    parts: list[str] = []
    for element in syntax.split(",") if syntax else ():
        if element in _DEFAULT_MODES and shown["rm"] == _DEFAULT_MODES[element]:
            continue
        if element == "target":
            parts.append(_target((pc + shown["imm"]) % (1 << 64), symbols))
        else:
            parts.append(_PRINTERS.get(element, _number)(element, shown))
    return parts


def _target(address: int, symbols: Mapping[str, int]) -> str:
    """Return a jump's target: its address, and the label it is at or after."""
    name = Symbols.of(symbols).name_of(address, 1 << 64)
    return f"{address:#x} <{name}>" if name else f"{address:#x}"


def _register(element: str, shown: Operands) -> str:
    return REGISTERS[shown[element]]


def _float_register(element: str, shown: Operands) -> str:
    return FLOAT_REGISTERS[shown[element]]


def _rounding_mode(_element: str, shown: Operands) -> str:
    return next(name for name, number in ROUNDING_MODES.items() if number == shown["rm"])


def _number(element: str, shown: Operands) -> str:
    return str(shown[element.strip("[]")])


def _upper(_element: str, shown: Operands) -> str:
    return f"{shown['imm'] >> 12 & 0xFFFFF:#x}"


def _fence_set(element: str, shown: Operands) -> str:
    """Return the letters of a fence's set; the empty set has only a number."""
    return (
        "".join(letter for bit, letter in zip((8, 4, 2, 1), "iorw", strict=True) if shown[element] & bit)
        or "0"
    )


def _csr(_element: str, shown: Operands) -> str:
    name = csr_name(shown["csr"])
    return name if name in CSR_NUMBERS else f"{shown['csr']:#x}"


_PRINTERS: Mapping[str, Callable[[str, Operands], str]] = {
    **dict.fromkeys(("rd", "rs", "rt", "rs1", "rs2"), _register),
    **dict.fromkeys(("fd", "fs", "ft", "fs1", "fs2", "fs3"), _float_register),
    "[rm]": _rounding_mode,
    "[exact]": _rounding_mode,
    "sp": lambda _element, _shown: "sp",
    "imm(rs1)": lambda _element, shown: f"{shown['imm']}({REGISTERS[shown['rs1']]})",
    "imm(sp)": lambda _element, shown: f"{shown['imm']}(sp)",
    "(rs1)": lambda _element, shown: f"({REGISTERS[shown['rs1']]})",
    "upper": _upper,
    "pred": _fence_set,
    "succ": _fence_set,
    "csr": _csr,
}
