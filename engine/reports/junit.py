"""Findings as JUnit XML, as GitHub actions, GitLab and Jenkins read it."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as xml

from tessera.reports.findings import CheckedDocument, Finding, Report, rule_text
from tessera.text.wording import count, one_line

__all__ = ["junit_of"]


def junit_of(report: Report, version: str) -> str:
    """Return a report as JUnit XML: a suite for each document, and in it a failed test for each error.

    A document without errors gives one passed test, with its warnings as output. A request is skipped if the
    agent has errors and the request none, since it is then checked in shape only.
    """
    suites = xml.Element("testsuites", _attributes({"name": "tessera validate"}))
    agent_fails = any(one.level == "error" and one.source.document == "template" for one in report.findings)
    for checked in report.documents:
        suites.append(_suite(checked, report.of(checked), version, agent_fails=agent_fails))
    for name in ("tests", "failures", "errors", "skipped"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    suites.set("time", "0")
    xml.indent(suites, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml.tostring(suites, encoding="unicode")}\n'


def _suite(
    checked: CheckedDocument, findings: list[Finding], version: str, *, agent_fails: bool
) -> xml.Element:
    faults = [finding for finding in findings if finding.level == "error"]
    warnings = [finding for finding in findings if finding.level == "warning"]
    unchecked = agent_fails and not faults
    suite = xml.Element(
        "testsuite",
        _attributes(
            {
                "name": f"{checked.noun} {checked.label}",
                "tests": str(max(len(faults), 1)),
                "failures": str(len(faults)),
                "errors": "0",
                "skipped": str(int(unchecked)),
                "time": "0",
            }
        ),
    )
    properties = xml.SubElement(suite, "properties")
    for name, value in {"tessera": version, "document": checked.noun, "source": checked.label}.items():
        xml.SubElement(properties, "property", _attributes({"name": name, "value": value}))
    for finding in faults:
        case = _case(suite, checked, f"{finding.pointer}: {finding.message}".removeprefix(": "), finding)
        kind = {"type": finding.code, "message": finding.message}
        xml.SubElement(case, "failure", _attributes(kind)).text = _details(finding)
    if not faults:
        case = _case(suite, checked, f"the {checked.noun} is valid")
        if unchecked:
            reason = "checked in shape only: the agent has errors"
            xml.SubElement(case, "skipped", _attributes({"message": reason}))
        if warnings:
            lines = [f"{count(len(warnings), 'warning')}:", *map(_details, warnings)]
            xml.SubElement(case, "system-out").text = "\n".join(lines)
    return suite


def _case(
    suite: xml.Element, checked: CheckedDocument, name: str, finding: Finding | None = None
) -> xml.Element:
    attributes = {"classname": f"tessera.validate.{checked.noun}", "name": name, "time": "0"}
    if checked.uri is not None:
        attributes["file"] = checked.label
        if finding is not None and finding.position is not None:
            attributes["line"] = str(finding.position.line)
    return xml.SubElement(suite, "testcase", _attributes(attributes))


def _details(finding: Finding) -> str:
    """Return a finding as one line: place, tile, message, and the description of its code."""
    at = f":{finding.position.line}:{finding.position.column}" if finding.position else ""
    tile = f" ({finding.tile})" if finding.tile else ""
    place = f"{finding.source.label}{at} {finding.pointer}".rstrip()
    return one_line(f"{place}{tile}: {finding.message} [{finding.code}: {rule_text(finding.code)}]")


def _attributes(values: Mapping[str, str]) -> dict[str, str]:
    """Return attributes without the characters that XML 1.0 forbids; the writer escapes the others."""
    return {name: one_line(value) for name, value in values.items()}
