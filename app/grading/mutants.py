"""Weakened checks: each says less than the check of the lesson in one place.

A check that can be weakened without any attempt noticing says something that nobody needs, or that no wrong
solution tries. Weakened are conditions joined by `&&`, one at a time, wherever they stand, and the whole.
What stands under a `!` is left alone: dropping a part there would make the check stricter.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import reduce
from typing import Any, cast

from app.lessons.expression import Binary, Expression, Literal, Node, Unary
from app.lessons.model import Check


@dataclass(frozen=True)
class Mutant:
    """A check that asks for less; `dropped` is the text of what it does not ask any more, "" for all."""

    check: str
    dropped: str
    expect: Expression


def mutants(check: Check) -> list[Mutant]:
    """Return every weakening of a check, the whole check first."""
    root = check.expect.root
    whole = Mutant(check.id, "", replace(check.expect, root=Literal(root.start, root.end, True)))
    return [whole, *_without_one(check)]


def _without_one(check: Check) -> Iterator[Mutant]:
    for chain in _chains(check.expect.root):
        operands = _operands(chain)
        for dropped in operands:
            kept = [operand for operand in operands if operand is not dropped]
            root = replaced(check.expect.root, chain, reduce(_joined, kept))
            yield Mutant(check.id, check.expect.source(dropped), replace(check.expect, root=root))


def _chains(node: Node) -> Iterator[Binary]:
    """Yield each `a && b && c` as a whole."""
    if isinstance(node, Unary) and node.operator == "!":
        return
    inside = list(_children(node))
    if isinstance(node, Binary) and node.operator == "&&":
        yield node
        inside = _operands(node)
    for child in inside:
        yield from _chains(child)


def _operands(node: Node) -> list[Node]:
    if isinstance(node, Binary) and node.operator == "&&":
        return [*_operands(node.left), *_operands(node.right)]
    return [node]


def _joined(left: Node, right: Node) -> Node:
    return Binary(left.start, right.end, "&&", left, right)


def _children(node: Node) -> Iterator[Node]:
    for each in fields(node):
        value: Any = getattr(node, each.name)
        parts = cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,)
        for part in parts:
            if is_dataclass(part) and isinstance(part, Node):
                yield part


def replaced(node: Node, old: Node, new: Node) -> Node:
    """Return a tree with one node exchanged."""
    if node is old:
        return new
    changes: dict[str, Any] = {}
    for each in fields(node):
        value: Any = getattr(node, each.name)
        if isinstance(value, Node):
            changes[each.name] = replaced(value, old, new)
        elif isinstance(value, tuple):
            parts = cast(tuple[Any, ...], value)
            changes[each.name] = tuple(
                replaced(part, old, new) if isinstance(part, Node) else part for part in parts
            )
    return replace(node, **changes)
