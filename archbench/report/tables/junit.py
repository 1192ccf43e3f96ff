"""What a gate found as JUnit's XML, which CI systems show as tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from archbench.escaping import visible
from archbench.report.data.gate import Finding, Standing
from archbench.report.tables.gate import passes, sentence
from archbench.spec import UsageError

SUITE = "archbench gate"


def write_junit(findings: Sequence[Finding], file: Path, *, allow_missing: bool) -> None:
    """Write a test case a limit: what is broken a failure, what is not known an error, or skipped
    where it passes.

    Raises UsageError where the file cannot be written.
    """
    suite = Element("testsuite", name=SUITE, tests=str(len(findings)))
    tally = dict.fromkeys(("failures", "errors", "skipped"), 0)
    for finding in findings:
        case = SubElement(
            suite, "testcase", classname=visible(finding.network.name), name=finding.limit.key
        )
        kind = _kind(finding, allow_missing=allow_missing)
        if kind:
            tally[TALLIES[kind]] += 1
            told = SubElement(case, kind, type=finding.standing.value, message=sentence(finding))
            told.text = sentence(finding)
    for name, count in tally.items():
        suite.set(name, str(count))
    whole = Element("testsuites", name=SUITE, tests=suite.get("tests", ""))
    whole.append(suite)
    indent(whole)
    try:
        ElementTree(whole).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None


TALLIES = {"failure": "failures", "error": "errors", "skipped": "skipped"}
"""The counts of a suite, by the elements of its cases."""


def _kind(finding: Finding, *, allow_missing: bool) -> str:
    """The element that a case has; empty for one that passes."""
    if finding.standing == Standing.HOLDS:
        return ""
    if finding.standing == Standing.BROKEN:
        return "failure"
    return "skipped" if passes(finding, allow_missing=allow_missing) else "error"
