"""Parameters of a lesson: what is drawn for each student, from a seed alone.

`params:` in the front matter names them; a parameter is a range, a choice, a token, or derived from others.
What is drawn is a function of the seed, the parameter's name and the number of the try: a new parameter
does not change the others, and a draw that a constraint refuses is drawn again.
"""

import hmac
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.lessons.errors import shown
from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.expression import Expression, ExpressionError
from app.lessons.expression import parse as parse_expression
from app.lessons.facts import BOOL
from app.lessons.table import Table
from app.lessons.typecheck import type_of_names
from emulator.lab.quantities import DURATION_UNITS, RATE_UNITS, SIZE_UNITS, parse_quantity

TRIES = 1_000
MAXIMUM_PARAMETERS = 40
TOKEN_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
CONSTANTS: Mapping[str, int] = {
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
}
"""Names that every expression knows: sizes are bytes, durations nanoseconds."""

UNITS: Mapping[str, Mapping[str, int]] = {
    "size": SIZE_UNITS,
    "duration": DURATION_UNITS,
    "rate": RATE_UNITS,
}
KINDS = Literal["int", "hex", "size", "duration", "rate", "text"]

Number = Annotated[int | str, Field(description="A whole number, or a quantity such as 2 MiB, 5 ms, 10 MHz")]
# Nothing here means anything to YAML, Markdown, HTML or an assembler, so that values need no escaping.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/+-]{0,59}")
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


class RangeTable(Table):
    """A number from a range: `{from: 1 MiB, to: 4 MiB, step: 512 KiB}`."""

    first: Annotated[Number, Field(alias="from")]
    last: Annotated[Number, Field(alias="to")]
    step: Number = 1
    shown_as: Annotated[Literal["hex"] | None, Field(alias="as")] = None


class ChoiceTable(Table):
    """One of a list: `{one_of: [web, mail, files]}`."""

    one_of: Annotated[list[int | str], Field(min_length=2, max_length=200)]


class TokenTable(Table):
    """A word nobody can guess, of so many letters and digits: `{token: 8}`."""

    token: Annotated[int, Field(ge=4, le=40)]


class DerivedTable(Table):
    """A value that follows from parameters above it: `{value: memory / (4 * KiB)}`."""

    value: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    shown_as: Annotated[KINDS | None, Field(alias="as")] = None


ParamTable = RangeTable | ChoiceTable | TokenTable | DerivedTable
TABLES: Mapping[str, type[ParamTable]] = {
    "from": RangeTable,
    "one_of": ChoiceTable,
    "token": TokenTable,
    "value": DerivedTable,
}


class ParamError(Exception):
    """A fault of a parameter, of its `key` if one is at fault."""

    def __init__(self, message: str, key: str = "") -> None:
        self.key = key
        self.message = message
        super().__init__(message)


@dataclass(frozen=True)
class Value:
    """What a parameter is for one student; sizes are bytes, durations nanoseconds, rates hertz."""

    value: int | str
    kind: str

    def shown(self, unit: str = "") -> str:
        """Return it as text, in a unit if one is given; raise ParamError if it has no such unit."""
        if unit == "hex" or (self.kind == "hex" and not unit):
            if isinstance(self.value, str):
                raise ParamError("is text and cannot be shown as hex")
            return f"{self.value:#x}"
        if unit:
            return self._in(unit)
        units = UNITS.get(self.kind)
        return _quantity(self.value, units) if units and isinstance(self.value, int) else str(self.value)

    def _in(self, unit: str) -> str:
        units = UNITS.get(self.kind, {})
        if isinstance(self.value, str):
            raise ParamError(f"is text and has no unit; write it without '| {unit[:20]}'")
        if not units:
            kind = next((kind for kind, known in UNITS.items() if unit in known), "")
            remedy = f"; if it is a {kind}, write {{value: ..., as: {kind}}}" if kind else "; known: hex"
            raise ParamError(f"is a plain number and has no unit '{unit[:20]}'{remedy}")
        if unit not in units:
            raise ParamError(
                f"is a {self.kind} and has no unit '{unit[:20]}'; units: {', '.join(units)}, hex"
            )
        return _decimal(Fraction(self.value, units[unit]))


def _quantity(value: int, units: Mapping[str, int]) -> str:
    """Return a quantity as a person writes it: the largest unit that needs at most two decimals."""
    smallest = next(iter(units))
    fitting = [name for name in units if value >= units[name] and Fraction(value * 100, units[name]) % 1 == 0]
    unit = fitting[-1] if fitting else smallest
    return f"{_decimal(Fraction(value, units[unit]))} {unit}"


def _decimal(number: Fraction) -> str:
    return str(int(number)) if number.denominator == 1 else f"{float(number):.3f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class Range:
    """Numbers from `first` in `count` steps of `step`."""

    first: int
    step: int
    count: int
    kind: str

    def draw(self, number: int) -> Value:
        """Return the value for a number from 0 to 2^64."""
        return Value(self.first + self.step * (number % self.count), self.kind)


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: Sequence[Value]

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self.values)

    def draw(self, number: int) -> Value:
        """Return the value for a number from 0 to 2^64."""
        return self.values[number % self.count]


@dataclass(frozen=True)
class Token:
    """Random letters."""

    length: int

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(TOKEN_LETTERS) ** self.length

    def draw(self, number: int) -> Value:
        """Return the value for a number from 0 to 2^256."""
        letters: list[str] = []
        for _ in range(self.length):
            number, index = divmod(number, len(TOKEN_LETTERS))
            letters.append(TOKEN_LETTERS[index])
        return Value("".join(letters), "text")


@dataclass(frozen=True)
class Derived:
    """An expression over the parameters above."""

    expression: Expression
    kind: str | None


Parameter = Range | Choice | Token | Derived


@dataclass(frozen=True)
class Parameters:
    """All parameters of a lesson, and what must hold between them."""

    items: Mapping[str, Parameter]
    constraints: tuple[Expression, ...] = ()

    @property
    def count(self) -> int:
        """Return how many different draws there are at most."""
        return math.prod(item.count for item in self.items.values() if not isinstance(item, Derived))

    def draw(self, seed: int) -> dict[str, Value]:
        """Return the values for a seed; raise ParamError if no draw meets the constraints."""
        for attempt in range(TRIES):
            values = self._draw(seed, attempt)
            if all(self._holds(constraint, values) for constraint in self.constraints):
                return values
        raise ParamError(
            f"no draw of {TRIES} meets every constraint; loosen them, or derive one of the values"
        )

    def accepted(self, seeds: int) -> float:
        """Return which part of first draws meets the constraints."""
        draws = (self._draw(seed, 0) for seed in range(seeds))
        good = sum(all(self._holds(each, values) for each in self.constraints) for values in draws)
        return good / seeds

    def _draw(self, seed: int, attempt: int) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, item in self.items.items():
            if isinstance(item, Derived):
                values[name] = _derive(name, item, values)
            else:
                values[name] = item.draw(_number(seed, name, attempt))
        return values

    def _holds(self, constraint: Expression, values: Mapping[str, Value]) -> bool:
        try:
            return bool(Evaluator(constraint.bound(plain(values))).value(constraint.root))
        except NoValue as error:
            raise ParamError(f"constraint '{constraint.text}': {error}") from error


def _number(seed: int, name: str, attempt: int) -> int:
    message = f"{name} {attempt}".encode()
    return int.from_bytes(hmac.digest(seed.to_bytes(8, "big"), message, "sha256"), "big")


def _derive(name: str, item: Derived, values: Mapping[str, Value]) -> Value:
    try:
        found = Evaluator(item.expression.bound(plain(values))).value(item.expression.root)
    except NoValue as error:
        raise ParamError(f"{name}: {error}", name) from error
    return Value(found, item.kind or ("text" if isinstance(found, str) else "int"))


def plain(values: Mapping[str, Value]) -> dict[str, int | str]:
    """Return the names that an expression of the lesson knows, with their values."""
    return {**CONSTANTS, **{name: value.value for name, value in values.items()}}


def read_parameter(name: str, table: ParamTable, above: Mapping[str, Parameter]) -> Parameter:
    """Return the parameter that a table describes; raise ParamError."""
    if name in CONSTANTS:
        raise ParamError(f"'{name}' is a unit in expressions; choose another name")
    match table:
        case RangeTable():
            return _range(table)
        case ChoiceTable(one_of=values):
            return _choice(values)
        case TokenTable(token=length):
            return Token(length)
        case DerivedTable():
            return Derived(_typed(table.value, above), table.shown_as)


def _range(table: RangeTable) -> Range:
    kinds: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for key, text in (("from", table.first), ("to", table.last), ("step", table.step)):
        numbers[key], kinds[key] = _measure(text, key)
    kind = kinds["from"]
    if kinds["to"] != kind or (kinds["step"] != kind and "step" in table.model_fields_set):
        raise ParamError("from, to and step must be of one kind, like 1 MiB, 4 MiB and 512 KiB", "to")
    if numbers["step"] < 1 or numbers["to"] <= numbers["from"]:
        raise ParamError("'to' must be larger than 'from', and 'step' at least 1", "to")
    count = (numbers["to"] - numbers["from"]) // numbers["step"] + 1
    return Range(numbers["from"], numbers["step"], count, table.shown_as or kind)


def _measure(text: int | str, key: str) -> tuple[int, str]:
    """Return a number or quantity and its kind."""
    if isinstance(text, int):
        if not 0 <= text < 1 << 63:
            raise ParamError(f"{key} must be from 0 to 2^63", key)
        return text, "int"
    for kind, units in UNITS.items():
        if any(
            text.rstrip().endswith(unit) and text.rstrip()[: -len(unit)].rstrip()[-1:].isdigit()
            for unit in units
        ):
            try:
                return parse_quantity(text, units, "2 MiB"), kind
            except ValueError as error:
                raise ParamError(f"{key}: {error}", key) from error
    raise ParamError(f"{key} is {text[:40]!r}; write a whole number, or a quantity like 2 MiB or 5 ms", key)


def _choice(values: Sequence[int | str]) -> Choice:
    found: list[Value] = []
    for value in values:
        try:
            number, kind = _measure(value, "one_of")
            found.append(Value(number, kind))
        except ParamError:
            if not _WORD.fullmatch(str(value)):
                what = "1 to 60 letters, digits, spaces and . _ / + -"
                message = f"one_of: {shown(value)!r} cannot be put into every file; use {what}"
                raise ParamError(message, "one_of") from None
            found.append(Value(value, "text"))
    if len({value.kind for value in found}) > 1:
        raise ParamError("one_of mixes kinds; write only numbers, only sizes, or only words", "one_of")
    if len(set(found)) < len(found):
        raise ParamError("one_of names a value twice; drop one", "one_of")
    return Choice(tuple(found))


def _typed(text: str, above: Mapping[str, Parameter]) -> Expression:
    """Parse an expression over the parameters above; raise ParamError."""
    try:
        expression = parse_expression(text).bound(_samples(above))
        if type_of_names(expression).name not in ("int", "text"):
            raise ExpressionError(1, "must give a whole number or a text")
    except ExpressionError as error:
        raise ParamError(f"value, character {error.column}: {error.message}", "value") from error
    return expression


def read_constraint(text: str, parameters: Mapping[str, Parameter]) -> Expression:
    """Parse what must hold between parameters; raise ParamError."""
    try:
        expression = parse_expression(text).bound(_samples(parameters))
        found = type_of_names(expression)
        if found != BOOL:
            raise ExpressionError(1, f"gives {found}; a constraint must be true or false")
    except ExpressionError as error:
        raise ParamError(f"character {error.column}: {error.message}") from error
    return expression


def _samples(parameters: Mapping[str, Parameter]) -> dict[str, int | str]:
    """Return one value of each parameter's type."""
    return {**CONSTANTS, **dict(_sampled(parameters))}


def _sampled(parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, int | str]]:
    for name, item in parameters.items():
        if isinstance(item, Derived):
            yield name, "" if type_of_names(item.expression).name == "text" else 0
        else:
            yield name, item.draw(0).value
