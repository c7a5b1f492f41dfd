r"""Lines in the order of assembly: the source with `.macro` calls and `.rept` blocks expanded.

Parameters are written `\name`, may have a default (`name=value`), and arguments are given by position or by
name. `\@` is the number of expansions so far, and `\()` separates a parameter from what follows. Left out:
`:req`, `:vararg`, `.irp` and conditional assembly.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from emulator.isa.assembly.lexer import Line, Token
from emulator.isa.assembly.problems import Mistake, quote
from emulator.isa.assembly.statements import Operand

LINE_LIMIT = 60_000
STATEMENT_LIMIT = 40_000
CHARACTER_LIMIT = 32 << 20
LENGTH_LIMIT = 64 << 10
ARGUMENT_LIMIT = 1024
DEPTH_LIMIT = 64

_PARAMETER = re.compile(r"\\(?:([A-Za-z_]\w*)|(@)|(\(\)))", re.ASCII)
_BLOCK_WORD = re.compile(r"\s*(?:[\w.$]+:)?\s*(\.macro|\.endm|\.rept|\.endr)\b", re.ASCII)
_CLOSERS = {".macro": ".endm", ".rept": ".endr"}


@dataclass(frozen=True)
class Macro:
    """A macro: parameters with their defaults, and the lines between `.macro` and `.endm`."""

    name: str
    parameters: Mapping[str, str]
    body: Sequence[Line]


class LineReader:
    """Gives the lines of a program; expansions are put in front of what follows them.

    Attributes:
        exhausted: Whether a limit was passed, which ends the program.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self._stack: list[Iterator[Line]] = [iter(lines)]
        self._lines_read = 0
        self._characters = 0
        self._expansions = 0
        self._statements = 0
        self.exhausted = False

    def next_line(self) -> Line | None:
        """Return the next line, or None at the end of the program."""
        while self._stack and not self.exhausted:
            line = next(self._stack[-1], None)
            if line is not None:
                self._count(line)
                return line
            self._stack.pop()
        return None

    def count_statement(self, token: Token) -> None:
        """Refuse programs of more statements than anyone waits for."""
        self._statements += 1
        if self._statements > STATEMENT_LIMIT:
            self.exhausted = True
            raise Mistake(f"the program has more than {STATEMENT_LIMIT} statements", token)

    def _count(self, line: Line) -> None:
        """Refuse programs that expand without end."""
        self._lines_read += 1
        self._characters += len(line.code)
        if self._lines_read > LINE_LIMIT or self._characters > CHARACTER_LIMIT:
            self.exhausted = True
            message = f"the program has more than {LINE_LIMIT} lines after expanding macros and .rept"
            raise Mistake(message, Token("name", "", 1))

    def read_block(self, opener: Token) -> list[Line]:
        """Take the lines up to the one that closes `.macro` or `.rept`, which is dropped."""
        closer = _CLOSERS[opener.text]
        body: list[Line] = []
        depth = 1
        while self._stack and (line := next(self._stack[-1], None)) is not None:
            self._count(line)
            match = _BLOCK_WORD.match(line.code)
            word = match[1] if match else ""
            depth += (word == opener.text) - (word == closer)
            if depth == 0:
                return body
            body.append(line)
        raise Mistake(f"this {opener.text} has no {closer}", opener)

    def repeat(self, body: Sequence[Line], count: int, token: Token) -> None:
        """Put `count` copies of a block in front of what follows."""
        if count * max(1, len(body)) > LINE_LIMIT:
            raise Mistake(f"{count} repetitions make more than {LINE_LIMIT} lines", token)
        self._push((line for _ in range(count) for line in body), token)

    def call(self, macro: Macro, arguments: Sequence[Operand], token: Token, line: Line) -> None:
        """Put a macro's body, with its parameters replaced, in front of what follows."""
        self._expansions += 1
        values = _bind(macro, arguments, line)
        number = str(self._expansions)
        context = f"in macro {macro.name}, called in line {line.origin}"
        self._push(
            (_substitute(source, values, number, line.origin, context, token) for source in macro.body), token
        )

    def _push(self, lines: Iterator[Line], token: Token) -> None:
        if len(self._stack) >= DEPTH_LIMIT:
            self.exhausted = True
            raise Mistake(f"macros and .rept are nested more than {DEPTH_LIMIT} deep", token)
        self._stack.append(lines)


def parse_macro(operands: Sequence[Operand], body: Sequence[Line], token: Token) -> Macro:
    """Read the operands of `.macro name first, second=default`; the commas may be left out."""
    words = [word for operand in operands for word in operand.tokens if word.kind != "end"]
    if not words or words[0].kind != "name":
        raise Mistake("expected the macro's name (`.macro push register`)", words[0] if words else token)
    parameters: dict[str, str] = {}
    position = 1
    while position < len(words):
        if words[position].kind != "name":
            raise Mistake(f"expected a parameter, found {quote(words[position].text)}", words[position])
        has_default = position + 2 < len(words) and words[position + 1].text == "="
        parameters[words[position].text] = words[position + 2].text if has_default else ""
        position += 3 if has_default else 1
    return Macro(words[0].text, parameters, body)


def _bind(macro: Macro, arguments: Sequence[Operand], line: Line) -> dict[str, str]:
    """Give each parameter its argument's text."""
    values = dict(macro.parameters)
    names = list(macro.parameters)
    for position, argument in enumerate(arguments):
        first = argument.first
        if first.text in values and argument.tokens[1].text == "=":
            values[first.text] = _text(argument, line, 2)
        elif position >= len(names):
            raise Mistake(f"the macro {macro.name} takes {len(names)} operands", first)
        else:
            values[names[position]] = _text(argument, line, 0)
    return values


def _text(argument: Operand, line: Line, start: int) -> str:
    """Return the source text of an argument."""
    text = line.code[argument.tokens[start].column - 1 : argument.tokens[-1].column - 1].strip()
    if len(text) > ARGUMENT_LIMIT:
        raise Mistake(f"the argument is longer than {ARGUMENT_LIMIT} characters", argument.first)
    return text


def _substitute(
    line: Line, values: Mapping[str, str], number: str, origin: int, context: str, token: Token
) -> Line:
    """Return a line of a macro's body with the parameters replaced."""

    def replacement(match: re.Match[str]) -> str:
        if match[2]:
            return number
        return values.get(match[1], match[0]) if match[1] else ""

    code = _PARAMETER.sub(replacement, line.code)
    if len(code) > LENGTH_LIMIT:
        raise Mistake(f"a line of this macro becomes longer than {LENGTH_LIMIT} characters", token)
    return Line(line.number, code, code, origin, context)
