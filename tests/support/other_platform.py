"""A child process in which the modules of Tessera see another platform: `win32` or `darwin`.

Usage: `python -m tests.support.other_platform PLATFORM SCRIPT [ARGUMENT …]`, which runs a Python file.

The modules see the platform's `sys.platform`, and of the standard library only what typeshed, the stubs of
mypy, lists for it. The rest raises ImportError or AttributeError, and no file below /proc or /sys exists.
Other libraries and the standard library itself see what is there: each platform has its own builds of them.
"""

from __future__ import annotations

import ast
import builtins
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

OURS = "tessera"
STANDARD = Path(ast.__file__).parent
_real_import = builtins.__import__


@cache
def stubs() -> Path:
    """Return the folder of typeshed's stubs of the standard library."""
    spec = find_spec("mypy")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "typeshed" / "stdlib"


def _defined(body: Sequence[ast.stmt], platform: str) -> Iterator[str]:
    seen_sys = SimpleNamespace(platform=platform, version_info=sys.version_info)
    for node in body:
        if isinstance(node, ast.If):
            test = compile(ast.Expression(node.test), "stub", "eval")
            chosen = node.body if eval(test, {"sys": seen_sys, "TYPE_CHECKING": True}) else node.orelse
            yield from _defined(chosen, platform)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom) and node.module in ("_socket", "_curses", "_winapi"):
            yield from (name.asname or name.name for name in node.names)


@cache
def missing_names(platform: str) -> Mapping[str, set[str] | None]:
    """Return what Linux has and a platform lacks: the names by module; None for a whole module."""
    found: dict[str, set[str] | None] = {}
    for path in stubs().rglob("*.pyi"):
        text = path.read_text("utf-8")
        if "sys.platform" not in text:
            continue
        parts = path.relative_to(stubs()).with_suffix("").parts
        body = ast.parse(text).body
        here, there = (set(_defined(body, each)) for each in ("linux", platform))
        if here - there:
            is_there = any(not name.startswith("_") for name in there)
            found[".".join(part for part in parts if part != "__init__")] = here - there if is_there else None
    return found


class View(ModuleType):
    """A module of the standard library as a platform has it."""

    def __init__(self, real: ModuleType, hidden: set[str], replaced: Mapping[str, Any]) -> None:
        super().__init__(real.__name__)
        object.__setattr__(self, "_parts", (real, hidden, replaced))

    def __getattribute__(self, name: str) -> Any:
        real, hidden, replaced = object.__getattribute__(self, "_parts")
        if name in hidden:
            raise AttributeError(f"{real.__name__}.{name} does not exist on this platform")
        return replaced[name] if name in replaced else getattr(real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_parts")[0], name, value)


def pretend(platform: str) -> None:
    """Show a platform to all modules of Tessera from now on. None may be imported yet."""
    assert OURS not in sys.modules
    missing = missing_names(platform)
    views: dict[str, View] = {}

    def view(module: ModuleType) -> ModuleType:
        name = module.__name__
        name = "os.path" if name == "posixpath" else name
        if name not in views:
            replaced: dict[str, Any] = {"sys": {"platform": platform}}.get(name, {})
            if name == "os" and platform == "win32":
                replaced = {"name": "nt"}
            hidden = missing.get(name) or set()
            if not (hidden or replaced):
                return module
            views[name] = View(module, hidden, replaced)
        return views[name]

    def imported(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        importer = str((globals or {}).get("__name__", ""))
        if level or importer.partition(".")[0] != OURS:
            return _real_import(name, globals, locals, fromlist or (), level)
        if name in missing and missing[name] is None:
            raise ImportError(f"{name} does not exist on {platform}")
        return view(_real_import(name, globals, locals, fromlist or (), level))

    def refuse_reads(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and str(args[0]).startswith(("/proc/", "/sys/")) and _is_ours(sys._getframe(1)):
            raise FileNotFoundError(2, "No such file or directory", args[0])

    builtins.__import__ = imported
    sys.addaudithook(refuse_reads)


def _is_ours(frame: FrameType | None) -> bool:
    """Return True if the innermost caller outside of the standard library is a module of Tessera."""
    while frame is not None:
        name, file = str(frame.f_globals.get("__name__")), frame.f_code.co_filename
        if "site-packages" in file or not file.startswith((str(STANDARD), "<frozen")):
            return name.partition(".")[0] == OURS
        frame = frame.f_back
    return False


if __name__ == "__main__":
    pretend(sys.argv[1])
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
