"""The faults and warnings of the documents of a run, each with its place in a file."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from tessera.errors import Document, Fault
from tessera.notice import Notice
from tessera.reports.positions import Position, locate, syntax_error
from tessera.text.checked import json_value
from tessera.text.wording import count

__all__ = [
    "LIMIT",
    "RULES",
    "CheckedDocument",
    "Finding",
    "Report",
    "document_at",
    "report_of",
    "rule_text",
    "tiles_of",
    "value_at",
]

LIMIT = 5_000
"""The largest number of findings in a report: GitHub shows no more of one SARIF run."""

RULES: Mapping[str, str] = {
    "invalid": "The document or the command line is invalid.",
    "unreadable": "A file cannot be read.",
    "unusable_input": "An input file cannot be used.",
    "not_json": "A document is not JSON in UTF-8.",
    "too_deep": "A document is nested too deeply.",
    "missing_field": "A required member is missing.",
    "unknown_field": "A member or a parameter has an unknown name.",
    "wrong_value": "A value has the wrong type or is out of range.",
    "wrong_range": "A range ends before it begins.",
    "duplicate_node": "Two nodes have the same id.",
    "duplicate_entry": "Two entries are for the same tile.",
    "duplicate_connection": "A connection is listed twice and counts once.",
    "unknown_node": "An id is not that of a node of the agent.",
    "unknown_node_type": "A node has a type that the catalogue does not know.",
    "cycle": "The connections form a cycle.",
    "kinds_do_not_fit": "A tile produces a kind of media that the next tile does not accept.",
    "nothing_runs": "No tile of the agent can run.",
    "too_many_connections": "A rewrite gives more connections than are allowed.",
    "fixed_parameters": "The parameters of this tile cannot be overridden.",
    "missing_input": "A Video Input has no source, or a range has nothing to apply to.",
    "wrong_input": "An input does not fit the Video Inputs of the agent.",
    "no_facts": "A simulation has neither media nor facts of an input.",
    "type_contradiction": "The name of a node's type contradicts its id.",
    "order_advice": "A tile works better before another one.",
    "no_prompt": "The hosted tile requires a prompt.",
    "skipped_tile": "A tile does not run.",
    "needless_override": "A parameter is overridden with its present value.",
    "unknown_parameter": "A parameter is kept but has no effect.",
    "deprecated_parameter": "A parameter is deprecated.",
    "other_plan": "The agent in a bundle does not give the plan beside it.",
    "old_value": "A parameter has an old name of one of its values.",
    "opaque_tile": "A node of an unknown type passes its inputs on.",
    "too_many_findings": "The report leaves out further findings.",
}
"""Code of a fault or a warning → its description."""


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A document that was checked.

    Attributes
    ----------
    label
        The path as typed, `<stdin>`, `<inline>` for JSON text, or `<options>` for a request that consists of
        command line options.
    uri
        For a file: its path relative to the folder of the report if it is below it, else a `file:` URI.
    data
        The bytes of a file or of JSON text; None if they are not available.
    """

    document: Document
    label: str
    uri: str | None = None
    data: bytes | None = None

    @property
    def noun(self) -> str:
        return "agent" if self.document == "template" else "request"

    def parsed(self) -> Any:
        """Return the value of the document, or None if it is not available or no JSON."""
        try:
            return json_value(self.data or b"")
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault (`error`) or a warning, its place, and the tile concerned if it is known.

    Attributes
    ----------
    pointer
        The JSON pointer into the document; `""` is the whole document.
    position
        The place of the value in the file; None if the document is no file.
    tile, tile_pointer
        The name of the tile, and the pointer to its node in the agent.
    """

    level: Literal["error", "warning"]
    code: str
    message: str
    source: CheckedDocument
    pointer: str = ""
    position: Position | None = None
    tile: str | None = None
    tile_pointer: str | None = None

    @property
    def place(self) -> str:
        """Return the place as text: `agent.json /agent_nodes/2`."""
        return f"{self.source.label} {self.pointer}".rstrip()


@dataclass(frozen=True, slots=True)
class Report:
    """The documents that were checked, and at most `LIMIT` findings about them."""

    documents: tuple[CheckedDocument, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        return sum(finding.level == "error" for finding in self.findings)

    def of(self, checked: CheckedDocument) -> list[Finding]:
        """Return the findings about one document."""
        return [finding for finding in self.findings if finding.source is checked]


def rule_text(code: str) -> str:
    """Return the description of a code; the words of the code itself if it is not listed."""
    return RULES.get(code) or code.replace("_", " ").capitalize() + "."


def document_at(document: Document, argument: str | None, folder: Path) -> CheckedDocument:
    """Return the document in a command line argument: a path, JSON text, `-`, or None for options alone."""
    if argument is None:
        return CheckedDocument(document, "<options>")
    if argument == "-":
        return CheckedDocument(document, "<stdin>")
    if argument.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return CheckedDocument(document, "<inline>", data=argument.encode("utf-8", "surrogatepass"))
    path, data = Path(argument), None
    try:
        # A pipe can be read only once, and has been: `tessera validate <(command)`.
        if path.exists() and not path.is_file():
            return CheckedDocument(document, argument)
        data = path.read_bytes()
    except (OSError, ValueError):
        pass
    return CheckedDocument(document, argument, _uri(argument, folder), data)


def _uri(argument: str, folder: Path) -> str:
    # Not resolved: a link below the folder is a path of the repository, wherever it leads.
    path, base = os.path.abspath(folder / argument.replace("\0", "�")), os.path.abspath(folder)
    relative = path.removeprefix(base.rstrip(os.sep) + os.sep)
    inside = relative != path
    return ("" if inside else "file://") + quote(os.fsencode(relative if inside else path))


def report_of(
    documents: Sequence[CheckedDocument],
    faults: Iterable[Fault] = (),
    notices: Iterable[Notice] = (),
    tiles: Mapping[str, tuple[str, str]] | None = None,
    changed: Collection[str] = (),
) -> Report:
    """Return the report of the faults and warnings of a check.

    Parameters
    ----------
    documents
        The agent and, if there is one, the request. A fault of a document that is not among them counts for
        the first.
    tiles
        The tiles of the agent: id in lower case → name, JSON pointer to the node.
    changed
        The pointers into the request whose values are not those of its file: they get no position.
    """
    by_kind = {checked.document: checked for checked in documents}
    found = [
        *(Finding("error", one.code, one.message, *_at(by_kind, documents, one)) for one in faults),
        *(Finding("warning", one.code, one.message, *_at(by_kind, documents, one)) for one in notices),
    ]
    left_out = len(found) - LIMIT
    if left_out > 0:
        shown = found[: LIMIT - 1]
        message = f"{count(left_out + 1, 'further finding')} left out of this report"
        found = [*shown, Finding(found[LIMIT].level, "too_many_findings", message, documents[0])]
    names = tiles or {}
    nodes = {place: name for name, place in names.values()}
    values = {checked.document: checked.parsed() for checked in documents} if found else {}
    located = [_with_tile(finding, names, nodes, values) for finding in found]
    return Report(tuple(documents), tuple(_with_positions(documents, located, changed)))


def _at(
    by_kind: Mapping[Document, CheckedDocument], documents: Sequence[CheckedDocument], one: Fault | Notice
) -> tuple[CheckedDocument, str]:
    checked = by_kind.get(one.document)
    return (checked, one.loc) if checked is not None else (documents[0], "")


def _with_tile(
    finding: Finding,
    tiles: Mapping[str, tuple[str, str]],
    nodes: Mapping[str, str],
    values: Mapping[Document, Any],
) -> Finding:
    """Return the finding with the tile that its pointer leads into, or whose id is the value there."""
    parts = finding.pointer.split("/")
    place = "/".join(parts[:3])
    if finding.source.document == "template" and place in nodes:
        return replace(finding, tile=nodes[place], tile_pointer=place)
    named = value_at(values[finding.source.document], finding.pointer)
    for node in (parts[2] if parts[1:2] == ["update_params"] and len(parts) > 2 else None, named):
        if isinstance(node, str) and node.lower() in tiles:
            name, at = tiles[node.lower()]
            return replace(finding, tile=name, tile_pointer=at)
    return finding


def value_at(value: Any, loc: str) -> Any:
    """Return the value at a JSON pointer, or None if the document has none."""
    for part in loc.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdecimal() and len(name) < 10 and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    return value


def _with_positions(
    documents: Iterable[CheckedDocument], found: Sequence[Finding], changed: Collection[str]
) -> Iterator[Finding]:
    positions: dict[str, dict[str, Position]] = {}
    for checked in documents:
        if checked.uri is not None and checked.data is not None:
            wanted = [one.pointer for one in found if one.source is checked]
            positions[checked.document] = locate(checked.data, wanted) if wanted else {}
    for one in found:
        data = one.source.data
        moved = one.source.document == "request" and one.pointer in changed
        if one.source.uri is None or data is None or moved:
            yield one
        elif one.code == "not_json" and not one.pointer:
            yield replace(one, position=syntax_error(data))
        else:
            yield replace(one, position=positions[one.source.document][one.pointer])


def tiles_of(raw: Any) -> dict[str, tuple[str, str]]:
    """Return the tiles of an agent as parsed from JSON, valid or not: id in lower case → name, pointer."""
    from tessera.agent import type_names

    found: dict[str, tuple[str, str]] = {}
    for section in ("agent_nodes", "nodes"):
        nodes = raw.get(section) if isinstance(raw, dict) else None
        for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
            if not isinstance(node, dict):
                continue
            typed = {key: value for key, value in node.items() if _fits(key, value)}
            ids, names = type_names(typed)  # type: ignore[arg-type]
            name = next((text for text in (*names, *ids) if isinstance(text, str) and text), None)
            node_id = node.get("agent_node_id") or node.get("id")
            if name is not None:
                place = f"/{section}/{index}"
                key = node_id.lower() if isinstance(node_id, str) else place
                found[place if key in found else key] = (name, place)
    return found


def _fits(key: str, value: Any) -> bool:
    return isinstance(value, dict) if key in ("node_type", "node") else isinstance(value, str)
