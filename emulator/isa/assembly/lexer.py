"""Lines and tokens of assembly source, in the syntax of the GNU assembler for RISC-V.

Comments run from `#` or `//` to the end of the line, or stand between `/*` and `*/`. Left out: trigraphs,
octal and hexadecimal escapes of more than one byte, and names with characters outside ASCII.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

_COMMENT = re.compile(
    r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])')|(?:\#|//)[^\n]*|/\*.*?(?:\*/|\Z)""", re.DOTALL
)
_NOT_NEWLINE = re.compile(r"[^\n]")
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\f\v]+)
    | (?P<number>0[xX][0-9a-fA-F]+ | 0[bB][01]+ | [0-9]+)(?![\w.$])
    | (?P<local>[0-9]+[bf])(?![\w.$])
    | (?P<name>[A-Za-z_.$][\w.$]*)
    | (?P<character>'(?:\\.|[^'\\])')
    | (?P<string>"(?:\\.|[^"\\])*")
    | (?P<mark><<|>>|[-+*/%&|^~()\[\],:;=@])
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"n": 10, "t": 9, "r": 13, "b": 8, "f": 12, "\\": 92, '"': 34, "'": 39, "a": 7, "v": 11, "e": 27}


class Token(NamedTuple):
    """A word of a line.

    `kind` is one of `number local name string mark end bad`; a character constant is a `number`. `value` is
    the number; `column` counts from 1.
    """

    kind: str
    text: str
    column: int
    value: int = 0


@dataclass(frozen=True)
class Line:
    """A line of source, or a line that a macro or `.rept` produced.

    Attributes:
        number: The line of the file where the text stands.
        text: The text without comments is `code`; `text` is what the programmer wrote.
        code: What is assembled, with the same columns as `text`.
        origin: The line of the file that made this line happen (a macro's call), else `number`.
        context: Where the line came from, for error messages.
    """

    number: int
    text: str
    code: str
    origin: int
    context: str = ""


def split_lines(source: str) -> list[Line]:
    """Split source text into lines whose comments are blanked out; a comment that is never closed stays."""
    code = _COMMENT.sub(_blank, source)
    pairs = zip(source.split("\n"), code.split("\n"), strict=True)
    return [Line(number, text, blanked, number) for number, (text, blanked) in enumerate(pairs, start=1)]


def _blank(match: re.Match[str]) -> str:
    """Return what replaces a match of `_COMMENT`: spaces, or a string or character constant unchanged."""
    text = match[0]
    if match[1] or (text.startswith("/*") and not text.endswith("*/", 2)):
        return text
    return _NOT_NEWLINE.sub(" ", text)


def tokenize(code: str) -> list[Token]:
    """Split a line without comments into tokens, the last of which has kind `end`.

    Characters that begin no token give one of kind `bad`, so that the rest of the file can still be checked.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(code):
        match = _TOKEN.match(code, position)
        if match is None:
            tokens.append(Token("bad", _bad_word(code, position), position + 1))
            break
        kind = str(match.lastgroup)
        if kind != "space":
            tokens.append(_token(kind, match[0], position + 1))
        position = match.end()
    end = len(code.rstrip())
    tokens.append(Token("end", "", end + 1))
    return tokens


def _token(kind: str, text: str, column: int) -> Token:
    """Build a token, giving numbers and characters their value."""
    if kind == "number":
        return _number(text, column)
    if kind == "character":
        inside = text[1:-1]
        return Token("number", text, column, unescape(inside)[0] if inside[0] == "\\" else ord(inside))
    return Token(kind, text, column)


def _number(text: str, column: int) -> Token:
    """Read a number: `0x` hexadecimal, `0b` binary, a leading `0` octal, else decimal."""
    digits = text.lower()
    base = 16 if digits.startswith("0x") else 2 if digits.startswith("0b") else 10
    if base == 10 and len(digits) > 1 and digits[0] == "0":
        base = 8
    if len(digits) > 72 or (base == 8 and not set(digits) <= set("01234567")):
        return Token("bad", text, column)
    return Token("number", text, column, int(digits, base))


def _bad_word(code: str, position: int) -> str:
    """Return the text to blame for something that is no token: a word, or one character."""
    match = re.compile(r"\w+", re.ASCII).match(code, position)
    return match[0] if match else code[position]


def complaint(token: Token) -> str:
    """Say what is wrong with a token of kind `bad`."""
    if token.text[0].isdigit():
        return f"`{token.text[:40]}` is not a number; write 123, 0x7b, 0b1111011 or, in octal, 0173"
    if token.text in "\"'":
        return f"a {'string' if token.text == chr(34) else 'character'} is not closed with {token.text}"
    return f"the character {token.text!r} has no meaning here"


def unescape(text: str) -> bytes:
    r"""Return the bytes of a string's inside: UTF-8, with `\n`, `\t`, `\0`, `\x41` and the like replaced."""
    result = bytearray()
    position = 0
    for match in _ESCAPE.finditer(text):
        result += text[position : match.start()].encode(errors="replace")
        result.append(_escaped_byte(match[1]))
        position = match.end()
    return bytes(result + text[position:].encode(errors="replace"))


def _escaped_byte(escape: str) -> int:
    """Return the byte that an escape sequence stands for; an unknown one stands for its character."""
    if escape[0] == "x" and len(escape) > 1:
        return int(escape[1:], 16)
    if escape[0] in "01234567":
        return int(escape, 8) & 0xFF
    return _ESCAPES.get(escape, ord(escape) & 0xFF)
