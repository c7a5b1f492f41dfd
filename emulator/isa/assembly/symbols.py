"""Symbols: labels, numeric local labels, `.equ` constants, and `.` itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from emulator.isa.assembly.expressions import Expression, Lookup, NotKnownYet, Value, evaluate
from emulator.isa.assembly.lexer import Token
from emulator.isa.assembly.problems import Mistake, did_you_mean, quote
from emulator.isa.assembly.sections import Section
from emulator.isa.csrs import CSR_NUMBERS
from emulator.isa.registers import REGISTER_NUMBERS

_EQUATE_DEPTH = 50


@dataclass(frozen=True)
class Place:
    """A position in a section; `line` is where the source defines it."""

    section: Section
    offset: int
    line: int


@dataclass(frozen=True)
class Equate:
    """A constant whose value is not known yet: an expression and the place of its `.`."""

    expression: Expression
    place: Place


class SymbolTable:
    """Every symbol of a program.

    While the program is read, a label's value is an offset in its section; after `addresses_known` is set it
    is an address.
    """

    def __init__(self, predefined: Mapping[str, int]) -> None:
        self.labels: dict[str, Place] = {}
        self.equates: dict[str, Value | Equate] = {name: Value(value) for name, value in predefined.items()}
        self.addresses_known = False
        self._local: dict[str, list[Place]] = {}
        self._depth = 0

    def define_label(self, token: Token, place: Place) -> None:
        """Define a label at a place; a number is a local label, which may be defined again."""
        name = token.text
        if token.kind == "number":
            self._local.setdefault(name, []).append(place)
            return
        if name in self.labels:
            raise Mistake(f"{quote(name)} is already defined, in line {self.labels[name].line}", token)
        if name in self.equates:
            raise Mistake(f"{quote(name)} is already a constant; choose another name", token)
        _check_name(token)
        self.labels[name] = place

    def define_constant(self, token: Token, expression: Expression, place: Place) -> None:
        """Define or redefine a constant; its value may be known only later."""
        if token.text in self.labels:
            line = self.labels[token.text].line
            raise Mistake(f"{quote(token.text)} is already a label, in line {line}", token)
        _check_name(token)
        try:
            self.equates[token.text] = evaluate(expression, self.lookup(place))
        except NotKnownYet:
            self.equates[token.text] = Equate(expression, place)

    def number_local_labels(self, tokens: Iterable[Token]) -> tuple[Token, ...]:
        """Give each `1b` and `1f` the index of the definition it means; it depends on where it stands."""
        return tuple(self._number(token) if token.kind == "local" else token for token in tokens)

    def _number(self, token: Token) -> Token:
        defined = len(self._local.get(token.text[:-1], ()))
        if token.text[-1] == "b" and defined == 0:
            raise Mistake(f"{quote(token.text)} finds no label `{token.text[:-1]}:` above this line", token)
        return token._replace(value=defined - 1 if token.text[-1] == "b" else defined)

    def lookup(self, place: Place) -> Lookup:
        """Return the function that gives symbols their value, with `.` at `place`."""

        def value(token: Token) -> Value:
            if token.text == ".":
                return self._value_of(place)
            if token.kind == "local":
                return self._local_value(token)
            if token.text in self.labels:
                return self._value_of(self.labels[token.text])
            return self._constant(token)

        return value

    def _value_of(self, place: Place) -> Value:
        return self._resolved(Value(place.offset, place.section))

    def _resolved(self, value: Value) -> Value:
        """Turn an offset in a section into an address, once there are addresses."""
        if value.section is None or not self.addresses_known:
            return value
        return Value(value.number + value.section.address)

    def _local_value(self, token: Token) -> Value:
        places = self._local.get(token.text[:-1], ())
        if token.value < len(places):
            return self._value_of(places[token.value])
        if self.addresses_known:
            raise Mistake(f"{quote(token.text)} finds no label `{token.text[:-1]}:` below this line", token)
        raise NotKnownYet(token)

    def _constant(self, token: Token) -> Value:
        """Return a constant's value, or say that the symbol does not exist."""
        equate = self.equates.get(token.text)
        if isinstance(equate, Equate):
            return self._evaluate_equate(equate, token)
        if equate is not None:
            return self._resolved(equate)
        if not self.addresses_known:
            raise NotKnownYet(token)
        raise Mistake(self._undefined(token), token)

    def _evaluate_equate(self, equate: Equate, token: Token) -> Value:
        if self._depth >= _EQUATE_DEPTH:
            raise Mistake(f"{quote(token.text)} is defined by itself, or through too many others", token)
        self._depth += 1
        try:
            value = evaluate(equate.expression, self.lookup(equate.place))
        except Mistake as mistake:
            if self._depth > 1:
                raise
            message = f"{quote(token.text)}, defined in line {equate.place.line}: {mistake.message}"
            raise Mistake(message, token) from None
        finally:
            self._depth -= 1
        self.equates[token.text] = value  # so that a tree of constants costs no more than its size
        return value

    def _undefined(self, token: Token) -> str:
        """Say that a symbol is undefined, and what may have been meant."""
        if token.text in REGISTER_NUMBERS:
            return f"expected a number or a symbol, found the register {quote(token.text)}"
        hint = did_you_mean(token.text, (*self.labels, *self.equates, *CSR_NUMBERS))
        return f"the symbol {quote(token.text)} is not defined{hint}"


def _check_name(token: Token) -> None:
    if token.text in REGISTER_NUMBERS:
        raise Mistake(f"{quote(token.text)} is the name of a register; choose another", token)
    if token.text == ".":
        raise Mistake("`.` is the address of this place; to move it, use .org", token)
