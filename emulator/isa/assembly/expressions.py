"""Constant expressions: parsed to postfix form, evaluated without recursion.

The grammar and the precedence are the GNU assembler's: `* / % << >>` bind tightest, then `& | ^`, then `+ -`.
Arithmetic is modulo 2^64; `/` and `%` truncate towards zero, `>>` shifts zeros in, as LLVM's assembler does.
Left out: comparisons and logical operators.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from emulator.isa.assembly.lexer import Token, complaint
from emulator.isa.assembly.problems import Mistake, quote
from emulator.isa.assembly.sections import Section

NESTING_LIMIT = 64
TERM_LIMIT = 4096
PRECEDENCE = {"*": 3, "/": 3, "%": 3, "<<": 3, ">>": 3, "&": 2, "|": 2, "^": 2, "+": 1, "-": 1}
_UNARY = {"-": "negate", "+": "keep", "~": "complement"}
_MODULUS = 1 << 64


class Term(NamedTuple):
    """One step of a postfix expression: `number`, `symbol`, `unary` or `binary`, and its token."""

    kind: str
    token: Token


@dataclass(frozen=True)
class Expression:
    """An expression in postfix order, and the token where it begins."""

    terms: tuple[Term, ...]
    token: Token


class Value(NamedTuple):
    """A number, or an offset in a section whose address is not decided yet."""

    number: int
    section: Section | None = None


class NotKnownYet(Exception):
    """A value depends on addresses that are only decided after the whole program has been read."""

    def __init__(self, token: Token) -> None:
        super().__init__(token.text)
        self.token = token


Lookup = Callable[[Token], Value]


def parse_expression(tokens: Sequence[Token], start: int = 0) -> tuple[Expression, int]:
    """Parse the longest expression that begins at `tokens[start]`; return it and the index after it.

    Args:
        tokens: A statement's tokens, ending in one of kind `end`.

    Raises:
        Mistake: There is no expression, or it is cut short or nested too deeply.
    """
    output: list[Term] = []
    pending: list[tuple[str, Token]] = []  # operators and "(" that wait for their right operand
    position = start
    while True:
        position = _parse_operand(tokens, position, output, pending)
        position = _close_parentheses(tokens, position, output, pending)
        token = tokens[position]
        if token.text not in PRECEDENCE or token.kind != "mark":
            break
        _flush(output, pending, PRECEDENCE[token.text])
        pending.append(("binary", token))
        position += 1
        _check_size(output, pending, token)
    _flush(output, pending, 0)
    if pending:
        raise Mistake(
            f"this `(` is not closed; expected `)` before {describe(tokens[position])}", pending[-1][1]
        )
    return Expression(tuple(output), tokens[start]), position


def _check_size(output: list[Term], pending: list[tuple[str, Token]], token: Token) -> None:
    """Refuse expressions that no person writes."""
    if len(pending) > NESTING_LIMIT:
        raise Mistake(f"the expression is nested more than {NESTING_LIMIT} deep; split it with .equ", token)
    if len(output) > TERM_LIMIT:
        raise Mistake(f"the expression has more than {TERM_LIMIT} terms; split it with .equ", token)


def _parse_operand(
    tokens: Sequence[Token], position: int, output: list[Term], pending: list[tuple[str, Token]]
) -> int:
    """Read prefix operators, opening parentheses and then one number or symbol."""
    while True:
        token = tokens[position]
        _check_size(output, pending, token)
        position += 1
        if token.kind == "mark" and token.text == "(":
            pending.append(("(", token))
        elif token.kind == "mark" and token.text in _UNARY:
            pending.append(("unary", token))
        elif token.kind == "number":
            if token.value >= _MODULUS:
                raise Mistake(f"{quote(token.text)} needs more than 64 bits", token)
            output.append(Term("number", token))
            return position
        elif token.kind in ("name", "local"):
            output.append(Term("symbol", token))
            return position
        else:
            raise Mistake(f"expected a number or a symbol, found {describe(token)}", token)


def _close_parentheses(
    tokens: Sequence[Token], position: int, output: list[Term], pending: list[tuple[str, Token]]
) -> int:
    """Take as many `)` as there are open parentheses of this expression."""
    while tokens[position].text == ")" and tokens[position].kind == "mark":
        _flush(output, pending, 0)
        if not pending:
            break
        pending.pop()
        position += 1
    return position


def _flush(output: list[Term], pending: list[tuple[str, Token]], precedence: int) -> None:
    """Move the operators that bind at least as tightly as `precedence` to the output."""
    while pending and pending[-1][0] != "(":
        kind, token = pending[-1]
        if kind == "binary" and PRECEDENCE[token.text] < precedence:
            return
        output.append(Term(kind, token))
        pending.pop()


def describe(token: Token) -> str:
    """Name a token in an error message."""
    if token.kind == "end":
        return "the end of the line"
    return complaint(token) if token.kind == "bad" else quote(token.text)


def evaluate(expression: Expression, lookup: Lookup) -> Value:
    """Compute an expression's value.

    Args:
        lookup: Gives the value of a symbol's token; raises `Mistake` if there is none.

    Raises:
        Mistake: A symbol is undefined, or a divisor is zero.
        NotKnownYet: The value depends on where sections will be placed.
    """
    stack: list[Value] = []
    for kind, token in expression.terms:
        if kind == "number":
            stack.append(Value(token.value))
        elif kind == "symbol":
            stack.append(lookup(token))
        elif kind == "unary":
            stack.append(_apply_unary(token, stack.pop()))
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_apply_binary(token, left, right))
    return stack.pop()


def wrap(number: int) -> int:
    """Bring a result back to 64 bits: unchanged from -2^63 to 2^64 - 1, else modulo 2^64, signed."""
    if -_MODULUS // 2 <= number < _MODULUS:
        return number
    return (number + _MODULUS // 2) % _MODULUS - _MODULUS // 2


def _apply_unary(token: Token, value: Value) -> Value:
    if token.text == "+":
        return value
    if value.section is not None:
        raise NotKnownYet(token)
    return Value(wrap(-value.number if token.text == "-" else ~value.number))


def _apply_binary(token: Token, left: Value, right: Value) -> Value:
    """Apply an operator; sums and differences of addresses keep or cancel their section."""
    if left.section is None and right.section is None:
        return Value(wrap(_calculate(token, left.number, right.number)))
    if token.text == "+" and (left.section is None or right.section is None):
        return Value(wrap(left.number + right.number), left.section or right.section)
    if token.text == "-" and left.section is right.section:
        return Value(wrap(left.number - right.number))
    if token.text == "-" and right.section is None:
        return Value(wrap(left.number - right.number), left.section)
    raise NotKnownYet(token)


def _calculate(token: Token, left: int, right: int) -> int:
    """Apply a binary operator to two numbers."""
    operator = token.text
    if operator in ("/", "%"):
        if right == 0:
            raise Mistake("division by zero", token)
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        return quotient if operator == "/" else left - quotient * right
    if operator in ("<<", ">>"):
        if not 0 <= right < 64:
            raise Mistake(f"shift by {right}; must be 0 to 63", token)
        return left << right if operator == "<<" else left % _MODULUS >> right
    return _BITWISE_AND_SUMS[operator](left, right)


_BITWISE_AND_SUMS: dict[str, Callable[[int, int], int]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "&": lambda left, right: left & right,
    "|": lambda left, right: left | right,
    "^": lambda left, right: left ^ right,
}
