"""Imports go down the floors of the architecture only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    "engine.cli": 5,
    "engine.api": 5,
    "engine.testing": 5,
    "engine.run": 4,
    "nodes": 3,
    "engine.inputs": 2,
    "engine.analysis": 2,
    "engine.providers": 2,
    "engine.graph": 1,
    "engine.media": 1,
    "engine.context": 1,
}
"""Package → floor; what else there is in `engine` stands on floor 0. `engine` itself names all, lazily."""

MODULES = sorted(path for folder in ("engine", "nodes") for path in (ROOT / folder).rglob("*.py"))


def floor_of(module: str) -> int:
    parts = module.split(".")
    return next(
        (FLOORS[name] for end in range(len(parts), 0, -1) if (name := ".".join(parts[:end])) in FLOORS), 0
    )


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every import of a module, at its top or within, but those that only a type checker reads."""
    stack: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            stack.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)
        stack.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    if module == "engine":
        return
    mine = floor_of(module)
    for line, name in imports_of(path):
        if name.split(".")[0] in ("engine", "nodes") and name != "engine":
            assert floor_of(name) <= mine, (
                f"{path}:{line} (floor {mine}) imports {name} (floor {floor_of(name)})"
            )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_keep_to_one_job(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 500
