"""Wider bounds: what a check asks for in numbers, made twice as easy, one comparison at a time.

`exits("a") <= 10` becomes `<= 20`, and `share > 0.9` becomes `> 0.45`. A bound that can be moved so far
without any attempt noticing may be meant so; it is a warning, no fault. Left alone are bounds of zero, what
is no number, and comparisons under a `!`, in a `filter` or the condition of `? :`, where a wider one may be
stricter.
"""

from collections.abc import Iterator

from app.grading.mutants import Mutant, replaced
from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.expression import (
    Binary,
    Call,
    Conditional,
    Expression,
    Literal,
    Member,
    Name,
    Node,
    Unary,
)
from app.lessons.facts import DOUBLE, FUNCTIONS, INT, RECORDS
from app.lessons.model import Check

_UPPER = ("<", "<=")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NUMBERS = frozenset(
    name for fields in RECORDS.values() for name, kind in fields.items() if kind in (INT, DOUBLE)
)


def wider(check: Check) -> list[Mutant]:
    """Return a check with each of its bounds twice as wide, in the order of its text."""
    found: list[Mutant] = []
    for comparison in _comparisons(check.expect.root):
        moved = _moved(check.expect, comparison)
        if moved is not None:
            root = replaced(check.expect.root, comparison, moved)
            weaker = Expression(check.expect.text, root, check.expect.names)
            found.append(Mutant(check.id, check.expect.source(comparison), weaker))
    return found


def _comparisons(node: Node) -> Iterator[Binary]:
    """Yield the comparisons by size that can only make the whole true when they become true."""
    match node:
        case Binary(operator="&&" | "||"):
            yield from _comparisons(node.left)
            yield from _comparisons(node.right)
        case Binary(operator="<" | "<=" | ">" | ">="):
            yield node
        case Conditional(then=then, otherwise=otherwise):
            yield from _comparisons(then)
            yield from _comparisons(otherwise)
        case Call(name="exists" | "all", arguments=(_, body)):
            yield from _comparisons(body)
        case _:
            return


def _moved(expression: Expression, comparison: Binary) -> Binary | None:
    """Return a comparison with its bound moved, None if it has none that can be."""
    left, right, operator = comparison.left, comparison.right, comparison.operator
    on_left = not expression.is_constant(right) and expression.is_constant(left)
    bound, operator = (left, _MIRRORED[operator]) if on_left else (right, operator)
    factor = _factor(expression, bound, operator)
    if factor is None or isinstance(bound, Call | Member) or not _is_number(expression, bound):
        return None  # what one thing is compared with another is their order, no bound
    moved = Binary(bound.start, bound.end, "*", bound, Literal(bound.start, bound.end, factor))
    pair = (moved, right) if on_left else (left, moved)
    return Binary(comparison.start, comparison.end, comparison.operator, *pair)


def _factor(expression: Expression, bound: Node, operator: str) -> float | None:
    """Return by what a bound is multiplied to be wider; None for one of zero, or that says "at least one"."""
    positive = True
    if expression.is_constant(bound):
        try:
            value = Evaluator(expression).value(bound)
        except NoValue:
            return None
        if not isinstance(value, int | float) or value == 0 or (operator == ">=" and value == 1):
            return None
        positive = value > 0
    return 2.0 if positive == (operator in _UPPER) else 0.5


def _is_number(expression: Expression, node: Node) -> bool:
    match node:
        case Literal(value=value):
            return not isinstance(value, bool | str)
        case Name(name=name):
            return isinstance(expression.names.get(name), int)
        case Unary(operator="-"):
            return True
        case Binary(operator=operator):
            return operator in "-*/%" or (operator == "+" and _is_number(expression, node.left))
        case Call(target=None, name=name):
            return name in FUNCTIONS and FUNCTIONS[name].result in (INT, DOUBLE)
        case Call(name="size" | "count"):
            return True
        case Member(name=name):
            return name in _NUMBERS
        case _:
            return False
