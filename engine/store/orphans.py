"""Data of a workspace to which nothing refers: what an interrupted removal leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tessera.files import abandoned, finished_entries
from tessera.inputs.assets.asset import FACTS
from tessera.node import is_id
from tessera.store.run_store import RUN_TABLES, RunStore

__all__ = ["OrphanFile", "OrphanRows", "orphan_files", "orphan_rows"]

_LOCK_AGE_S = 3600
"""The age in seconds from which a lock file without a run is not that of a run that begins."""


@dataclass(frozen=True, slots=True)
class OrphanFile:
    """A file or folder to which nothing refers.

    Attributes
    ----------
    is_ours
        False for what no part of Tessera makes, such as notes that somebody put there.
    """

    path: Path
    message: str
    is_ours: bool = True


@dataclass(frozen=True, slots=True)
class OrphanRows:
    """Rows of a table that name something which does not exist. `column` is the one that names it."""

    table: str
    column: str
    key: str
    message: str


def orphan_files(workspace: Path, store: RunStore) -> Iterator[OrphanFile]:
    """Yield what nothing refers to: folders and lock files of removed runs, analyses of removed assets,
    assets without facts, and what dead processes left unfinished and sweeping could not remove.
    """
    # Listed before the runs are read: a run has its row before it has its folder.
    folders, locks = finished_entries(workspace / "runs"), sorted((workspace / "locks").glob("*.lock"))
    runs = set(store.run_ids())
    assets = set()
    for entry in finished_entries(workspace / "assets"):
        if not entry.is_dir() or not is_id(entry.name):
            yield OrphanFile(entry, "is not an asset", is_ours=False)
        elif not (entry / FACTS).exists():
            yield OrphanFile(entry, f"has no {FACTS}")
        else:
            assets.add(entry.name)
    for entry in finished_entries(workspace / "analysis"):
        if entry.name not in assets:
            yield OrphanFile(entry, "the asset does not exist", is_ours=is_id(entry.name))
    for entry in folders:
        if entry.name not in runs:
            yield OrphanFile(entry, "the run does not exist", is_ours=is_id(entry.name))
    for entry in locks:
        if is_id(entry.stem) and entry.stem not in runs and _is_old(entry) and not store.is_held(entry.stem):
            yield OrphanFile(entry, "the run does not exist")
    if workspace.is_dir():
        for entry in abandoned([workspace, *(one for one in workspace.iterdir() if one.is_dir())]):
            yield OrphanFile(entry, "was left unfinished by a process that has ended")


def orphan_rows(store: RunStore) -> Iterator[OrphanRows]:
    """Yield the rows of runs that do not exist."""
    if not store.exists():
        return
    with store.database.read() as connection:
        runs = {run_id for (run_id,) in connection.rows("SELECT run_id FROM runs")}
        for table in RUN_TABLES:
            for (run_id,) in connection.rows(f"SELECT DISTINCT run_id FROM {table}"):
                if run_id not in runs:
                    yield OrphanRows(table, "run_id", run_id, "the run does not exist")
        for key, run_id in connection.rows("SELECT key, run_id FROM tiles"):
            if run_id not in runs:
                yield OrphanRows("tiles", "key", key, f"run {run_id} does not exist")


def _is_old(file: Path) -> bool:
    with suppress(OSError):
        return time.time() - file.stat().st_mtime > _LOCK_AGE_S
    return False
