"""Operands of instructions: matched against an instruction's syntax, checked, and turned into field values.

A value that depends on addresses stays `Deferred` until they are known.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from emulator.isa.assembly.expressions import Expression, describe, parse_expression
from emulator.isa.assembly.lexer import Token
from emulator.isa.assembly.problems import Mistake, did_you_mean, quote
from emulator.isa.assembly.statements import Operand
from emulator.isa.csrs import CSR_NUMBERS
from emulator.isa.registers import FLOAT_REGISTER_NUMBERS, REGISTER_NUMBERS, ROUNDING_MODES

MODIFIERS = ("hi", "lo", "pcrel_hi", "pcrel_lo")
REGISTER_ELEMENTS = frozenset({"rd", "rs", "rt", "rs1", "rs2", "sp"})
FLOAT_ELEMENTS = frozenset({"fd", "fs", "ft", "fs1", "fs2", "fs3"})
MEMORY_ELEMENTS = frozenset({"imm(rs1)", "(rs1)", "imm(sp)"})
_FENCE_BITS = {"i": 8, "o": 4, "r": 2, "w": 1}

# How the assembler's messages call the elements of a syntax.
_ELEMENT_NAMES = {
    "imm": "a number", "[imm]": "a number", "upper": "a number", "target": "a label", "zimm": "a number",
    "csr": "a CSR", "pred": "a set of i, o, r, w", "succ": "a set of i, o, r, w", "sp": "the register sp",
    "imm(rs1)": "an address like 8(sp)", "(rs1)": "an address like (a0)", "imm(sp)": "an address like 8(sp)",
    "symbol": "a symbol", "[rm]": "a rounding mode", "[exact]": "a rounding mode",
}  # fmt: skip


@dataclass(frozen=True)
class Deferred:
    """A field's value that is computed once every address is known.

    `relation` says how the field follows from the expression: `value`, `upper` (a number for bits 31:12),
    `target` (relative to pc), `hi lo pcrel_hi pcrel_lo` (the assembler's modifiers), or `pair_hi pair_lo`
    (the two halves of an address relative to the first instruction of a pair). `element` is the part of the
    syntax it comes from.
    """

    expression: Expression
    relation: str
    element: str
    token: Token


Fields = dict[str, "int | Deferred"]


def shape_of_element(element: str) -> str:
    """Return the shape (`Operand.shape`) that an element of a syntax needs."""
    if element in REGISTER_ELEMENTS:
        return "register"
    if element in FLOAT_ELEMENTS:
        return "float"
    return "memory" if element in MEMORY_ELEMENTS else "value"


def name_of_element(element: str) -> str:
    """Describe in a message what an element of a syntax takes."""
    return _ELEMENT_NAMES.get(
        element, "a floating-point register" if element in FLOAT_ELEMENTS else "a register"
    )


def elements_of(syntax: str) -> tuple[str, ...]:
    """Split an instruction's syntax into its elements."""
    return tuple(syntax.split(",")) if syntax else ()


def parse_operand(element: str, operand: Operand) -> Fields:
    """Return the fields that one operand gives, for an element of a syntax.

    Raises:
        Mistake: The operand is not what the element takes.
    """
    if element in REGISTER_ELEMENTS:
        return _parse_register(element, operand)
    if element in FLOAT_ELEMENTS:
        return {element: float_register_number(operand)}
    if element in MEMORY_ELEMENTS:
        return _parse_memory(element, operand)
    special = _SPECIAL_ELEMENTS.get(element)
    if special is not None:
        return special(element, operand)
    return {"imm": parse_value(element, operand.tokens)}


def parse_value(element: str, tokens: tuple[Token, ...]) -> Deferred:
    """Parse an expression or `%modifier(expression)` that takes all of `tokens`."""
    relation = element if element in ("upper", "target") else "value"
    if tokens[0].text == "%" and tokens[0].kind == "mark":
        relation, expression, position = _parse_modifier(tokens)
    elif tokens[0].text in REGISTER_NUMBERS:
        raise Mistake(
            f"expected {name_of_element(element)}, found the register {quote(tokens[0].text)}", tokens[0]
        )
    else:
        expression, position = parse_expression(tokens)
    if tokens[position].kind != "end":
        raise Mistake(
            f"expected `,` or the end of the line, found {describe(tokens[position])}", tokens[position]
        )
    return Deferred(expression, relation, element, tokens[0])


def _parse_modifier(tokens: tuple[Token, ...]) -> tuple[str, Expression, int]:
    """Parse `%lo(expression)`; return the modifier, the expression and the index after it."""
    name, opening = tokens[1], tokens[min(2, len(tokens) - 1)]
    if name.text not in MODIFIERS:
        hint = did_you_mean(name.text, MODIFIERS)
        raise Mistake(f"expected %hi, %lo, %pcrel_hi or %pcrel_lo, found {describe(name)}{hint}", name)
    if opening.text != "(":
        raise Mistake(f"expected `(` after %{name.text}, found {describe(opening)}", opening)
    expression, position = parse_expression(tokens, 3)
    if tokens[position].text != ")":
        raise Mistake(f"expected `)`, found {describe(tokens[position])}", tokens[position])
    return name.text, expression, position + 1


def register_number(token: Token) -> int:
    """Return the number of the register that a token names."""
    number = REGISTER_NUMBERS.get(token.text)
    if number is None:
        hint = did_you_mean(token.text, REGISTER_NUMBERS)
        raise Mistake(
            f"expected a register (x0 to x31, or a name like a0), found {describe(token)}{hint}", token
        )
    return number


def float_register_number(operand: Operand) -> int:
    """Return the number of the floating-point register that an operand is."""
    token = operand.first
    number = FLOAT_REGISTER_NUMBERS.get(token.text)
    if number is None:
        wanted = "a floating-point register (f0 to f31, or a name like fa0)"
        hint = "" if token.text in REGISTER_NUMBERS else did_you_mean(token.text, FLOAT_REGISTER_NUMBERS)
        raise Mistake(f"expected {wanted}, found {describe(token)}{hint}", token)
    _require_alone(operand)
    return number


def _require_alone(operand: Operand) -> None:
    """Check that nothing follows the first token of an operand."""
    if len(operand.tokens) > 2:
        rest = operand.tokens[1]
        raise Mistake(f"expected `,` or the end of the line, found {describe(rest)}", rest)


def _parse_register(element: str, operand: Operand) -> Fields:
    number = register_number(operand.first)
    _require_alone(operand)
    if element == "sp":
        if number != 2:
            raise Mistake(f"expected the register sp, found {quote(operand.first.text)}", operand.first)
        return {}
    return {element: number}


def _parse_memory(element: str, operand: Operand) -> Fields:
    """Parse `offset(register)`, of which the offset may be missing and is then 0."""
    if operand.shape != "memory":
        found = describe(operand.first)
        raise Mistake(f"expected {name_of_element(element)}, found {found}", operand.first)
    base = operand.tokens[-3]
    offset = (*operand.tokens[:-4], Token("end", "", operand.tokens[-4].column))
    imm = parse_value("imm", offset) if len(offset) > 1 else 0
    if element == "imm(sp)":
        if register_number(base) != 2:
            raise Mistake(f"expected the register sp, found {quote(base.text)}", base)
        return {"imm": imm}
    if element == "(rs1)":
        return {"rs1": register_number(base), "zero": imm}
    return {"imm": imm, "rs1": register_number(base)}


def _parse_csr(_element: str, operand: Operand) -> Fields:
    """Parse a CSR's name, or an expression for its number."""
    if operand.first.text in CSR_NUMBERS and len(operand.tokens) == 2:
        return {"csr": CSR_NUMBERS[operand.first.text]}
    return {"csr": parse_value("csr", operand.tokens)}


def _parse_zimm(element: str, operand: Operand) -> Fields:
    return {"zimm": parse_value(element, operand.tokens)}


def _parse_fence_set(element: str, operand: Operand) -> Fields:
    """Parse a set of accesses such as `rw`, or its number."""
    letters = operand.first.text
    if operand.first.kind == "number" and len(operand.tokens) == 2:
        return {element: parse_value(element, operand.tokens)}
    present = [letter for letter in _FENCE_BITS if letter in letters]
    if not letters or "".join(present) != letters or len(operand.tokens) != 2:
        raise Mistake(
            f"expected letters of `iorw`, in that order, found {describe(operand.first)}", operand.first
        )
    return {element: sum(_FENCE_BITS[letter] for letter in present)}


def _parse_rounding_mode(_element: str, operand: Operand) -> Fields:
    token = operand.first
    if token.text not in ROUNDING_MODES:
        hint = did_you_mean(token.text, ROUNDING_MODES)
        raise Mistake(f"expected rne, rtz, rdn, rup, rmm or dyn, found {describe(token)}{hint}", token)
    _require_alone(operand)
    return {"rm": ROUNDING_MODES[token.text]}


_SPECIAL_ELEMENTS: Mapping[str, Callable[[str, Operand], Fields]] = {
    "csr": _parse_csr,
    "zimm": _parse_zimm,
    "pred": _parse_fence_set,
    "succ": _parse_fence_set,
    "[rm]": _parse_rounding_mode,
    "[exact]": _parse_rounding_mode,
}


def example_of(name: str, syntax: str) -> str:
    """Return how an instruction is written, with example operands: `add a0, a1, a2`."""
    return f"{name} {', '.join(_examples(syntax))}".strip()


def _examples(syntax: str) -> Iterator[str]:
    registers = iter(("a0", "a1", "a2", "a3"))
    floats = iter(("fa0", "fa1", "fa2", "fa3"))
    for element in elements_of(syntax):
        if element in ("imm(rs1)", "(rs1)"):
            yield ("8" if element.startswith("imm") else "") + f"({next(registers)})"
        elif element in REGISTER_ELEMENTS - {"sp"}:
            yield next(registers)
        elif element in FLOAT_ELEMENTS:
            yield next(floats)
        elif element not in ("[rm]", "[exact]"):
            yield _EXAMPLE_VALUES[element]


_EXAMPLE_VALUES = {
    "imm": "4", "[imm]": "0", "upper": "0x12345", "target": "loop", "zimm": "1", "csr": "sstatus",
    "pred": "rw",    "succ": "w", "sp": "sp", "imm(sp)": "8(sp)", "symbol": "message",
}  # fmt: skip
