"""Puts expressions and values into words: what a check expected, and what was the case instead."""

from collections.abc import Mapping
from typing import cast

from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.expression import Binary, Call, Expression, Index, Items, Literal, Member, Name, Node, Unary
from app.lessons.facts import FUNCTIONS
from app.lessons.typecheck import bind
from app.texts import gettext as _
from app.texts import mark

LONGEST = 160
MOST_REASONS = 5

_RELATIONS = {
    "==": mark("%(left)s is %(right)s"),
    "!=": mark("%(left)s is not %(right)s"),
    "<": mark("%(left)s is less than %(right)s"),
    "<=": mark("%(left)s is at most %(right)s"),
    ">": mark("%(left)s is more than %(right)s"),
    ">=": mark("%(left)s is at least %(right)s"),
    "in": mark("%(left)s is one of %(right)s"),
}
_SIGNS = {"+": "+", "-": "−", "*": "×", "/": "/", "%": "mod"}
_METHODS = {
    "contains": mark("%(left)s contains %(right)s"),
    "startsWith": mark("%(left)s begins with %(right)s"),
    "endsWith": mark("%(left)s ends with %(right)s"),
}


def expected(expression: Expression, node: Node | None = None) -> str:
    """Return a yes/no expression as a sentence about the lab."""
    node = node or expression.root
    match node:
        case Binary(operator="&&" | "||" as sign, left=left, right=right):
            both = mark("%(left)s and %(right)s") if sign == "&&" else mark("%(left)s or %(right)s")
            return _(both, left=expected(expression, left), right=expected(expression, right))
        case Unary(operator="!", operand=operand):
            return _("not: %(what)s", what=expected(expression, operand))
        case Binary(operator=sign, left=left, right=right) if sign in _RELATIONS:
            return _(_RELATIONS[sign], left=named(expression, left), right=named(expression, right))
        case Call(target=Node() as target, name=name) if name in _METHODS:
            argument = named(expression, node.arguments[0])
            return _(_METHODS[name], left=named(expression, target), right=argument)
        case Call(target=Node() as target, name="exists" | "all" as name):
            has = mark("%(list)s has one where %(what)s")
            only = mark("%(list)s has only such where %(what)s")
            inner = expected(expression, node.arguments[1])
            return _(has if name == "exists" else only, list=named(expression, target), what=inner)
        case _:
            return named(expression, node)


def named(expression: Expression, node: Node) -> str:
    """Return what students call a value: `exits("a", "sbi")` is "the number of sbi exits of VM a"."""
    match node:
        case Literal(value=value):
            return shown(value)
        case Name(name=name):
            return shown(expression.names[name]) if name in expression.names else _("it")
        case Member(target=target, name="count") if isinstance(target, Call) and target.name == "exits":
            return named(expression, target)
        case Member(target=Name(), name=name):
            return _(name.replace("_", " "))
        case Member(target=target, name=name):
            return _("%(what)s of %(whole)s", what=_(name.replace("_", " ")), whole=named(expression, target))
        case Index(target=target, index=Literal(value=int(index))):
            return _("number %(n)s in %(list)s", n=index + 1, list=named(expression, target))
        case Call(target=Node() as target, name="size"):
            return _("the length of %(what)s", what=named(expression, target))
        case Call(target=Node() as target, name="count", arguments=(Literal(value=word),)):
            return _("the number of %(what)s in %(list)s", what=shown(word), list=named(expression, target))
        case Call(target=None):
            return _phrase(expression, node)
        case Items(items=items) if expression.is_constant(node):
            return ", ".join(named(expression, item) for item in items)
        case Binary() | Unary() if expression.is_constant(node):
            return _computed(expression, node)
        case Binary(operator=sign, left=left, right=right) if sign in _SIGNS:
            first = _part(expression, left, sign in "*/%")
            return f"{first} {_SIGNS[sign]} {_part(expression, right, True)}"
        case _:
            return expression.source(node)


def _computed(expression: Expression, node: Node) -> str:
    try:
        return shown(Evaluator(expression, None).value(node))
    except NoValue:
        return expression.source(node)


def _part(expression: Expression, node: Node, tight: bool) -> str:
    """Return one side of a sum or a product, in brackets where a sum would be read otherwise."""
    name = named(expression, node)
    is_sum = isinstance(node, Binary) and node.operator in "+-" and not expression.is_constant(node)
    return f"({name})" if tight and is_sum else name


def _phrase(expression: Expression, node: Call) -> str:
    function = FUNCTIONS[node.name]
    given = bind(function, node)
    words: dict[str, str] = {parameter.name: "" for parameter in function.parameters}
    for name, argument in given.items():
        words[name] = _said(expression, argument)
    words[" in the last "] = _(" in the last ") if words.get("last") else ""
    phrase = " ".join(_(function.phrase).format_map(words).split())
    return phrase.removesuffix(_(" of VM"))


def _said(expression: Expression, node: Node) -> str:
    """Return an argument as it is said inside a phrase."""
    if isinstance(node, Name) and node.name in expression.names:
        return str(expression.names[node.name])
    return str(node.value) if isinstance(node, Literal) else expression.source(node)


def actual(expression: Expression, evaluator: Evaluator) -> str:
    """Return what was the case instead, for every part that made the expression false."""
    reasons: dict[str, None] = {}
    for node in _culprits(expression, expression.root, evaluator):
        reasons[_observed(expression, node, evaluator)] = None
    return "; ".join(list(reasons)[:MOST_REASONS])


def _culprits(expression: Expression, node: Node, evaluator: Evaluator) -> list[Node]:
    """Return the parts whose values decide that a yes/no expression is false."""
    match node:
        case Binary(operator="&&", left=left, right=right):
            wrong = left if not evaluator.value(left) else right
            return _culprits(expression, wrong, evaluator)
        case Binary(operator="||", left=left, right=right):
            return _culprits(expression, left, evaluator) + _culprits(expression, right, evaluator)
        case Unary(operator="!", operand=operand):
            return [operand]
        case Binary(left=left, right=right):
            unknown = [part for part in (left, right) if not expression.is_constant(part)]
            return [part for part in unknown if not isinstance(part, Name)]
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
        return _("%(left)s is empty", left=name)
    return _("%(left)s is %(right)s", left=name, right=shown(value))


def shown(value: object) -> str:
    """Return a value as a student reads it, shortened."""
    if isinstance(value, str):
        text = value if len(value) <= LONGEST else "…" + value[-LONGEST:]
        return '"' + text.replace("\n", "\\n") + '"'
    if isinstance(value, list):
        items = [shown(item) for item in cast(list[object], value)[:MOST_REASONS]]
        return "; ".join(items)[: 2 * LONGEST] if items else _("empty")
    if isinstance(value, Mapping):
        table = cast(Mapping[str, object], value).items()
        return ", ".join(f"{key.replace('_', ' ')} {shown(item)}" for key, item in table)[:LONGEST]
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int) and value >= 1 << 20:
        return f"{value:#x}"
    return str(value)


__all__ = ["NoValue", "actual", "expected", "named", "shown"]
