"""Check expressions: a subset of the Common Expression Language (CEL), parsed.

Syntax after the CEL language definition (github.com/google/cel-spec, doc/langdef.md): literals, lists, `&& ||
!`, comparisons, `in`, arithmetic, `? :`, indexing, fields, functions, methods and the macros `exists all
filter map`. Added: named arguments (`exits("a", reason="sbi")`). Left out: maps, messages, bytes, uint,
`has`, timestamps, raw and triple-quoted strings.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

MAXIMUM_LENGTH = 2_000
MAXIMUM_DEPTH = 25
MAXIMUM_PARTS = 100
"""Operators, calls, fields and indexes of one expression; it bounds the depth of the tree."""


class ExpressionError(Exception):
    """A fault of an expression at `column` (from 1)."""

    def __init__(self, column: int, message: str) -> None:
        self.column = column
        self.message = message
        super().__init__(f"column {column}: {message}")


@dataclass(frozen=True)
class Node:
    """A part of an expression; `start` and `end` delimit its text."""

    start: int
    end: int


@dataclass(frozen=True)
class Literal(Node):
    """A text, number or boolean."""

    value: str | int | float | bool


@dataclass(frozen=True)
class Name(Node):
    """A variable of a macro."""

    name: str


@dataclass(frozen=True)
class Items(Node):
    """A list written out."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Call(Node):
    """A function (`target` is None), method or macro call."""

    target: Node | None
    name: str
    arguments: tuple[Node, ...]
    named: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Member(Node):
    """A field of a record."""

    target: Node
    name: str


@dataclass(frozen=True)
class Index(Node):
    """An element of a list, counted from 0."""

    target: Node
    index: Node


@dataclass(frozen=True)
class Unary(Node):
    """`!x` or `-x`."""

    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    """`left operator right`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Conditional(Node):
    """`condition ? then : otherwise`."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True)
class Expression:
    """A parsed expression; `names` are the values of its free names, a lesson's parameters."""

    text: str
    root: Node
    names: Mapping[str, str | int] = field(default_factory=lambda: dict[str, str | int]())

    def bound(self, names: Mapping[str, str | int]) -> "Expression":
        """Return the expression with the values of its free names."""
        return replace(self, names=names)

    def source(self, node: Node) -> str:
        """Return the text of one node on one line."""
        return " ".join(self.text[node.start : node.end].split())

    def is_constant(self, node: Node) -> bool:
        """Return whether a node follows from numbers, texts and parameters alone."""
        match node:
            case Literal():
                return True
            case Name(name=name):
                return name in self.names
            case Unary(operand=operand):
                return self.is_constant(operand)
            case Items(items=items):
                return all(map(self.is_constant, items))
            case Binary(left=left, right=right):
                return self.is_constant(left) and self.is_constant(right)
            case _:
                return False


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<double>[0-9]+\.[0-9]+)
      | (?P<int>0x[0-9a-fA-F_]+|[0-9][0-9_]*)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<operator>&&|\|\||==|!=|<=|>=|[-+*/%!<>()\[\],.?:=])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}

_PRECEDENCE = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
}
_CONSTANTS = {"true": True, "false": False}


def parse(text: str) -> Expression:
    """Parse an expression; raise ExpressionError at the first fault."""
    if len(text) > MAXIMUM_LENGTH:
        raise ExpressionError(
            1, f"{len(text)} characters; at most {MAXIMUM_LENGTH} are allowed, write several checks"
        )
    parser = _Parser(_tokens(text))
    root = parser.expression()
    parser.expect_end()
    return Expression(text, root)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            character = text[position]
            hint = "; a text ends with the same quote on the same line" if character in "\"'" else ""
            hint = "; write && or ||" if character in "&|" else hint
            raise ExpressionError(position + 1, f"{character!r} is not expected here{hint}")
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match.group(), position))
        position = match.end()
    tokens.append(_Token("end", "", len(text)))
    return tokens


class _Parser:
    """Precedence climbing with a bound on depth."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._parts = 0

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._token
        self._at += token.kind != "end"
        return token

    def _accept(self, text: str) -> bool:
        found = self._token.kind in ("operator", "name") and self._token.text == text
        self._at += found
        return found

    def _expect(self, text: str) -> _Token:
        token = self._token
        if not self._accept(text):
            raise self._unexpected(f"expected '{text}'")
        return token

    def _unexpected(self, expected: str) -> ExpressionError:
        found = f"'{self._token.text}'" if self._token.kind != "end" else "the end"
        hint = "; write == to compare" if self._token.text == "=" else ""
        return ExpressionError(self._token.start + 1, f"{expected}, found {found}{hint}")

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MAXIMUM_PARTS:
            message = f"more than {MAXIMUM_PARTS} operators and calls; write several checks"
            raise ExpressionError(self._token.start + 1, message)

    def expect_end(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected("expected an operator or the end")

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            raise ExpressionError(self._token.start + 1, f"nested deeper than {MAXIMUM_DEPTH} levels")
        node = self._binary(1)
        if self._accept("?"):
            then = self.expression()
            self._expect(":")
            otherwise = self.expression()
            node = Conditional(node.start, otherwise.end, node, then, otherwise)
        self._depth -= 1
        return node

    def _binary(self, lowest: int) -> Node:
        left = self._unary()
        while self._token.kind in ("operator", "name"):
            operator = self._token.text
            precedence = _PRECEDENCE.get(operator, 0)
            if precedence < lowest:
                break
            self._count()
            self._next()
            right = self._binary(precedence + 1)
            left = Binary(left.start, right.end, operator, left, right)
        return left

    def _unary(self) -> Node:
        signs: list[_Token] = []
        while self._token.kind == "operator" and self._token.text in "!-":
            self._count()
            signs.append(self._next())
        node = self._postfix()
        for sign in reversed(signs):
            node = Unary(sign.start, node.end, sign.text, node)
        return node

    def _postfix(self) -> Node:
        node = self._primary()
        while self._token.text in (".", "[") and self._token.kind == "operator":
            self._count()
            node = self._member(node) if self._accept(".") else self._index(node)
        return node

    def _member(self, target: Node) -> Node:
        token = self._next()
        if token.kind != "name":
            self._at -= token.kind != "end"
            raise self._unexpected("expected a field or method name")
        if self._accept("("):
            return self._call(target, token, target.start)
        return Member(target.start, token.end, target, token.text)

    def _index(self, target: Node) -> Node:
        self._expect("[")
        index = self.expression()
        return Index(target.start, self._expect("]").end, target, index)

    def _call(self, target: Node | None, name: _Token, start: int) -> Node:
        """Read the arguments of a call whose `(` has been read."""
        arguments: list[Node] = []
        named: list[tuple[str, Node]] = []
        while self._token.text != ")" or self._token.kind != "operator":
            keyword = self._keyword()
            if keyword:
                named.append((keyword, self.expression()))
            elif named:
                raise self._unexpected("expected a named argument after a named one")
            else:
                arguments.append(self.expression())
            if not self._accept(","):
                break
        return Call(start, self._expect(")").end, target, name.text, tuple(arguments), tuple(named))

    def _keyword(self) -> str:
        following = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        if self._token.kind == "name" and following.text == "=" and following.kind == "operator":
            self._at += 2
            return self._tokens[self._at - 2].text
        return ""

    def _primary(self) -> Node:
        token = self._next()
        if token.kind in ("int", "double", "text"):
            return Literal(token.start, token.end, _literal(token))
        if token.kind == "name" and token.text in _CONSTANTS:
            return Literal(token.start, token.end, _CONSTANTS[token.text])
        if token.kind == "name" and token.text != "in":
            return (
                self._call(None, token, token.start)
                if self._accept("(")
                else Name(token.start, token.end, token.text)
            )
        if token.kind == "operator" and token.text == "(":
            inner = self.expression()
            self._expect(")")
            return inner
        if token.kind == "operator" and token.text == "[":
            return self._items(token)
        self._at -= token.kind != "end"
        raise self._unexpected("expected a value")

    def _items(self, opening: _Token) -> Node:
        items: list[Node] = []
        while self._token.text != "]" or self._token.kind != "operator":
            items.append(self.expression())
            if not self._accept(","):
                break
        return Items(opening.start, self._expect("]").end, tuple(items))


def _literal(token: _Token) -> str | int | float:
    if token.kind == "double":
        return float(token.text)
    if token.kind == "int":
        value = int(token.text.replace("_", ""), 16 if token.text.startswith("0x") else 10)
        if value >= 1 << 64:
            raise ExpressionError(token.start + 1, "the number has more than 64 bits")
        return value
    return _ESCAPE.sub(lambda match: _unescape(match, token), token.text[1:-1])


def _unescape(match: re.Match[str], token: _Token) -> str:
    if match.group(1) not in _ESCAPES:
        raise ExpressionError(
            token.start + 2 + match.start(), f'unknown escape \\{match.group(1)}; known: \\n \\t \\\\ \\"'
        )
    return _ESCAPES[match.group(1)]
