"""Instructions: choosing the form that fits the operands, and encoding it once every address is known."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from emulator.isa.aliases import aliases_by_name
from emulator.isa.assembly.lexer import Token
from emulator.isa.assembly.operands import (
    Deferred,
    Fields,
    elements_of,
    example_of,
    name_of_element,
    parse_operand,
    shape_of_element,
)
from emulator.isa.assembly.problems import Mistake, quote
from emulator.isa.assembly.statements import Operand, Statement
from emulator.isa.encodings import BY_NAME, encode, value_range
from emulator.isa.instruction import FLOAT_FIELDS, Expansion, Instruction
from emulator.isa.registers import FLOAT_REGISTERS, REGISTER_NUMBERS, REGISTERS, ROUNDING_MODES

_ORDERINGS: Mapping[str, Mapping[str, int]] = {"aqrl": {"aq": 1, "rl": 1}, "aq": {"aq": 1}, "rl": {"rl": 1}}
_REACH = {
    "branch": "use the opposite branch over a `j`",
    "jal": "use `call`, or `tail` if it should not return",
}


@dataclass(frozen=True)
class Word:
    """One instruction to encode: its row, its fields, and the token to blame.

    `operands` maps a field to the token it comes from, if that is not the field's own.
    """

    instruction: Instruction
    fields: Mapping[str, int | Deferred]
    token: Token
    operands: Mapping[str, Token] = field(default_factory=dict[str, Token])


class Form(NamedTuple):
    """One way to write a mnemonic: its operands, and the instruction with its fields."""

    syntax: str
    expands: Expansion


@lru_cache(maxsize=1024)
def forms_of(name: str) -> tuple[Form, ...]:
    """Return every way to write an instruction or alias; none if the name is unknown."""
    base, extra = _split_ordering(name)
    forms: list[Form] = []
    if base in BY_NAME:
        row = BY_NAME[base]
        fields = {name: name for name in row.fields if name not in ("aq", "rl", "fm")}
        if row.kind == "csri":
            fields["rs1"] = "zimm"
        forms.append(Form(row.syntax, Expansion(base, {**fields, **extra})))
    forms += [Form(alias.syntax, alias.expands) for alias in aliases_by_name().get(name, ())]
    return tuple(forms)


def _split_ordering(name: str) -> tuple[str, Mapping[str, int]]:
    """Split `amoadd.w.aq` into the instruction and its ordering bits."""
    base, _, suffix = name.rpartition(".")
    if suffix in _ORDERINGS and base in BY_NAME and "aq" in BY_NAME[base].fields:
        return base, _ORDERINGS[suffix]
    return name, {}


def assemble_one(statement: Statement, forms: Sequence[Form]) -> Word:
    """Turn a statement into an instruction, in the first of `forms` that fits its operands.

    Raises:
        Mistake: None fits, or an operand is wrong.
    """
    form = _best_form(statement, forms)
    elements = elements_of(form.syntax)
    given: Fields = {"rm": ROUNDING_MODES["dyn"]} if "[rm]" in elements else {}
    tokens: dict[str, Token] = {}
    for element, operand in zip(elements, statement.operands, strict=False):
        fields = parse_operand(element, operand)
        given |= fields
        tokens |= dict.fromkeys(fields, operand.first)
    instruction = BY_NAME[form.expands.name]
    zero = given.pop("zero", 0)
    if isinstance(zero, Deferred) and not _is_literal_zero(zero):
        raise Mistake(f"{statement.name.text} takes no offset; write only the register: (a0)", zero.token)
    sources = form.expands.operands.items()
    values = {name: given.get(source, 0) if isinstance(source, str) else source for name, source in sources}
    blame = {name: tokens[source] for name, source in sources if isinstance(source, str) and source in tokens}
    return Word(instruction, values, statement.name, blame)


def _is_literal_zero(value: Deferred) -> bool:
    terms = value.expression.terms
    return len(terms) == 1 and terms[0].kind == "number" and terms[0].token.value == 0


def _best_form(statement: Statement, forms: Sequence[Form]) -> Form:
    """Return the form whose operands look like the statement's, else one with as many, for a good message."""
    operands = statement.operands
    fitting = [form for form in forms if _count_fits(form, len(operands))]
    for form in fitting:
        if all(
            shape_of_element(e) == o.shape for e, o in zip(elements_of(form.syntax), operands, strict=False)
        ):
            return form
    if not fitting:
        _check_commas(operands)
        raise Mistake(_wrong_count(statement, forms), _count_token(statement, forms[0]))
    return max(fitting, key=lambda form: _likeness(form, operands))


def _check_commas(operands: Sequence[Operand]) -> None:
    """Refuse `addi a0 a0 1`: a register directly followed by another word."""
    for operand in operands:
        second = operand.tokens[1]
        if operand.first.text in REGISTER_NUMBERS and second.kind in ("name", "number", "local"):
            raise Mistake(f"expected `,` after {operand.first.text}, found {quote(second.text)}", second)


def _likeness(form: Form, operands: Sequence[Operand]) -> int:
    """Count the leading operands that have the shape a form wants."""
    matches = 0
    for element, operand in zip(elements_of(form.syntax), operands, strict=False):
        if shape_of_element(element) != operand.shape:
            break
        matches += 1
    return matches


def _count_fits(form: Form, count: int) -> bool:
    """Tell whether a form takes `count` operands; those in brackets may be left out."""
    elements = elements_of(form.syntax)
    optional = sum(element.startswith("[") for element in elements)
    return len(elements) - optional <= count <= len(elements)


def _wrong_count(statement: Statement, forms: Sequence[Form]) -> str:
    """Say how many operands an instruction takes, with an example."""
    name = statement.name.text
    wanted = elements_of(forms[0].syntax)
    found = len(statement.operands)
    takes = ", ".join(name_of_element(element) for element in wanted) if wanted else "no operands"
    many = f"{found} operand{'' if found == 1 else 's'}"
    return f"{name} takes {takes} (`{example_of(name, forms[0].syntax)}`), found {many}"


def _count_token(statement: Statement, form: Form) -> Token:
    """Return where the first surplus operand stands, or where the first missing one should."""
    wanted = len(elements_of(form.syntax))
    return statement.operands[wanted].first if len(statement.operands) > wanted else statement.end


class Resolver:
    """Computes deferred fields; it remembers each %pcrel_hi for the %pcrel_lo that goes with it."""

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}

    def resolve(self, deferred: Deferred, pc: int, number: int) -> int:
        """Return the field's value, for an instruction at `pc` and an expression whose value is `number`."""
        relation = deferred.relation
        if relation == "target":
            return _signed64(number - pc)
        if relation == "upper":
            return self._upper(deferred, number)
        if relation in ("hi", "lo"):
            return _half(relation, _absolute(deferred, number))
        if relation == "pair_hi":
            return _half("hi", _near(deferred, number, pc))
        if relation == "pair_lo":
            return _half("lo", _near(deferred, number, pc - 4))
        if relation == "pcrel_hi":
            self._offsets[pc] = _near(deferred, number, pc)
            return _half("hi", self._offsets[pc])
        if relation == "pcrel_lo":
            return self._pcrel_low(deferred, number)
        return _signed64(number) if number >= 1 << 63 else number

    def _pcrel_low(self, deferred: Deferred, label: int) -> int:
        """Return the low half of what the `%pcrel_hi` at the address `label` refers to."""
        if label not in self._offsets:
            message = "%pcrel_lo takes the label of the auipc that has %pcrel_hi, not the symbol itself"
            raise Mistake(message, deferred.expression.token)
        return _half("lo", self._offsets[label])

    def _upper(self, deferred: Deferred, number: int) -> int:
        """Return the field of `lui rd, number`, whose number is bits 31:12 of the result."""
        if not 0 <= number < 1 << 20:
            message = f"{number} does not fit the upper 20 bits; must be 0 to 0xfffff"
            raise Mistake(f"{message} (to load any number, use li)", deferred.token)
        return (number ^ 1 << 19) - (1 << 19) << 12


def _half(half: str, number: int) -> int:
    """Split an offset so that adding the sign-extended low 12 bits to the high part gives it back."""
    high = number + 0x800 >> 12 << 12
    if half == "lo":
        return number - high
    return (high + (1 << 31)) % (1 << 32) - (1 << 31)


def _near(deferred: Deferred, address: int, pc: int) -> int:
    """Return the offset of an address from `pc`, which must fit what a pair of instructions can add."""
    offset = _signed64(address - pc)
    if not _fits_pair(offset):
        raise Mistake(f"{address:#x} is not within 2 GiB of this instruction", deferred.token)
    return offset


def _absolute(deferred: Deferred, number: int) -> int:
    """Return a number that %hi and %lo can split."""
    signed = _signed64(number)
    if not _fits_pair(signed):
        message = f"%{deferred.relation} reaches -0x80000000 to 0x7fffffff, found {number:#x}; use la or li"
        raise Mistake(message, deferred.token)
    return signed


def _fits_pair(offset: int) -> bool:
    """Tell whether a signed upper part of 20 bits and a signed lower one of 12 can make a number."""
    return -(1 << 31) <= offset + 0x800 < 1 << 31


def _signed64(number: int) -> int:
    """Read a number as a 64-bit two's complement one."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def encode_word(word: Word, resolve: Callable[[Deferred], int]) -> int:
    """Encode an instruction; `resolve` computes its deferred fields.

    Raises:
        Mistake: A value does not fit its field.
    """
    fields: dict[str, int] = {}
    for name, source in word.fields.items():
        value = resolve(source) if isinstance(source, Deferred) else source
        complaint = next(_complaints(word.instruction, name, value), None)
        if complaint:
            blame = source.token if isinstance(source, Deferred) else word.operands.get(name, word.token)
            raise Mistake(complaint, blame)
        fields[name] = value
    return encode(word.instruction, fields)


def _complaints(instruction: Instruction, name: str, value: int) -> Iterator[str]:
    """Yield what is wrong with the value of a field, most important first."""
    low, high = value_range(instruction, name)
    if instruction.is_compact(name) and not low <= value <= high:
        yield f"{instruction.name} can use only the registers {_compact_registers(name, value)}"
    elif instruction.kind in _REACH and name == "imm":
        yield from _jump_complaints(instruction, value, low, high)
    elif not low <= value <= high:
        remedy = (
            " (load it into a register with li first)"
            if instruction.kind in ("alui", "load", "store", "fpload", "fpstore")
            else ""
        )
        yield f"{value} does not fit {instruction.name}; must be {low} to {high}{remedy}"
    alignment = instruction.field_alignment(name)
    if value % alignment:
        yield f"{value} does not fit {instruction.name}; must be a multiple of {alignment}"
    if (name, value) in instruction.constraints:
        what = value if name == "imm" else REGISTERS[value]
        yield f"{instruction.name} does not exist with {what} here; use the instruction without c."


def _compact_registers(field: str, found: int) -> str:
    """Name the registers that a 3-bit field can hold, and the one that it cannot."""
    if field in FLOAT_FIELDS:
        return f"fs0, fs1 and fa0 to fa5, found {FLOAT_REGISTERS[found]}"
    return f"s0, s1 and a0 to a5, found {REGISTERS[found]}"


def _jump_complaints(instruction: Instruction, offset: int, low: int, high: int) -> Iterator[str]:
    """Yield what is wrong with the distance of a branch or jump."""
    if offset % 2:
        yield "the target is an odd address; instructions are at even ones"
    if not low <= offset <= high:
        reach = f"{instruction.name} reaches {low} to +{high}"
        yield f"the target is {offset:+} bytes away, {reach}; {_REACH[instruction.kind]}"
