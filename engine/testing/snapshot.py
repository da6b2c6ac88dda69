"""Snapshots: a plan as a small reviewable JSON file, with names in place of ids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Any

from tessera.graph.plan import Plan
from tessera.request import SourceRef
from tessera.testing.notation.edges import edge_text, edges_of
from tessera.testing.notation.names import Names
from tessera.testing.session import current_session

__all__ = ["check_snapshot", "snapshot_text"]

_FOLDER = "__snapshots__"
_OPTION = "--tessera-update-snapshots"


def snapshot_text(names: Names, plan: Plan) -> str:
    """Return a plan as text for review: tiles in order, non-default parameters, edges, changes, warnings."""
    name_of = names.name_of
    changes = plan.changes
    rewired = [edge_text((edge.source, edge.target), edge.via, name_of) for edge in changes.rewired]
    document: dict[str, Mapping[str, Any] | Sequence[Any]] = {
        "tiles": {name_of[node]: plan.tile(node).name for node in plan.order},
        "parameters": dict(_parameters(names, plan)),
        "inputs": {
            name_of[entry.node]: [_source(source) for source in entry.sources] for entry in plan.inputs
        },
        "edges": [edge_text(edge, via, name_of) for edge, via in edges_of(plan).items()],
        "removed": [name_of[node] for node in changes.removed],
        "skipped": [name_of[node] for node in changes.skipped],
        "rewired": rewired,
        "overridden": {
            f"{name_of[change.node]}.{change.parameter}": {"old": change.old, "new": change.new}
            for change in changes.overridden
        },
        "warnings": [f"{notice.code}: {names.with_names(notice.message)}" for notice in plan.warnings],
    }
    return "{\n" + ",\n".join(f'  "{name}": {_section(value)}' for name, value in document.items()) + "\n}\n"


def _section(section: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return a member of the snapshot as text, one entry per line, so that a diff shows single entries."""
    if isinstance(section, Mapping):
        lines, ends = [f"{_json(name)}: {_json(value)}" for name, value in section.items()], "{}"
    else:
        lines, ends = [_json(value) for value in section], "[]"
    body = "".join(f"\n    {line}," for line in lines)
    return f"{ends[0]}{body[:-1]}\n  {ends[1]}" if lines else ends


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parameters(names: Names, plan: Plan) -> Iterator[tuple[str, Any]]:
    """Yield the parameters whose values are not defaults."""
    for node in plan.order:
        for name, value in plan.tile(node).parameters().items():
            if value["origin"] != "default":
                yield f"{names.name_of[node]}.{name}", value


def _source(source: SourceRef) -> str:
    text = f"{source.form} {source.key}"
    if source.start_ms is None and source.end_ms is None:
        return text
    end = "end" if source.end_ms is None else f"{source.end_ms} ms"
    return f"{text}, {source.start_ms or 0} ms to {end}"


def check_snapshot(name: str, text: str) -> str | None:
    """Compare a text with the snapshot of this name, or write the snapshot.

    Returns
    -------
    str or None
        The text of a failure, or None if the snapshot matches or was written.
    """
    session = current_session()
    if session is None or session.test is None:
        return "snapshots need pytest with the Tessera plug-in, which knows the folder of the test"
    if not re.fullmatch(r"[\w.\- ]+", name) or name.startswith("."):
        return f"invalid snapshot name {name!r}: use letters, digits, '_', '-', '.' and spaces"
    path = session.test.parent / _FOLDER / f"{name}.json"
    shown = f"{_FOLDER}/{path.name}"
    if session.update_snapshots:
        if session.written.setdefault(path, text) != text:
            return f"two tests write different plans to {shown}: rename one of the snapshots"
        if _read(path) != text:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        return None
    kept = _read(path)
    if kept is None:
        return f"the snapshot {shown} does not exist yet; `pytest {_OPTION}` writes it:\n{text}"
    if kept == text:
        return None
    lines = unified_diff(kept.splitlines(), text.splitlines(), shown, "this plan", lineterm="")
    return f"the plan differs from its snapshot; `pytest {_OPTION}` updates it:\n" + "\n".join(lines)


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode().replace("\r\n", "\n")
    except FileNotFoundError:
        return None
