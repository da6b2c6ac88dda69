"""Snapshots: a plan as a small JSON file that a person can review, with names in place of ids."""

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
    """A plan for review: what runs in order, parameters other than defaults, edges, changes, warnings."""
    of = names.of
    changes = plan.changes
    rewired = [edge_text((one.source, one.target), one.via, of) for one in changes.rewired]
    document: dict[str, Mapping[str, Any] | Sequence[Any]] = {
        "tiles": {of[node]: plan.tile(node).name for node in plan.order},
        "parameters": dict(_parameters(names, plan)),
        "inputs": {of[one.node]: [_source(source) for source in one.sources] for one in plan.inputs},
        "edges": [edge_text(edge, via, of) for edge, via in edges_of(plan).items()],
        "removed": [of[node] for node in changes.removed],
        "skipped": [of[node] for node in changes.skipped],
        "rewired": rewired,
        "overridden": {
            f"{of[one.node]}.{one.parameter}": {"old": one.old, "new": one.new} for one in changes.overridden
        },
        "warnings": [f"{notice.code}: {names.said(notice.message)}" for notice in plan.warnings],
    }
    return "{\n" + ",\n".join(f'  "{name}": {_section(own)}' for name, own in document.items()) + "\n}\n"


def _section(section: Mapping[str, Any] | Sequence[Any]) -> str:
    """A member of the snapshot, one entry a line."""
    if isinstance(section, Mapping):
        lines, ends = [f"{_json(name)}: {_json(one)}" for name, one in section.items()], "{}"
    else:
        lines, ends = [_json(one) for one in section], "[]"
    body = "".join(f"\n    {line}," for line in lines)
    return f"{ends[0]}{body[:-1]}\n  {ends[1]}" if lines else ends


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parameters(names: Names, plan: Plan) -> Iterator[tuple[str, Any]]:
    """The parameters that are not left at their defaults."""
    for node in plan.order:
        for name, one in plan.tile(node).parameters().items():
            if one["origin"] != "default":
                yield f"{names.of[node]}.{name}", one


def _source(source: SourceRef) -> str:
    text = f"{source.form} {source.key}"
    if source.start_ms is None and source.end_ms is None:
        return text
    end = "end" if source.end_ms is None else f"{source.end_ms} ms"
    return f"{text}, {source.start_ms or 0} ms to {end}"


def check_snapshot(name: str, text: str) -> str | None:
    """Compare a text with the snapshot of this name, or write it; what is wrong, or None."""
    session = current_session()
    if session is None or session.test is None:
        return "a snapshot needs pytest with the plug-in of Tessera: it lies beside the test"
    if not re.fullmatch(r"[\w.\- ]+", name) or name.startswith("."):
        return f"{name!r} is no name for a snapshot: use letters, digits, '_', '-', '.' and spaces"
    path = session.test.parent / _FOLDER / f"{name}.json"
    shown = f"{_FOLDER}/{path.name}"
    if session.update_snapshots:
        if session.written.setdefault(path, text) != text:
            return f"two tests write different plans to {shown}: give one another name"
        if _read(path) != text:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        return None
    kept = _read(path)
    if kept is None:
        return f"there is no snapshot {shown} yet; `pytest {_OPTION}` writes it:\n{text}"
    if kept == text:
        return None
    lines = unified_diff(kept.splitlines(), text.splitlines(), shown, "this plan", lineterm="")
    return f"the plan is not as its snapshot; `pytest {_OPTION}` takes it as it is:\n" + "\n".join(lines)


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode().replace("\r\n", "\n")
    except FileNotFoundError:
        return None
