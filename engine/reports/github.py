"""Findings as annotations: workflow commands that GitHub Actions shows beside the lines of the files."""

from __future__ import annotations

from urllib.parse import unquote

from tessera.reports.findings import Finding, Report
from tessera.text.wording import printable

__all__ = ["github_of"]


def github_of(report: Report) -> str:
    """Return one workflow command per finding: `::error file=…,line=…,col=…,title=…::message`.

    A finding in a document that is no file names the document in its message. Without findings, the text is
    empty.
    """
    return "".join(_command(finding) + "\n" for finding in report.findings)


def _command(finding: Finding) -> str:
    properties = {}
    if finding.source.uri is not None:
        # GitHub takes paths relative to the repository; another file keeps its path as typed.
        inside = not finding.source.uri.startswith("file:")
        properties["file"] = unquote(finding.source.uri) if inside else finding.source.label
        if finding.position is not None:
            properties |= {"line": str(finding.position.line), "col": str(finding.position.column)}
    properties["title"] = f"{finding.tile}: {finding.code}" if finding.tile else finding.code
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    place = finding.place if finding.source.uri is None else finding.pointer
    message = f"{finding.message} ({place})" if place else finding.message
    return f"::{finding.level} {listed}::{_data(message)}"


def _data(text: str) -> str:
    """Return a message on one line: the runner decodes `%25`, `%0D` and `%0A`."""
    # Encoded before `printable`, which would replace a carriage return.
    encoded = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return printable(encoded)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
