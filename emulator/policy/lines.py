"""Tells somebody outside which lines a policy comes to, so that a line is known when a call never ends.

What a policy does is counted by its guards, but one operation of the interpreter can take for ever without a
step (comparing tuples nested in each other). Whoever then ends the interpreter from outside knows the line
that was told last. A line is told once, and again after `renew`, so that it costs next to nothing
(`sys.monitoring`, PEP 669; Python 3.12, and so the browser's; an older one tells nothing). It is a hint, as a
line that was told already is not told at each turn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

_MONITORING: Any = getattr(sys, "monitoring", None)
TOOL = 0  # sys.monitoring.DEBUGGER_ID
NAME = "vmlab policies"


def tell_lines(report: Callable[[int], object]) -> None:
    """Call `report` with each line that the policies come to which are loaded from now on."""
    if _MONITORING is None:
        return
    stop()
    _MONITORING.use_tool_id(TOOL, NAME)

    def came(_code: CodeType, line: int) -> object:
        report(line)
        return _MONITORING.DISABLE

    _MONITORING.register_callback(TOOL, _MONITORING.events.LINE, came)


def stop() -> None:
    """Tell nobody any more."""
    if _is_told():
        _MONITORING.free_tool_id(TOOL)


def renew() -> None:
    """Let lines that were told be told again."""
    if _is_told():
        _MONITORING.restart_events()


def follow(code: CodeType) -> None:
    """Tell the lines of a policy's code, if somebody wants to know."""
    if not _is_told():
        return
    _MONITORING.set_local_events(TOOL, code, _MONITORING.events.LINE)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            follow(part)


def _is_told() -> bool:
    return _MONITORING is not None and _MONITORING.get_tool(TOOL) == NAME
