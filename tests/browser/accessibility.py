"""Run axe-core on a page as it stands."""

from typing import Any

from playwright.sync_api import Page

RUN = "axe.run(document, {resultTypes: ['violations']})"


def violations(page: Page, axe_source: str) -> list[str]:
    """Return one line for each element that breaks a rule of axe-core; empty is good."""
    page.evaluate(axe_source)
    found: list[dict[str, Any]] = page.evaluate(RUN)["violations"]
    return [
        f"{rule['id']} {node['target']}: {node['failureSummary']}" for rule in found for node in rule["nodes"]
    ]
