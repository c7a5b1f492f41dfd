"""Type-checks expressions before any student runs them: unknown names, wrong types, impossible values."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from app.lessons.errors import nearest
from app.lessons.expression import (
    Binary,
    Call,
    Conditional,
    Expression,
    ExpressionError,
    Index,
    Items,
    Literal,
    Member,
    Name,
    Node,
    Unary,
)
from app.lessons.facts import (
    BOOL,
    DOUBLE,
    EVENT,
    EVENT_REASONS,
    FUNCTIONS,
    INT,
    MACROS,
    METHODS,
    RECORDS,
    TEXT,
    Function,
    Type,
    list_of,
)
from emulator.lab.quantities import DURATION_UNITS, parse_quantity

Scope = Mapping[str, Type]

_ORDERED = ("int", "double", "text")
_NUMBERS = ("int", "double")


_WORDS = {"vm": "VM", "question": "question", "volume": "volume"}


def check_expression(
    expression: Expression,
    vms: Collection[str],
    questions: Collection[str],
    others: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Raise ExpressionError unless it is a yes/no question about these VMs and predict-questions.

    `others` are the known names of a `volume` or `snapshot`; a kind that is not given is not checked.
    """
    known = {"vm": vms, "question": questions, **(others or {})}
    found = _Checker(known, values=expression.names).type_of(expression.root, _types(expression))
    if found != BOOL:
        raise ExpressionError(1, f"gives {_a(found)}; a check must be true or false, e.g. compare it with ==")


def type_of_names(expression: Expression) -> Type:
    """Return the type of an expression over its names alone; raise ExpressionError."""
    return _Checker({}, {}).type_of(expression.root, _types(expression))


def _types(expression: Expression) -> Scope:
    return {name: TEXT if isinstance(value, str) else INT for name, value in expression.names.items()}


def _a(found: Type) -> str:
    return f"an {found}" if str(found)[0] in "aeiou" else f"a {found}"


class _Checker:
    """One method per kind of node; each returns the node's type or raises ExpressionError at its column."""

    def __init__(
        self,
        known: Mapping[str, Collection[str]],
        functions: Mapping[str, Function] = FUNCTIONS,
        values: Mapping[str, str | int] | None = None,
    ) -> None:
        self._known = known
        self._functions = functions
        self._values = dict(values or {})

    def type_of(self, node: Node, scope: Scope) -> Type:
        match node:
            case Literal(value=value):
                kinds: dict[type, Type] = {bool: BOOL, int: INT, float: DOUBLE, str: TEXT}
                return kinds[type(value)]
            case Name():
                return self._name(node, scope)
            case Items():
                return self._items(node, scope)
            case Member():
                return self._member(node, scope)
            case Index():
                return self._index(node, scope)
            case Unary():
                return self._unary(node, scope)
            case Binary():
                return self._binary(node, scope)
            case Conditional():
                return self._conditional(node, scope)
            case Call(target=None):
                return self._function(node, scope)
            case Call(target=Node() as target):
                return (
                    self._macro(node, target, scope)
                    if node.name in MACROS
                    else self._method(node, target, scope)
                )
            case _:
                raise AssertionError(node)

    def _expect(self, node: Node, scope: Scope, expected: Type) -> Type:
        found = self.type_of(node, scope)
        if not expected.accepts(found):
            raise ExpressionError(node.start + 1, f"expected {_a(expected)}, found {_a(found)}")
        self._check_value(node, expected)
        return found

    def _check_value(self, node: Node, expected: Type) -> None:
        value = self._constant(node)
        if expected.values and value is not None and value not in expected.values:
            word = str(value)
            raise ExpressionError(
                node.start + 1, f"'{word}' is never the case here{nearest(word, expected.values)}"
            )
        if expected.names and value != "":
            self._check_name(node, expected.names)

    def _constant(self, node: Node) -> str | int | float | None:
        """Return the value of a node that is written out or is a parameter of the lesson, else None."""
        if isinstance(node, Literal):
            return node.value
        return self._values.get(node.name) if isinstance(node, Name) else None

    def _name(self, node: Name, scope: Scope) -> Type:
        if node.name in scope:
            return scope[node.name]
        hint = (
            f"; write {node.name}(...)"
            if node.name in self._functions
            else nearest(node.name, {*scope, *self._functions})
        )
        raise ExpressionError(node.start + 1, f"unknown name '{node.name}'{hint}")

    def _items(self, node: Items, scope: Scope) -> Type:
        if not node.items:
            raise ExpressionError(node.start + 1, "an empty list has no use here")
        first = self.type_of(node.items[0], scope)
        for item in node.items[1:]:
            self._expect(item, scope, first)
        return list_of(first)

    def _member(self, node: Member, scope: Scope) -> Type:
        record = self.type_of(node.target, scope)
        fields = RECORDS.get(record.name, {})
        if node.name not in fields:
            methods = [name for kind, name in METHODS if kind == record.name]
            hint = f"; write .{node.name}()" if node.name in methods else nearest(node.name, fields)
            raise ExpressionError(node.start + 1, f"{_a(record)} has no field '{node.name}'{hint}")
        reasons = EVENT_REASONS.get(record.about) if node.name == "reason" else None
        return reasons or fields[node.name]

    def _index(self, node: Index, scope: Scope) -> Type:
        found = self.type_of(node.target, scope)
        if not found.item:
            raise ExpressionError(node.start + 1, f"[ ] needs a list, found {_a(found)}")
        self._expect(node.index, scope, INT)
        return found.item

    def _unary(self, node: Unary, scope: Scope) -> Type:
        return (
            self._expect(node.operand, scope, BOOL)
            if node.operator == "!"
            else self._number(node.operand, scope)
        )

    def _number(self, node: Node, scope: Scope) -> Type:
        found = self.type_of(node, scope)
        if found.name not in _NUMBERS:
            raise ExpressionError(node.start + 1, f"expected a number, found {_a(found)}")
        return found

    def _binary(self, node: Binary, scope: Scope) -> Type:
        if node.operator in ("&&", "||"):
            self._expect(node.left, scope, BOOL)
            self._expect(node.right, scope, BOOL)
            return BOOL
        if node.operator == "in":
            return self._membership(node, scope)
        if node.operator in ("==", "!=", "<", "<=", ">", ">="):
            return self._comparison(node, scope)
        return self._arithmetic(node, scope)

    def _arithmetic(self, node: Binary, scope: Scope) -> Type:
        left = self.type_of(node.left, scope)
        if node.operator == "+" and left.name == "text":
            self._expect(node.right, scope, TEXT)
            return TEXT
        if left.name not in _NUMBERS:
            raise ExpressionError(
                node.start + 1, f"'{node.operator}' needs a number on its left, found {_a(left)}"
            )
        return DOUBLE if DOUBLE in (left, self._number(node.right, scope)) else INT

    def _membership(self, node: Binary, scope: Scope) -> Type:
        right = self.type_of(node.right, scope)
        if not right.item:
            raise ExpressionError(node.right.start + 1, f"'in' needs a list on its right, found {_a(right)}")
        left = self._expect(node.left, scope, right.item)
        for item in node.right.items if isinstance(node.right, Items) else ():
            self._check_value(item, left)
        return BOOL

    def _comparison(self, node: Binary, scope: Scope) -> Type:
        left, right = self.type_of(node.left, scope), self.type_of(node.right, scope)
        if not (left.accepts(right) or right.accepts(left)):
            raise ExpressionError(node.start + 1, f"cannot compare {_a(left)} with {_a(right)}")
        if node.operator not in ("==", "!=") and left.name not in _ORDERED:
            raise ExpressionError(
                node.start + 1, f"'{node.operator}' does not order values of type {left}; use == or !="
            )
        self._check_value(node.right, left)
        self._check_value(node.left, right)
        return BOOL

    def _conditional(self, node: Conditional, scope: Scope) -> Type:
        self._expect(node.condition, scope, BOOL)
        then = self.type_of(node.then, scope)
        self._expect(node.otherwise, scope, then)
        return then

    def _function(self, node: Call, scope: Scope) -> Type:
        function = self._functions.get(node.name)
        if function is None:
            raise ExpressionError(
                node.start + 1, f"unknown function '{node.name}'{nearest(node.name, self._functions)}"
            )
        given = bind(function, node)
        for parameter in function.parameters:
            if parameter.name in given:
                self._expect(given[parameter.name], scope, parameter.type)
                self._check_name(given[parameter.name], parameter.names)
        kind = self._constant(given["kind"]) if node.name == "events" else None
        return list_of(replace(EVENT, about=str(kind))) if kind is not None else function.result

    def _check_name(self, node: Node, names: str) -> None:
        if names == "duration":
            _check_duration(node)
        known, value = self._known.get(names), self._constant(node)
        if known is not None and value is not None and value not in known:
            word = str(value)
            what = f"the lesson has no {_WORDS[names]}" if names in _WORDS else f"no script makes a {names}"
            raise ExpressionError(node.start + 1, f"{what} '{word}'{nearest(word, known)}")

    def _method(self, node: Call, target: Node, scope: Scope) -> Type:
        kind = self.type_of(target, scope)
        found = METHODS.get((kind.name, node.name))
        if found is None:
            known = [name for name_of, name in METHODS if name_of == kind.name]
            raise ExpressionError(
                node.start + 1, f"{_a(kind)} has no method '{node.name}'{nearest(node.name, known)}"
            )
        parameters, result = found
        if node.named or len(node.arguments) != len(parameters):
            raise ExpressionError(node.start + 1, f"{node.name}() takes {len(parameters)} argument(s)")
        for argument, expected in zip(node.arguments, parameters, strict=True):
            self._expect(argument, scope, expected)
        return result

    def _macro(self, node: Call, target: Node, scope: Scope) -> Type:
        items = self.type_of(target, scope)
        if (
            not items.item
            or node.named
            or len(node.arguments) != 2
            or not isinstance(node.arguments[0], Name)
        ):
            raise ExpressionError(node.start + 1, f"write it as LIST.{node.name}(x, EXPRESSION WITH x)")
        inner = {**scope, node.arguments[0].name: items.item}
        self._values.pop(node.arguments[0].name, None)
        if node.name == "map":
            return list_of(self.type_of(node.arguments[1], inner))
        self._expect(node.arguments[1], inner, BOOL)
        return items if node.name == "filter" else BOOL


def _check_duration(node: Node) -> None:
    """Raise ExpressionError unless a duration is written out, as "500 ms" is."""
    try:
        if not isinstance(node, Literal) or duration_ns(str(node.value)) <= 0:
            raise ValueError('write the time out, like "500 ms"')
    except ValueError as error:
        raise ExpressionError(node.start + 1, str(error)) from error


def duration_ns(text: str) -> int:
    """Return a duration such as "500 ms" in nanoseconds; raise ValueError with a sentence."""
    return parse_quantity(text, DURATION_UNITS, "500 ms")


def bind(function: Function, node: Call) -> dict[str, Node]:
    """Return a call's arguments by parameter name; raise ExpressionError if they do not fit."""
    names = [parameter.name for parameter in function.parameters]
    if len(node.arguments) > len(names):
        raise ExpressionError(node.start + 1, f"{function.name}() takes at most {len(names)} argument(s)")
    given = dict(zip(names, node.arguments, strict=False))
    for name, value in node.named:
        if name not in names:
            raise ExpressionError(
                value.start + 1, f"{function.name}() has no argument '{name}'{nearest(name, names)}"
            )
        if name in given:
            raise ExpressionError(value.start + 1, f"argument '{name}' is given twice")
        given[name] = value
    missing = [item.name for item in function.parameters if not item.optional and item.name not in given]
    if missing:
        raise ExpressionError(node.start + 1, f"{function.name}() needs the argument '{missing[0]}'")
    return given
