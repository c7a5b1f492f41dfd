"""Run axe-core on a page as it stands, or on parts of it."""

from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Page

SIZE = "target-size"
# Beside what is on by default: targets of 24 px (WCAG 2.2, 2.5.8), names with what a control says (2.5.3).
RUN = """([within, only]) => axe.run(within.length ? {include: within} : document, {
  resultTypes: ['violations'],
  ...(only.length
    ? {runOnly: {type: 'rule', values: only}}
    : {rules: {'target-size': {enabled: true}, 'label-content-name-mismatch': {enabled: true}}})})"""


SCROLL = "selector => document.querySelector(selector).scrollIntoView({block: 'center'})"


def violations(
    page: Page, axe_source: str, within: Sequence[str] = (), only: Sequence[str] = ()
) -> list[str]:
    """Return one line for each element that breaks a rule of axe-core; empty is good.

    `within` are selectors of the parts to look at, `only` are the rules; without them it is all of the page
    and all rules.
    """
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(axe_source)
    found = _faults(page, within, only)
    return [text for (rule, target), text in found.items() if rule != SIZE or _small(page, within, target)]


def _faults(page: Page, within: Sequence[str], only: Sequence[str]) -> dict[tuple[str, str], str]:
    """Return what axe says, by rule and selector."""
    rules: list[dict[str, Any]] = page.evaluate(RUN, [list(within), list(only)])["violations"]
    nodes = [(rule["id"], str(node["target"][-1]), node) for rule in rules for node in rule["nodes"]]
    return {(rule, target): f"{rule} {target}: {node['failureSummary']}" for rule, target, node in nodes}


def _small(page: Page, within: Sequence[str], target: str) -> bool:
    """Look again where no bar that stays in sight lies over half of a target."""
    page.evaluate(SCROLL, target)
    return (SIZE, target) in _faults(page, within, [SIZE])
