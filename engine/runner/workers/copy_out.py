"""Copying finished files out of the workspace, so that a run can be stopped at any moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tessera.errors import Cancelled
from tessera.files import synced, whole_file

__all__ = ["copy_out"]

_CHUNK = 4 << 20
"""The bytes between two looks at whether the run is stopped."""


def copy_out(pairs: Sequence[tuple[Path, Path]], stopped: Callable[[], bool]) -> None:
    """Copy files to other places, each given as (source, target). All appear complete, or none does.

    Raises
    ------
    Cancelled
        If `stopped()` becomes true before the first file appears.
    OSError
        If a file cannot be read or written.
    """
    with ExitStack() as files:
        for source, target in pairs:
            partial = files.enter_context(whole_file(target))
            _copy(source, partial, stopped)
            # A full disk may show only here, and then no file may appear.
            synced(partial)
        _raise_if(stopped)


def _copy(source: Path, target: Path, stopped: Callable[[], bool]) -> None:
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(_CHUNK):
            _raise_if(stopped)
            written.write(chunk)


def _raise_if(stopped: Callable[[], bool]) -> None:
    if stopped():
        raise Cancelled("the run was cancelled")
