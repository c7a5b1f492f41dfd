"""Checks that tell the answer of a question: a failed one says that it expected the number that is asked for.

Only what does not depend on the lab is looked at: numbers, texts, parameters and what is computed of them.
An answer that is the same for every student is told by chance too often when it is small, so that only
numbers from `LARGE` on are held against a check then.
"""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, cast

from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.expression import Call, Expression, Items, Node
from app.lessons.model import Check, Lesson, Question

_NUMBER = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+)?(?![\w.]*\w)")
LARGE = 100
FEWEST = 3
"""So many different answers among the students that are looked at are no chance."""


def telltales(drawn: list[Lesson]) -> list[tuple[str, str, bool]]:
    """Return check, question, and whether its title does it, where a check tells an answer for every draw.

    A question whose answer is the same as that of one which the check `reveals` needs no mention.
    """
    return [
        (check.id, name, in_title)
        for at, check in enumerate(drawn[0].checks)
        for name, question in drawn[0].questions.items()
        if _is_number(question) and _is_no_chance([float(lesson.questions[name].answer) for lesson in drawn])
        for in_title in (True, False)
        if in_title or not (check.hidden or _is_known(drawn, check, name))
        if all(_tells(lesson.checks[at], lesson.questions[name], in_title) for lesson in drawn)
    ]


def _is_known(drawn: list[Lesson], check: Check, name: str) -> bool:
    """Return whether the answer to a question is that of one which must be answered first anyway."""
    return any(
        all(lesson.questions[other].answer == lesson.questions[name].answer for lesson in drawn)
        for other in check.reveals
    )


def _is_number(question: Question) -> bool:
    return not question.choices and question.price is None and not isinstance(question.answer, str)


def _is_no_chance(answers: list[float]) -> bool:
    return len(set(answers)) >= FEWEST or min(map(abs, answers)) >= LARGE


def _tells(check: Check, question: Question, in_title: bool) -> bool:
    expressions = [check.expect, *(part.expect for part in check.partial)]
    told = (value for expression in expressions for value in _constants(expression, expression.root))
    numbers = map(float, _NUMBER.findall(check.title)) if in_title else told
    return any(question.judge(value).correct for value in numbers)


def _constants(expression: Expression, node: Node) -> Iterator[float]:
    """Yield the largest parts that are numbers in every lab, as a message says them."""
    if expression.is_constant(node) and not isinstance(node, Items):
        try:
            value = Evaluator(expression).value(node)
        except NoValue:
            return
        if isinstance(value, str):
            yield from map(float, _NUMBER.findall(value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield value
        return
    parts = [node.target, *node.arguments] if isinstance(node, Call) else _children(node)
    for part in parts:
        if part is not None:
            yield from _constants(expression, part)


def _children(node: Node) -> Iterator[Node]:
    for each in fields(node):
        value: Any = getattr(node, each.name)
        for part in cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,):
            if isinstance(part, Node):
                yield part
