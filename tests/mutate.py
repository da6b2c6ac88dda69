"""Mutation testing for developers: `python -m tests.mutate engine/graph/rewrite.py [--most N] [--seed S]`.

Makes small mistakes in a module, one at a time and in a temporary copy of the project, and runs the tests
that should notice. A mutant that no test notices is printed: it changes nothing, or a test is missing.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

TESTS = ("tests/test_requests.py", "tests/test_load.py", "tests/test_plan.py", "tests/laws/test_rewrites.py")
"""What is run against each mutant, unless `--tests` names others."""

SLOW = "ten_thousand or another_process or two_ignored_tiles_both or long_cycle or fills_the_memory"
"""Tests about size and about processes: run only with `--all`, since they take most of the time."""

MEMORY = 4 << 30
"""The most bytes that one run may take: a mutant may well collect things for ever."""

_COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.LShift: ast.RShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_UNTOUCHED = ("annotation", "returns", "decorator_list", "bases", "type_params")
"""Parts of the tree that do not run, or whose change no test of behaviour can be asked to see."""


class Mutant(NamedTuple):
    """A mistake: where it is, what it is, and the module with it."""

    line: int
    what: str
    text: str


def _replacements(node: ast.AST, inside: bool) -> Iterator[ast.AST]:
    """What a node may be mistaken for. Only inside a function are statements left out."""
    if isinstance(node, ast.Compare):
        for index, op in enumerate(node.ops):
            for other in _COMPARE[type(op)]:
                ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                yield ast.Compare(node.left, ops, node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.If):
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    elif inside and isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.Continue):
        yield ast.Pass()


def _shown(old: ast.AST, new: ast.AST) -> str:
    before, after = (ast.unparse(node).split("\n")[0][:90] for node in (old, new))
    return f"{before}  →  {after}"


def _places(tree: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool, Callable[[ast.AST], None]]]:
    """Every node of a tree, whether it is inside a function, and how another is put in its place."""
    within = inside or isinstance(tree, ast.FunctionDef | ast.Lambda)
    for name, value in ast.iter_fields(tree):
        if name in _UNTOUCHED:
            continue
        if isinstance(value, ast.AST):
            yield value, within, lambda new, name=name: setattr(tree, name, new)  # type: ignore[misc]
            yield from _places(value, within)
        elif isinstance(value, list):
            for index, member in enumerate(value):
                if isinstance(member, ast.AST):
                    yield member, within, lambda new, at=index, held=value: held.__setitem__(at, new)  # type: ignore[misc]
                    yield from _places(member, within)


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module's text, in the order of the tree."""
    tree = ast.parse(source)
    for node, inside, put in list(_places(tree)):
        for new in _replacements(node, inside):
            put(new)
            yield Mutant(
                getattr(node, "lineno", 0), _shown(node, new), ast.unparse(ast.fix_missing_locations(tree))
            )
            put(node)


class Copy:
    """A copy of the project in which modules are broken and the tests run."""

    def __init__(self, root: Path, tests: Sequence[str], every: bool, timeout: float) -> None:
        self.root, self.timeout = root, timeout
        for name in ("engine", "nodes", "tests", "fixtures", "pyproject.toml"):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, root / name)
        self.environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=mutants"]
        chosen = [] if every else ["-k", f"not ({SLOW})"]
        self.command = [sys.executable, "-m", "pytest", *options, *chosen, *tests]

    def ours(self) -> bool:
        """Whether what the tests import is the copy, not an installed one."""
        code = "import engine; print(engine.__file__)"
        found = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return Path(found.stdout.strip()).is_relative_to(self.root)

    def passes(self) -> bool:
        """Whether the tests notice nothing. A run that does not end has noticed."""
        run = subprocess.Popen(
            self.command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
        )
        try:
            return run.wait(self.timeout) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()

    def survives(self, path: str, mutant: Mutant) -> bool:
        file = self.root / path
        original = file.read_text("utf-8")
        try:
            file.write_text(mutant.text, "utf-8")
            return self.passes()
        finally:
            file.write_text(original, "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    parser.add_argument("files", nargs="+", help="modules to break, as paths from the project's root")
    parser.add_argument("--most", type=int, default=25, help="mutants of each file, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="which are drawn")
    parser.add_argument(
        "--line", type=int, action="append", help="only mutants of this line (may be repeated)"
    )
    parser.add_argument(
        "--timeout", type=float, default=60, help="seconds after which a mutant counts as killed"
    )
    parser.add_argument("--tests", nargs="+", default=TESTS, help="the tests to run")
    parser.add_argument("--all", action="store_true", help="run the slow tests among them too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        copy = Copy(Path(place).resolve(), asked.tests, asked.all, asked.timeout)
        if not copy.ours():
            print("the tests would not import the copy but an installed engine", file=sys.stderr)
            return 2
        if not copy.passes():
            print("the tests fail without any mutant", file=sys.stderr)
            return 2
        rows = []
        for path in asked.files:
            found = list(mutants((ROOT / path).read_text("utf-8")))
            if asked.line:
                found = [mutant for mutant in found if mutant.line in asked.line]
            chosen = random.Random(asked.seed).sample(found, min(asked.most, len(found)))
            survived = 0
            for mutant in sorted(chosen):
                if copy.survives(path, mutant):
                    survived += 1
                    print(f"survived  {path}:{mutant.line}  {mutant.what}", flush=True)
            rows.append((path, len(chosen), len(chosen) - survived, survived))
    print(f"\n{'file':32}{'mutants':>9}{'killed':>9}{'survived':>10}")
    for path, made, killed, survived in rows:
        print(f"{path:32}{made:9}{killed:9}{survived:10}")
    return 1 if any(row[3] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
