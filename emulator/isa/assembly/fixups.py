"""Fixups: instructions and numbers that depend on addresses, filled in once every section is placed."""

from collections.abc import Sequence
from dataclasses import dataclass

from emulator.isa.assembly.expressions import Expression, NotKnownYet, evaluate
from emulator.isa.assembly.instructions import Resolver, Word, encode_word
from emulator.isa.assembly.lexer import Line, Token
from emulator.isa.assembly.operands import Deferred
from emulator.isa.assembly.problems import Mistake, ProblemList
from emulator.isa.assembly.symbols import Place, SymbolTable


@dataclass(frozen=True)
class Fixup:
    """An instruction, or a number of `width` bytes, and where it goes.

    `dot` is what `.` means in it: for the second instruction of a pair, the place of the first.
    """

    place: Place
    dot: Place
    line: Line
    content: Word | Expression
    width: int


def compute(fixup: Fixup, symbols: SymbolTable, resolver: Resolver | None = None) -> bytes:
    """Return the bytes that stand at a fixup.

    Args:
        resolver: Given once addresses are known; without it, only what does not depend on them has a value.

    Raises:
        NotKnownYet: It depends on addresses, and there is no resolver.
        Mistake: A symbol is undefined, or the value does not fit.
    """
    content = fixup.content
    if isinstance(content, Expression):
        return number_bytes(_value(content, fixup, symbols), fixup.width, content.token)

    def resolve(deferred: Deferred) -> int:
        if resolver is None and deferred.relation not in ("value", "upper"):
            raise NotKnownYet(deferred.token)
        number = _value(deferred.expression, fixup, symbols)
        address = fixup.place.section.address + fixup.place.offset
        return (resolver or Resolver()).resolve(deferred, address, number)

    return encode_word(content, resolve).to_bytes(fixup.width, "little")


def _value(expression: Expression, fixup: Fixup, symbols: SymbolTable) -> int:
    """Return an expression's value as a number."""
    value = evaluate(expression, symbols.lookup(fixup.dot))
    if value.section is not None:
        raise NotKnownYet(expression.token)
    return value.number


def number_bytes(number: int, width: int, token: Token) -> bytes:
    """Return a number's little-endian bytes; it may be signed or unsigned."""
    bits = 8 * width
    if not -(1 << bits - 1) <= number < 1 << bits:
        span = f"{-(1 << bits - 1)} to {(1 << bits) - 1}"
        raise Mistake(f"{number} does not fit {width} byte{'' if width == 1 else 's'}; must be {span}", token)
    return (number % (1 << bits)).to_bytes(width, "little")


def fill_in(fixups: Sequence[Fixup], symbols: SymbolTable, problems: ProblemList) -> None:
    """Fill in every fixup, each %pcrel_hi before the first %pcrel_lo; addresses must be known."""
    resolver = Resolver()
    for fixup in sorted(fixups, key=_refers_to_another_instruction):
        if problems.full:
            return
        try:
            data = compute(fixup, symbols, resolver)
        except Mistake as mistake:
            problems.report(mistake, fixup.line)
        else:
            offset = fixup.place.offset
            fixup.place.section.data[offset : offset + fixup.width] = data


def _refers_to_another_instruction(fixup: Fixup) -> bool:
    """Tell whether a fixup has a %pcrel_lo, whose value is decided by the instruction with the %pcrel_hi."""
    fields = fixup.content.fields.values() if isinstance(fixup.content, Word) else ()
    return any(isinstance(field, Deferred) and field.relation == "pcrel_lo" for field in fields)
