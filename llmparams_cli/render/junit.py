"""JUnit XML for CI: suites of tests that passed, or failed for a reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmparams_cli.text.safe import in_xml


@dataclass(frozen=True)
class Test:
    """One test. `failure` is why it failed, in a line and in full; None if it passed."""

    name: str
    failure: tuple[str, str] | None
    seconds: float | None = None


@dataclass(frozen=True)
class Suite:
    name: str
    tests: Sequence[Test]
    seconds: float


def junit(suites: Iterable[Suite]) -> str:
    """The suites as a document, which holds whatever text the tests met."""
    from xml.etree import ElementTree as Xml

    suites = list(suites)
    root = Xml.Element("testsuites", _counts([test for each in suites for test in each.tests]))
    for suite in suites:
        name = _text(suite.name)
        attributes = {"name": name, **_counts(suite.tests), **_time(suite.seconds)}
        inside = Xml.SubElement(root, "testsuite", attributes)
        for test in suite.tests:
            attributes = {"classname": name, "name": _text(test.name), **_time(test.seconds)}
            case = Xml.SubElement(inside, "testcase", attributes)
            if test.failure:
                short, full = map(_text, test.failure)
                Xml.SubElement(case, "failure", message=short).text = full
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, "unicode") + "\n"


def _counts(tests: Sequence[Test]) -> dict[str, str]:
    failed = sum(test.failure is not None for test in tests)
    return {"tests": str(len(tests)), "failures": str(failed)}


def _time(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"time": f"{seconds:.3f}"}


def _text(text: str) -> str:
    """Text for XML, which has no notation for control characters."""
    return "\n".join(map(in_xml, text.split("\n")))
