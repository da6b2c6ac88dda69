"""The files of a small project, and writing them into a folder without overwriting anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import Fault, RequestError, WorkspaceError
from tessera.files import write_atomically

__all__ = ["Starter", "Step", "write_files"]


@dataclass(frozen=True, slots=True)
class Step:
    """Commands to type next in the folder of the project, under a heading."""

    heading: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Starter:
    """A small project: the text of each file by its path in the folder, and what to type next."""

    files: Mapping[str, str]
    steps: tuple[Step, ...]


def write_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files into a folder, which is created if it is missing, and return their paths.

    Nothing is written if one of the files exists, and nothing remains if one of them cannot be written.

    Raises
    ------
    RequestError
        If a file exists, or if the folder or a part of its path is a file.
    WorkspaceError
        If a file cannot be written.
    """
    paths = [folder / name for name in files]
    _check_folders(paths)
    existing = [path for path in paths if os.path.lexists(path)]
    if existing:
        more = f", and {len(existing) - 1} more of its files" if len(existing) > 1 else ""
        raise _refused(f"{existing[0]} exists already{more}; nothing is written: name another folder")
    made: list[Path] = []
    try:
        for path, text in zip(paths, files.values(), strict=True):
            _make_folder(path.parent, made)
            # The exclusive creation fails if another process created the file after the check above.
            path.open("x").close()
            made.append(path)
            write_atomically(path, text)
    except OSError as error:
        _remove(reversed(made))
        where = error.filename or folder
        raise WorkspaceError(f"cannot write {where}: {error.strerror or error}") from None
    except BaseException:
        _remove(reversed(made))
        raise
    return paths


def _check_folders(paths: Iterable[Path]) -> None:
    for parent in dict.fromkeys(parent for path in paths for parent in reversed(path.parents)):
        if os.path.lexists(parent) and not parent.is_dir():
            raise _refused(f"{parent} is not a folder; nothing is written: name another folder")


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Create a folder with its missing parents, and append what was created."""
    missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        made.append(one)


def _remove(made: Iterable[Path]) -> None:
    """Remove created files and folders, except folders that hold something else."""
    for path in made:
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def _refused(message: str) -> RequestError:
    return RequestError([Fault("", "request", message)])
