"""Statements: labels, a name, and operands separated by commas."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from emulator.isa.assembly.lexer import Line, Token, complaint
from emulator.isa.assembly.problems import Mistake, quote
from emulator.isa.registers import FLOAT_REGISTER_NUMBERS, REGISTER_NUMBERS


@dataclass(frozen=True)
class Operand:
    """One operand: its tokens, followed by one of kind `end`."""

    tokens: tuple[Token, ...]

    @property
    def first(self) -> Token:
        """The token to blame for the whole operand."""
        return self.tokens[0]

    @property
    def shape(self) -> str:
        """Sort roughly: `register`, `float` (register), `memory` (it ends in `(register)`) or `value`."""
        words = self.tokens[:-1]
        if len(words) == 1 and words[0].text in REGISTER_NUMBERS:
            return "register"
        if len(words) == 1 and words[0].text in FLOAT_REGISTER_NUMBERS:
            return "float"
        if len(words) >= 3 and (words[-3].text, words[-1].text) == ("(", ")") and words[-2].kind == "name":
            modifier = len(words) == 5 and words[0].text == "%"  # `%lo(symbol)` alone is a value
            return "value" if modifier else "memory"
        return "value"


@dataclass(frozen=True)
class Statement:
    """An instruction or directive: its name, its operands, the end of it and the line it stands on."""

    name: Token
    operands: tuple[Operand, ...]
    end: Token
    line: Line


def split_statements(tokens: Sequence[Token]) -> Iterator[tuple[Token, ...]]:
    """Split a line's tokens at `;`; each part ends in a token of kind `end`.

    Raises:
        Mistake: Something in the line is no token.
    """
    start = 0
    for position, token in enumerate(tokens):
        if token.kind == "bad":
            raise Mistake(complaint(token), token)
        if token.kind == "end" or token.text == ";":
            yield (*tokens[start:position], Token("end", "", token.column))
            start = position + 1


def split_operands(tokens: Sequence[Token]) -> tuple[Operand, ...]:
    """Split the tokens after a statement's name at the commas outside parentheses.

    Raises:
        Mistake: Nothing stands between two commas.
    """
    operands: list[Operand] = []
    current: list[Token] = []
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
        if token.kind != "end" and (token.text != "," or token.kind == "string" or depth > 0):
            current.append(token)
            continue
        if not current and (operands or token.kind != "end"):
            raise Mistake(
                f"expected an operand before {quote(token.text) if token.text else 'the end'}", token
            )
        if current:
            operands.append(Operand((*current, Token("end", "", token.column))))
        current = []
    return tuple(operands)
