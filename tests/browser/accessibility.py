"""Run axe-core on a page as it stands, or on parts of it."""

from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Page

# Beside what is on by default: targets of 24 px (WCAG 2.2, 2.5.8), names with what a control says (2.5.3).
RUN = """([within, only]) => axe.run(within.length ? {include: within} : document, {
  resultTypes: ['violations'],
  ...(only.length
    ? {runOnly: {type: 'rule', values: only}}
    : {rules: {'target-size': {enabled: true}, 'label-content-name-mismatch': {enabled: true}}})})"""


def violations(
    page: Page, axe_source: str, within: Sequence[str] = (), only: Sequence[str] = ()
) -> list[str]:
    """Return one line for each element that breaks a rule of axe-core; empty is good.

    `within` are selectors of the parts to look at, `only` are the rules; without them it is all of the page
    and all rules.
    """
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(axe_source)
    found: list[dict[str, Any]] = page.evaluate(RUN, [list(within), list(only)])["violations"]
    return [
        f"{rule['id']} {node['target']}: {node['failureSummary']}" for rule in found for node in rule["nodes"]
    ]
