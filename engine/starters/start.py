"""Make a small working project in a folder."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import Fault, RequestError
from tessera.files import named
from tessera.starters.starter import Starter, Step, write_files
from tessera.starters.starter_kind import StarterKind

__all__ = ["Started", "start"]


DEFAULT_FOLDERS = {StarterKind.AGENT: "my-agent", StarterKind.TILE: "my-tile", StarterKind.TEST: "tests"}


@dataclass(frozen=True, slots=True)
class Started:
    """A new project: its folder, the files written, and what to type next in the current directory."""

    folder: Path
    files: tuple[Path, ...]
    steps: tuple[Step, ...]
    change_folder: str | None
    """The command that goes to the folder, or None for the current directory."""


def start(kind: StarterKind, folder: Path | None = None) -> Started:
    """Write a project into a folder, which is created if it is missing.

    Parameters
    ----------
    folder
        By default `my-agent`, `my-tile` or `tests` in the current directory.

    Raises
    ------
    RequestError
        If a file of the project exists, if the folder is a file, or if its name is not allowed. Nothing is
        written then.
    WorkspaceError
        If the files cannot be written.
    """
    folder = named(folder if folder is not None else DEFAULT_FOLDERS[kind])
    if not str(folder).isprintable():
        raise RequestError([Fault("", "request", f"{str(folder)!r} has characters that cannot be printed")])
    starter = _starter(kind, folder)
    files = write_files(folder, starter.files)
    return Started(folder, tuple(files), starter.steps, _change_folder(folder))


def _starter(kind: StarterKind, folder: Path) -> Starter:
    if kind is StarterKind.AGENT:
        from tessera.starters.agent_starter import agent_starter

        return agent_starter()
    if kind is StarterKind.TEST:
        from tessera.starters.rewrite_test_starter import rewrite_test_starter

        return rewrite_test_starter()
    from tessera.starters.tile_starter import tile_names, tile_starter

    return tile_starter(tile_names(Path(os.path.abspath(folder)).name))


def _change_folder(folder: Path) -> str | None:
    if folder == Path("."):
        return None
    text = str(folder)
    return f"cd {shlex.quote(f'./{text}' if text.startswith('-') else text)}"
