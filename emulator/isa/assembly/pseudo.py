"""Pseudo-instructions of several instructions: `li`, `la`, `call`, `tail`, loads and stores of symbols.

Source: RISC-V Assembly Programmer's Manual, "Pseudo Instructions". Left out: the GOT forms of
position-independent code (`la` is always `lla`) and thread-local storage.
"""

from collections.abc import Callable, Mapping, Sequence

from emulator.isa.assembly.expressions import Value
from emulator.isa.assembly.instructions import Word
from emulator.isa.assembly.lexer import Token
from emulator.isa.assembly.operands import Deferred, float_register_number, parse_value, register_number
from emulator.isa.assembly.problems import Mistake
from emulator.isa.assembly.statements import Operand, Statement
from emulator.isa.encodings import BY_NAME
from emulator.isa.instruction import Instruction

RA, T1 = 1, 6
Constant = Callable[[Deferred], Value]


def load_constant(number: int) -> list[tuple[str, int]]:
    """Return the usual sequence that makes a 64-bit number in one register: steps of (name, immediate).

    The first step starts from x0, each other one from the register itself. A number of up to 32 bits takes
    `lui` and `addiw`; of a larger one the upper part is made first, then shifted, then the low 12 bits are
    added.
    """
    if -(1 << 31) <= number < 1 << 31:
        low = _low12(number)
        high = (number - low + (1 << 31)) % (1 << 32) - (1 << 31)
        if high == 0:
            return [("addi", low)]
        return [("lui", high)] + ([("addiw", low)] if low else [])
    low = _low12(number)
    rest = number - low >> 12
    zeros = (rest & -rest).bit_length() - 1
    shift = 12 + zeros
    upper = (number - low >> shift) & (1 << 64 - shift) - 1
    sign = 1 << 63 - shift
    steps = [*load_constant((upper ^ sign) - sign), ("slli", shift)]
    return steps + ([("addi", low)] if low else [])


def _low12(number: int) -> int:
    """Return the low 12 bits of a number, sign-extended."""
    return ((number & 0xFFF) ^ 0x800) - 0x800


def _li(statement: Statement, constant: Constant) -> list[Word]:
    register, operand = _operands(statement, "li a0, 42", 2)
    rd = register_number(register.first)
    deferred = parse_value("imm", operand.tokens)
    if deferred.relation != "value":  # li rd, %lo(symbol)
        return [Word(BY_NAME["addi"], {"rd": rd, "rs1": 0, "imm": deferred}, statement.name)]
    value = constant(deferred)
    if value.section is not None:
        raise Mistake("li takes a number; to load the address of a label, use la", operand.first)
    signed = (value.number + (1 << 63)) % (1 << 64) - (1 << 63)
    words: list[Word] = []
    for name, imm in load_constant(signed):
        fields = {"rd": rd, "rs1": rd if words else 0, "imm": imm}
        if name == "lui":
            del fields["rs1"]
        words.append(Word(BY_NAME[name], fields, statement.name))
    return words


def _la(statement: Statement, _constant: Constant) -> list[Word]:
    register, symbol = _operands(statement, f"{statement.name.text} a0, message", 2)
    rd = register_number(register.first)
    return _pair(statement, symbol, rd, "addi", {"rd": rd, "rs1": rd})


def _call(statement: Statement, _constant: Constant) -> list[Word]:
    """`call function` or `call rd, function`, where rd gets the return address."""
    link = RA
    if len(statement.operands) == 2:
        link = register_number(statement.operands[0].first)
    elif len(statement.operands) != 1:
        raise Mistake("call takes a label (`call function`)", statement.end)
    return _pair(statement, statement.operands[-1], link, "jalr", {"rd": link, "rs1": link})


def _tail(statement: Statement, _constant: Constant) -> list[Word]:
    (symbol,) = _operands(statement, "tail function", 1)
    return _pair(statement, symbol, T1, "jalr", {"rd": 0, "rs1": T1})


def _jump(statement: Statement, _constant: Constant) -> list[Word]:
    """`jump function, rt`: a far jump that overwrites only rt."""
    symbol, temporary = _operands(statement, "jump function, t0", 2)
    rt = register_number(temporary.first)
    return _pair(statement, symbol, rt, "jalr", {"rd": 0, "rs1": rt})


def _pair(
    statement: Statement, symbol: Operand, base: int, name: str, fields: Mapping[str, int]
) -> list[Word]:
    """Return `auipc base, high` and the instruction `name` that adds the low part."""
    address = parse_value("symbol", symbol.tokens)
    if address.relation != "value":
        raise Mistake(f"{statement.name.text} takes the symbol itself, without a modifier", symbol.first)
    high = Deferred(address.expression, "pair_hi", "symbol", symbol.first)
    low = Deferred(address.expression, "pair_lo", "symbol", symbol.first)
    return [
        Word(BY_NAME["auipc"], {"rd": base, "imm": high}, statement.name),
        Word(BY_NAME[name], {**fields, "imm": low}, statement.name),
    ]


def symbol_access(statement: Statement) -> list[Word] | None:
    """Assemble `lw rd, symbol`, `sw rs2, symbol, rt`, `fld fd, symbol, rt`; None if it is none of these."""
    row = BY_NAME.get(statement.name.text)
    shapes = [operand.shape for operand in statement.operands]
    if row is None or row.length != 4:
        return None
    if row.kind in ("fpload", "fpstore") and shapes == ["float", "value", "register"]:
        return _float_access(statement, row)
    if row.kind == "load" and shapes == ["register", "value"] and not _has_modifier(statement.operands[1]):
        rd = register_number(statement.operands[0].first)
        return _pair(statement, statement.operands[1], rd, row.name, {"rd": rd, "rs1": rd})
    if row.kind == "store" and shapes == ["register", "value", "register"]:
        source, symbol, temporary = statement.operands
        rt = register_number(temporary.first)
        fields = {"rs2": register_number(source.first), "rs1": rt}
        return _pair(statement, symbol, rt, row.name, fields)
    return None


def _float_access(statement: Statement, row: Instruction) -> list[Word]:
    """Assemble `fld fd, symbol, rt` or `fsd fs2, symbol, rt`: the address takes an integer register."""
    data, symbol, temporary = statement.operands
    rt = register_number(temporary.first)
    field = "fd" if row.kind == "fpload" else "fs2"
    return _pair(statement, symbol, rt, row.name, {field: float_register_number(data), "rs1": rt})


def _has_modifier(operand: Operand) -> bool:
    return operand.first.text == "%"


def _operands(statement: Statement, example: str, count: int) -> Sequence[Operand]:
    """Return the operands if there are `count` of them, else explain with an example."""
    if len(statement.operands) == count:
        return statement.operands
    many = f"{count} operand{'' if count == 1 else 's'}"
    message = f"{statement.name.text} takes {many} (`{example}`), found {len(statement.operands)}"
    token: Token = statement.operands[count].first if len(statement.operands) > count else statement.end
    raise Mistake(message, token)


PSEUDO_INSTRUCTIONS: Mapping[str, Callable[[Statement, Constant], list[Word]]] = {
    "li": _li,
    "la": _la,
    "lla": _la,
    "call": _call,
    "tail": _tail,
    "jump": _jump,
}
