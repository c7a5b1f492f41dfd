"""Evaluates a type-checked expression over facts: no side effects, bounded in steps and sizes.

Arithmetic is CEL's: 64-bit integers, division towards zero. An overflow, a division by zero or an index
outside its list is a `NoValue`, which makes a check fail with a message and is never an internal error.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from app.lessons.expression import (
    Binary,
    Call,
    Conditional,
    Expression,
    Index,
    Items,
    Literal,
    Member,
    Name,
    Node,
    Unary,
)
from app.lessons.facts import FUNCTIONS, MACROS
from app.lessons.typecheck import bind

MAXIMUM_STEPS = 20_000
MAXIMUM_SIZE = 1 << 20
CHARACTERS_PER_STEP = 512
"""Searching in a text costs as many steps as it has pieces of this length."""

Value = Any
Scope = Mapping[str, Value]


class NoValue(Exception):
    """The expression has no value; the message says why, for a student."""


_COMPARE: Mapping[str, Callable[[Value, Value], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda left, right: left in right,
}


class Evaluator:
    """Evaluates nodes of one expression; the step budget is shared by all of them."""

    def __init__(self, expression: Expression, facts: object = None) -> None:
        """Look functions up in `facts`: a method for each, with its parameter names."""
        self._expression = expression
        self._facts = facts
        self._steps = 0
        self._text = 0

    def value(self, node: Node, scope: Scope | None = None) -> Value:
        """Return the value of a node; raise NoValue."""
        scope = self._expression.names if scope is None else scope
        self._steps += 1
        if self._steps > MAXIMUM_STEPS:
            raise NoValue(f"the check took more than {MAXIMUM_STEPS} steps")
        match node:
            case Literal(value=value):
                return self._sized(value) if isinstance(value, float) else value
            case Name(name=name):
                return scope[name]
            case Items(items=items):
                return [self.value(item, scope) for item in items]
            case Member(target=target, name=name):
                record = self.value(target, scope)
                return record if isinstance(record, int) else record[name]
            case Index():
                return self._index(node, scope)
            case Unary(operator=sign, operand=operand):
                value = self.value(operand, scope)
                return (not value) if sign == "!" else self._sized(-value)
            case Binary():
                return self._binary(node, scope)
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                return self.value(then if self.value(condition, scope) else otherwise, scope)
            case Call(target=None):
                return self._function(node, scope)
            case Call(target=Node() as target):
                items = self.value(target, scope)
                return (
                    self._macro(node, items, scope)
                    if node.name in MACROS
                    else self._method(node, items, scope)
                )
            case _:
                raise AssertionError(node)

    def _index(self, node: Index, scope: Scope) -> Value:
        items = cast(Sequence[Value], self.value(node.target, scope))
        index = self.value(node.index, scope)
        if not 0 <= index < len(items):
            source = self._expression.source(node.target)
            raise NoValue(f"{source} has {len(items)} element(s), none at [{index}]")
        return items[index]

    def _binary(self, node: Binary, scope: Scope) -> Value:
        left = self.value(node.left, scope)
        if node.operator in ("&&", "||"):
            return left if left == (node.operator == "||") else self.value(node.right, scope)
        right = self.value(node.right, scope)
        if node.operator in _COMPARE:
            return _COMPARE[node.operator](left, right)
        if node.operator in "/%" and right == 0:
            raise NoValue(f"{self._expression.source(node)} divides by zero")
        return self._sized(_arithmetic(node.operator, left, right))

    def _sized(self, value: Value) -> Value:
        if isinstance(value, float) and not math.isfinite(value):
            raise NoValue("a number is too large")
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
            raise NoValue("a number has more than 64 bits")
        if isinstance(value, str):
            self._text += len(value)
            if self._text > MAXIMUM_SIZE:
                raise NoValue("its texts are too long")
        return value

    def _function(self, node: Call, scope: Scope) -> Value:
        function = FUNCTIONS[node.name]
        arguments = {name: self.value(given, scope) for name, given in bind(function, node).items()}
        return getattr(self._facts, node.name)(**arguments)

    def _method(self, node: Call, target: Value, scope: Scope) -> Value:
        arguments = [self.value(argument, scope) for argument in node.arguments]
        self._steps += len(target) // CHARACTERS_PER_STEP if isinstance(target, str) else 0
        match node.name:
            case "contains":
                return arguments[0] in target
            case "startsWith":
                return target.startswith(arguments[0])
            case "endsWith":
                return target.endswith(arguments[0])
            case "count":
                return target.count(arguments[0])
            case _:
                return len(target)

    def _macro(self, node: Call, items: Sequence[Value], scope: Scope) -> Value:
        variable, body = cast(Name, node.arguments[0]).name, node.arguments[1]
        values = [self.value(body, {**scope, variable: item}) for item in items]
        match node.name:
            case "exists":
                return any(values)
            case "all":
                return all(values)
            case "filter":
                return [item for item, kept in zip(items, values, strict=True) if kept]
            case _:
                return values


def _arithmetic(sign: str, left: Value, right: Value) -> Value:
    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            quotient = abs(left) / abs(right)
            both_whole = isinstance(left, int) and isinstance(right, int)
            whole = abs(left) // abs(right) if both_whole else quotient
            whole = whole if (left < 0) == (right < 0) else -whole
            return whole if sign == "/" else left - right * (whole if both_whole else int(whole))
