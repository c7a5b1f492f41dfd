"""Reports of lessons as JUnit XML, which continuous integration shows: a suite per lesson, a case per seed.

The format is what Jenkins, GitLab and GitHub's reporters read in common: `testsuites`, `testsuite`,
`testcase` with `failure`, `error` or `skipped`. Left out: hosts, packages and properties.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from app.grading.proof import WIDE, place

Report = dict[str, Any]

# What XML 1.0 (fifth edition, section 2.2) does not allow in a text: lessons print what they like.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(reports: list[Report]) -> bytes:
    """Return reports of `app.grading.proof.prove` as an XML document in UTF-8."""
    suites = Element("testsuites", name="vmlab test-lesson")
    for report in reports:
        suite = SubElement(suites, "testsuite", name=report["lesson"])
        for case in _cases(report):
            suite.append(case)
        _count(suite, [suite])
        suite.set("time", f"{report.get('seconds', 0.0):.3f}")
        if report.get("wide"):
            SubElement(suite, "system-out").text = _text("\n".join([WIDE, *report["wide"]]))
    _count(suites, list(suites))
    indent(suites)
    return tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n"


def _cases(report: Report) -> Iterator[Element]:
    """Yield the case of the lesson as a whole, then one for each seed."""
    trials: list[Report] = report["trials"]
    of_seeds = {f"seed {trial['seed']}: {fault}" for trial in trials for fault in trial["faults"]}
    whole = _case(report, "lesson", 0.0)
    for error in report["errors"]:
        _say(whole, "error", f"{place(error)}: {error['message']}")
    for fault in report["faults"]:
        if fault not in of_seeds:
            _say(whole, "failure", fault)
    for reason in report["waits"]:
        _say(whole, "skipped", reason)
    yield whole
    for trial in trials:
        case = _case(report, f"seed {trial['seed']}", trial["seconds"])
        for fault in trial["faults"]:
            _say(case, "failure", fault)
        yield case


def _case(report: Report, name: str, seconds: float) -> Element:
    return Element("testcase", classname=report["lesson"], name=name, time=f"{seconds:.3f}")


def _say(case: Element, kind: str, message: str) -> None:
    said = SubElement(case, kind, message=_text(message))
    if kind != "skipped":
        said.text = _text(message)


def _text(text: str) -> str:
    return _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text)


def _count(element: Element, suites: list[Element]) -> None:
    """Set how many cases there are, and how many of them failed, could not be done, or were left out."""
    cases = [case for suite in suites for case in suite.iter("testcase")]
    element.set("tests", str(len(cases)))
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(case.find(kind) is not None for case in cases)))
