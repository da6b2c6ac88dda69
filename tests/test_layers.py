"""Imports go down the floors of the architecture only, and never in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    "tessera.cli": 5,
    "tessera.api": 5,
    "tessera.ui": 5,
    "tessera.testing": 5,
    "tessera.runner": 4,
    "tessera.record": 4,
    "tessera.store": 4,
    "tessera.forecast": 4,
    "tessera.explain": 4,
    "tessera.bundle": 4,
    "tessera.starters": 4,
    "tessera.doctor": 4,
    "tessera.nodes": 3,
    "tessera.inputs": 2,
    "tessera.analysis": 2,
    "tessera.providers": 2,
    "tessera.graph": 1,
    "tessera.media": 1,
    "tessera.drawing": 1,
    "tessera.reports": 1,
    "tessera.context": 1,
}
"""Package → floor. Every other module of `tessera` is on floor 0. `tessera` itself names all, lazily."""

FOLDERS = {"tessera": ROOT / "engine", "tessera.nodes": ROOT / "nodes"}
MODULES = {
    ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__"): path
    for package, folder in FOLDERS.items()
    for path in sorted(folder.rglob("*.py"))
}
TYPES_ONLY = {
    ("tessera.node", "tessera.context"),
    ("tessera.node", "tessera.media.algebra.item"),
    ("tessera.drawing.model", "tessera.graph.plan"),
    ("tessera.reports.notebook", "tessera.graph.plan"),
    ("tessera.record.record", "tessera.forecast.forecast"),
}
"""Imports for a type checker alone, each explained where it stands."""


def floor_of(module: str) -> int:
    parts = module.split(".")
    return next(
        (FLOORS[name] for end in range(len(parts), 0, -1) if (name := ".".join(parts[:end])) in FLOORS), 0
    )


def imports_of(module: str) -> Iterator[tuple[int, str]]:
    """Yield the line and name of every module that a module imports: at its top, in functions, for types."""
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield node.lineno, full if full in MODULES else node.module


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"tessera"}))
def test_imports_go_down_only(module: str) -> None:
    mine = floor_of(module)
    for line, name in imports_of(module):
        if name in MODULES and name != "tessera" and (module, name) not in TYPES_ONLY:
            assert floor_of(name) <= mine, f"{MODULES[module]}:{line} (floor {mine}) imports {name}"


def test_imports_make_no_circle() -> None:
    graph = nx.DiGraph(
        (module, name)
        for module in MODULES
        for _line, name in imports_of(module)
        if name in MODULES and "tessera" not in (module, name) and (module, name) not in TYPES_ONLY
    )
    circles = [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    assert not circles
