"""Puts expressions and values into words: what a check expected, and what was the case instead."""

from collections.abc import Mapping
from typing import cast

from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.expression import Binary, Call, Expression, Index, Literal, Member, Name, Node, Unary
from app.lessons.facts import FUNCTIONS
from app.lessons.typecheck import bind

LONGEST = 160
MOST_REASONS = 5

_RELATIONS = {
    "==": "is {}",
    "!=": "is not {}",
    "<": "is less than {}",
    "<=": "is at most {}",
    ">": "is more than {}",
    ">=": "is at least {}",
    "in": "is one of {}",
}
_METHODS = {
    "contains": "contains {}",
    "startsWith": "begins with {}",
    "endsWith": "ends with {}",
}


def expected(expression: Expression, node: Node | None = None) -> str:
    """Return a yes/no expression as a sentence about the lab."""
    node = node or expression.root
    match node:
        case Binary(operator="&&" | "||" as sign, left=left, right=right):
            word = "and" if sign == "&&" else "or"
            return f"{expected(expression, left)} {word} {expected(expression, right)}"
        case Unary(operator="!", operand=operand):
            return f"not: {expected(expression, operand)}"
        case Binary(operator=sign, left=left, right=right) if sign in _RELATIONS:
            return f"{named(expression, left)} {_RELATIONS[sign].format(named(expression, right))}"
        case Call(target=Node() as target, name=name) if name in _METHODS:
            return (
                f"{named(expression, target)} {_METHODS[name].format(named(expression, node.arguments[0]))}"
            )
        case Call(target=Node() as target, name="exists" | "all" as name):
            word = "one" if name == "exists" else "only such"
            inner = expected(expression, node.arguments[1])
            return f"{named(expression, target)} has {word} where {inner}"
        case _:
            return named(expression, node)


def named(expression: Expression, node: Node) -> str:
    """Return what students call a value: `exits("a", "sbi")` is "the number of sbi exits of VM a"."""
    match node:
        case Literal(value=value):
            return shown(value)
        case Name(name=name):
            return shown(expression.names[name]) if name in expression.names else "it"
        case Member(target=target, name="count") if isinstance(target, Call) and target.name == "exits":
            return named(expression, target)
        case Member(target=Name(), name=name):
            return name.replace("_", " ")
        case Member(target=target, name=name):
            return f"{name.replace('_', ' ')} of {named(expression, target)}"
        case Index(target=target, index=Literal(value=int(index))):
            return f"number {index + 1} in {named(expression, target)}"
        case Call(target=Node() as target, name="size"):
            return f"the length of {named(expression, target)}"
        case Call(target=Node() as target, name="count", arguments=(Literal(value=word),)):
            return f"the number of {shown(word)} in {named(expression, target)}"
        case Call(target=None):
            return _phrase(expression, node)
        case _:
            return expression.source(node)


def _phrase(expression: Expression, node: Call) -> str:
    function = FUNCTIONS[node.name]
    given = bind(function, node)
    words: dict[str, str] = {parameter.name: "" for parameter in function.parameters}
    for name, argument in given.items():
        words[name] = _said(expression, argument)
    words[" in the last "] = " in the last " if words.get("last") else ""
    phrase = " ".join(function.phrase.format_map(words).split())
    return phrase.removesuffix(" of VM")


def _said(expression: Expression, node: Node) -> str:
    """Return an argument as it is said inside a phrase."""
    if isinstance(node, Name) and node.name in expression.names:
        return str(expression.names[node.name])
    return str(node.value) if isinstance(node, Literal) else expression.source(node)


def actual(expression: Expression, evaluator: Evaluator) -> str:
    """Return what was the case instead, for every part that made the expression false."""
    reasons: dict[str, None] = {}
    for node in _culprits(expression.root, evaluator):
        reasons[_observed(expression, node, evaluator)] = None
    return "; ".join(list(reasons)[:MOST_REASONS])


def _culprits(node: Node, evaluator: Evaluator) -> list[Node]:
    """Return the parts whose values decide that a yes/no expression is false."""
    match node:
        case Binary(operator="&&", left=left, right=right):
            wrong = left if not evaluator.value(left) else right
            return _culprits(wrong, evaluator)
        case Binary(operator="||", left=left, right=right):
            return _culprits(left, evaluator) + _culprits(right, evaluator)
        case Unary(operator="!", operand=operand):
            return [operand]
        case Binary(left=left, right=right):
            return [part for part in (left, right) if not isinstance(part, Literal | Name)]
        case Call(target=Node() as target, name=name) if name in (*_METHODS, "exists", "all"):
            return [target]
        case _:
            return [node]


def _observed(expression: Expression, node: Node, evaluator: Evaluator) -> str:
    value = evaluator.value(node)
    name = named(expression, node)
    if isinstance(value, bool):
        return f"{name}: {shown(value)}"
    if value == "":
        return f"{name} is empty"
    return f"{name} is {shown(value)}"


def shown(value: object) -> str:
    """Return a value as a student reads it, shortened."""
    if isinstance(value, str):
        text = value if len(value) <= LONGEST else "…" + value[-LONGEST:]
        return '"' + text.replace("\n", "\\n") + '"'
    if isinstance(value, list):
        items = [shown(item) for item in cast(list[object], value)[:MOST_REASONS]]
        return "; ".join(items)[: 2 * LONGEST] if items else "empty"
    if isinstance(value, Mapping):
        table = cast(Mapping[str, object], value).items()
        return ", ".join(f"{key.replace('_', ' ')} {shown(item)}" for key, item in table)[:LONGEST]
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value >= 1 << 20:
        return f"{value:#x}"
    return str(value)


__all__ = ["NoValue", "actual", "expected", "named", "shown"]
