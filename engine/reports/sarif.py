"""Findings as SARIF 2.1.0, the format of code scanning (GitHub and others)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tessera.reports.findings import Finding, Report, rule_text
from tessera.text.json_text import json_text
from tessera.text.wording import one_line

__all__ = ["sarif_of"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LINK = re.compile(r"\]\(")


def sarif_of(report: Report, version: str) -> str:
    """Return a report as SARIF text with one run.

    Parameters
    ----------
    version
        The version of Tessera.
    """
    codes = {code: index for index, code in enumerate(dict.fromkeys(one.code for one in report.findings))}
    levels = {finding.code: finding.level for finding in reversed(report.findings)}
    run = {
        "tool": {
            "driver": {
                "name": "Tessera",
                "version": version,
                "rules": [_rule(code, levels[code]) for code in codes],
            }
        },
        # Code scanning accepts two runs of one tool only if their ids differ: each agent gets its own.
        "automationDetails": {"id": f"tessera/{_id(report)}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "exitCode": 2 if report.errors else 0}],
        "results": [_result(finding, codes) for finding in report.findings],
    }
    return json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, 1) + "\n"


def _id(report: Report) -> str:
    return "+".join(checked.uri or checked.label for checked in report.documents)


def _rule(code: str, level: str) -> dict[str, Any]:
    text = rule_text(code)
    return {
        "id": code,
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "help": {"text": f"{text} See `tessera validate --help`."},
        "defaultConfiguration": {"level": level},
    }


def _result(finding: Finding, codes: Mapping[str, int]) -> dict[str, Any]:
    return {
        "ruleId": finding.code,
        "ruleIndex": codes[finding.code],
        "level": finding.level,
        "message": {"text": _message(finding.message)},
        "locations": [_location(finding)],
    }


def _message(text: str) -> str:
    """Return a message in which no text is taken for a link: `[text](target)`."""
    text = one_line(text)
    return re.sub(r"([\[\]\\])", r"\\\1", text) if _LINK.search(text) else text


def _location(finding: Finding) -> dict[str, Any]:
    pointer = one_line(finding.pointer)
    logical: list[dict[str, Any]] = [
        {
            "name": pointer.rpartition("/")[2] or finding.source.noun,
            "fullyQualifiedName": pointer or finding.source.noun,
            "kind": "value",
        }
    ]
    if finding.tile is not None:
        tile = {"name": one_line(finding.tile), "fullyQualifiedName": finding.tile_pointer, "kind": "object"}
        logical.append(tile)
    if finding.source.uri is None:
        # Standard input and JSON text of the command line are no artifacts.
        return {"message": {"text": _message(finding.place)}, "logicalLocations": logical}
    physical: dict[str, Any] = {"artifactLocation": _artifact(finding.source.uri)}
    if finding.position is not None:
        line, column = finding.position
        physical["region"] = {"startLine": line, "startColumn": column}
    return {"physicalLocation": physical, "logicalLocations": logical}


def _artifact(uri: str) -> dict[str, str]:
    return {"uri": uri} if uri.startswith("file:") else {"uri": uri, "uriBaseId": "%SRCROOT%"}
