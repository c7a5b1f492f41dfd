"""Directives: data, sections, alignment, symbols.

Source: the manual of the GNU assembler, "Assembler Directives".

Directives that only inform a linker or a debugger are accepted and ignored. Left out: conditional assembly,
`.uleb128`, floating-point data. Refused: everything that reads files, because programs come from strangers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from emulator.isa.assembly.expressions import Expression, Value, describe, parse_expression
from emulator.isa.assembly.lexer import Token, unescape
from emulator.isa.assembly.macros import LineReader, Macro, parse_macro
from emulator.isa.assembly.problems import Mistake, did_you_mean, quote
from emulator.isa.assembly.sections import OUTPUT_LIMIT, Sections
from emulator.isa.assembly.statements import Operand, Statement
from emulator.isa.assembly.symbols import Place, SymbolTable


class Context(Protocol):
    """What directives may use of the assembler."""

    sections: Sections
    symbols: SymbolTable
    reader: LineReader
    macros: dict[str, Macro]
    exported: set[str]

    def here(self) -> Place:
        """Return the current place."""
        ...

    def value_now(self, expression: Expression) -> Value:
        """Evaluate an expression that must not depend on what follows."""
        ...

    def add_number(self, expression: Expression, width: int) -> None:
        """Emit a number of `width` bytes."""
        ...

    def note_line(self) -> None:
        """Remember which line the data that follows comes from."""
        ...


def assemble_directive(context: Context, statement: Statement) -> None:
    """Carry out one directive.

    Raises:
        Mistake: It is unknown or refused, or an operand is wrong.
    """
    name = statement.name.text
    if name in _DIRECTIVES:
        _DIRECTIVES[name](context, statement)
    elif name in _REFUSED:
        raise Mistake(f"{name} is refused: {_REFUSED[name]}", statement.name)
    elif name not in _IGNORED and not name.startswith(".cfi_"):
        hint = did_you_mean(name, _DIRECTIVES)
        raise Mistake(f"the directive {quote(name)} is not known{hint}", statement.name)


def expression_of(operand: Operand) -> Expression:
    """Parse an operand that is one expression."""
    expression, position = parse_expression(operand.tokens)
    rest = operand.tokens[position]
    if rest.kind != "end":
        raise Mistake(f"expected `,` or the end of the line, found {describe(rest)}", rest)
    return expression


def _number(context: Context, operand: Operand, low: int, high: int) -> int:
    """Return the value of an operand, which must be a number from `low` to `high` known at this point."""
    value = context.value_now(expression_of(operand))
    if value.section is not None:
        raise Mistake("expected a number, found an address", operand.first)
    if not low <= value.number <= high:
        raise Mistake(f"{value.number} is out of range; must be {low} to {high}", operand.first)
    return value.number


def _operands(statement: Statement, least: int, most: int, usage: str) -> Sequence[Operand]:
    """Return the operands if there are as many as allowed, else show the directive's usage."""
    count = len(statement.operands)
    if least <= count <= most:
        return statement.operands
    token = statement.operands[most].first if count > most else statement.end
    raise Mistake(
        f"{statement.name.text} takes {usage}, found {count} operand{'' if count == 1 else 's'}", token
    )


def _name(operand: Operand, what: str) -> Token:
    if operand.first.kind != "name" or len(operand.tokens) != 2:
        raise Mistake(f"expected {what}, found {describe(operand.first)}", operand.first)
    return operand.first


def _data(width: int) -> Callable[[Context, Statement], None]:
    """Make the directive that emits numbers of `width` bytes."""

    def directive(context: Context, statement: Statement) -> None:
        context.note_line()
        for operand in _operands(statement, 1, OUTPUT_LIMIT, "one number or more"):
            context.add_number(expression_of(operand), width)

    return directive


def _strings(terminator: bytes) -> Callable[[Context, Statement], None]:
    """Make the directive that emits strings, each followed by `terminator`."""

    def directive(context: Context, statement: Statement) -> None:
        context.note_line()
        for operand in _operands(statement, 1, OUTPUT_LIMIT, 'a string (`"text"`) or more'):
            parts = operand.tokens[:-1]
            for token in parts:
                if token.kind != "string":
                    raise Mistake(f'expected a string like "text", found {describe(token)}', token)
            text = b"".join(unescape(token.text[1:-1]) for token in parts)
            context.sections.append(text + terminator, operand.first)

    return directive


def _zero(context: Context, statement: Statement) -> None:
    operands = _operands(statement, 1, 2, "a number of bytes")
    size = _number(context, operands[0], 0, OUTPUT_LIMIT)
    fill = _number(context, operands[1], -128, 255) if len(operands) == 2 else 0
    context.note_line()
    _fill(context, bytes([fill & 0xFF]), size, operands[0].first)


def _fill_directive(context: Context, statement: Statement) -> None:
    """`.fill repeat, size, value`."""
    operands = _operands(statement, 1, 3, "a count, a size and a value")
    count = _number(context, operands[0], 0, OUTPUT_LIMIT)
    size = _number(context, operands[1], 0, 8) if len(operands) > 1 else 1
    value = _number(context, operands[2], -(1 << 63), (1 << 64) - 1) if len(operands) > 2 else 0
    context.note_line()
    _fill(context, (value % (1 << 64)).to_bytes(8, "little")[:size], count, operands[0].first)


def _fill(context: Context, pattern: bytes, count: int, token: Token) -> None:
    """Emit a pattern `count` times, after checking that it fits."""
    if len(pattern) * count > OUTPUT_LIMIT:
        raise Mistake(
            f"{len(pattern) * count} bytes are more than the limit of {OUTPUT_LIMIT >> 20} MiB", token
        )
    context.sections.append(pattern * count, token)


def _align(power: bool) -> Callable[[Context, Statement], None]:
    """Make `.align` and `.p2align` (an exponent) or `.balign` (a number of bytes)."""

    def directive(context: Context, statement: Statement) -> None:
        operands = _operands(statement, 1, 3, "an alignment")
        if power:
            alignment = 1 << _number(context, operands[0], 0, 20)
        else:
            alignment = _number(context, operands[0], 1, 1 << 20)
            if alignment & alignment - 1:
                raise Mistake(f"{alignment} is not a power of two", operands[0].first)
        section = context.sections.current
        section.alignment = max(section.alignment, alignment)
        padding = section.padding(alignment)
        if len(operands) > 1 and len(operands[1].tokens) > 1:
            padding = bytes([_number(context, operands[1], -128, 255) & 0xFF]) * len(padding)
        context.sections.append(padding, operands[0].first)

    return directive


def _org(context: Context, statement: Statement) -> None:
    """`.org offset`: go on at an offset in the section, which may be given as a label of it plus a number."""
    (operand,) = _operands(statement, 1, 1, "an offset in this section")
    value = context.value_now(expression_of(operand))
    section = context.sections.current
    if value.section is not None and value.section is not section:
        raise Mistake(f"this place is in {value.section.name}, not in {section.name}", operand.first)
    distance = value.number - len(section.data)
    if distance < 0:
        raise Mistake(
            f".org cannot go back: {section.name} already has {len(section.data)} bytes", operand.first
        )
    if distance > OUTPUT_LIMIT:
        raise Mistake(f"{distance} bytes are more than the limit of {OUTPUT_LIMIT >> 20} MiB", operand.first)
    context.sections.append(bytes(distance), operand.first)


def _equ(context: Context, statement: Statement) -> None:
    name, value = _operands(statement, 2, 2, "a name and a value (`.equ SIZE, 16`)")
    context.symbols.define_constant(_name(name, "a name"), expression_of(value), context.here())


def _globl(context: Context, statement: Statement) -> None:
    for operand in _operands(statement, 1, 1024, "a label"):
        context.exported.add(_name(operand, "a label").text)


def _section_named(name: str) -> Callable[[Context, Statement], None]:
    def directive(context: Context, _statement: Statement) -> None:
        context.sections.select(name)

    return directive


def _section(context: Context, statement: Statement) -> None:
    """`.section name, "flags", @type`."""
    operands = _operands(statement, 1, 5, 'a name and perhaps flags (`.section .vectors, "ax"`)')
    words = "".join(
        token.text for token in operands[0].tokens
    )  # names like .note.GNU-stack have marks in them
    name = words.strip('"')
    if not name:
        raise Mistake(f"expected a section's name, found {describe(operands[0].first)}", operands[0].first)
    flags = None
    if len(operands) > 1:
        if operands[1].first.kind != "string":
            raise Mistake(f'expected flags like "aw", found {describe(operands[1].first)}', operands[1].first)
        flags = operands[1].first.text.strip('"')
    nobits = len(operands) > 2 and operands[2].tokens[-2].text == "nobits"
    context.sections.select(name, flags, nobits)


def _comm(context: Context, statement: Statement) -> None:
    """`.comm name, size, alignment`: room in .bss."""
    operands = _operands(statement, 2, 3, "a name, a size and perhaps an alignment")
    previous = context.sections.current
    section = context.sections.select(".bss")
    alignment = _number(context, operands[2], 1, 1 << 20) if len(operands) == 3 else 8
    section.alignment = max(section.alignment, alignment)
    context.sections.append(bytes(-len(section.data) % alignment), statement.name)
    context.symbols.define_label(_name(operands[0], "a name"), context.here())
    _fill(context, b"\0", _number(context, operands[1], 0, OUTPUT_LIMIT), operands[1].first)
    context.sections.current = previous


def _macro(context: Context, statement: Statement) -> None:
    body = context.reader.read_block(statement.name)
    macro = parse_macro(statement.operands, body, statement.end)
    context.macros[macro.name] = macro


def _rept(context: Context, statement: Statement) -> None:
    body = context.reader.read_block(statement.name)
    (count,) = _operands(statement, 1, 1, "a count")
    context.reader.repeat(body, _number(context, count, 0, 1 << 20), count.first)


def _stray(opener: str) -> Callable[[Context, Statement], None]:
    def directive(_context: Context, statement: Statement) -> None:
        raise Mistake(f"{statement.name.text} without {opener}", statement.name)

    return directive


def _widths() -> Iterator[tuple[str, Callable[[Context, Statement], None]]]:
    for width, names in ((1, ".byte"), (2, ".half .short .2byte"), (4, ".word .long .4byte")):
        yield from ((name, _data(width)) for name in names.split())
    yield from ((name, _data(8)) for name in (".dword", ".quad", ".8byte"))


_DIRECTIVES: Mapping[str, Callable[[Context, Statement], None]] = {
    **dict(_widths()),
    ".ascii": _strings(b""),
    ".asciz": _strings(b"\0"),
    ".string": _strings(b"\0"),
    ".zero": _zero,
    ".skip": _zero,
    ".space": _zero,
    ".fill": _fill_directive,
    ".align": _align(power=True),
    ".p2align": _align(power=True),
    ".balign": _align(power=False),
    ".org": _org,
    ".equ": _equ,
    ".set": _equ,
    ".globl": _globl,
    ".global": _globl,
    ".text": _section_named(".text"),
    ".rodata": _section_named(".rodata"),
    ".data": _section_named(".data"),
    ".bss": _section_named(".bss"),
    ".section": _section,
    ".comm": _comm,
    ".macro": _macro,
    ".rept": _rept,
    ".endm": _stray(".macro"),
    ".endr": _stray(".rept"),
}
_REFUSED: Mapping[str, str] = {
    ".incbin": "a program may not read files of the computer that assembles it; write the data with .byte",
    ".include": "a program may not read files of the computer that assembles it; paste the text instead",
}
DIRECTIVE_NAMES = tuple(_DIRECTIVES)
_IGNORED = frozenset({
    ".type", ".size", ".file", ".ident", ".option", ".attribute", ".loc", ".local", ".weak", ".hidden",
    ".addrsig", ".addrsig_sym", ".end",
})  # fmt: skip
