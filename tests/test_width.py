"""No function takes more than eight parameters: what belongs together is one value."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST = 8


def test_no_function_takes_more_than_eight_parameters() -> None:
    wide = []
    for folder in ("engine", "nodes"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                    names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
                    if len(names) > MOST:
                        wide.append(f"{file.relative_to(ROOT)}: {node.name} takes {len(names)}")
    assert wide == []
