"""Shrink a workspace by removing old runs and unused files, as `store prune` does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tessera.database.statements import decoding
from tessera.errors import WorkspaceError
from tessera.files import delete, finished_entries, folder_size
from tessera.inputs.assets.asset import FACTS
from tessera.inputs.assets.avatars import profiles
from tessera.inputs.assets.library import Library
from tessera.node import ID_PATTERN, is_id
from tessera.store.orphans import orphan_files, orphan_rows
from tessera.store.run_store import DRAWN, RUN_TABLES, RunStore

__all__ = ["PruneReport", "prune"]

_RECENT_S = 3600
"""Seconds for which a used file is kept: a run that is about to start may need it, and no record names it."""


@dataclass(slots=True)
class PruneReport:
    """The removed data, or in a dry run the data to remove.

    Attributes
    ----------
    before, after
        The size of the workspace in bytes.
    runs, assets
        The ids of removed runs and assets.
    drawn
        The file names of removed drawn pictures.
    orphans
        The removed files, folders and rows to which nothing referred, such as an interrupted removal leaves.
    failures
        What could not be removed, and why.
    """

    before: int
    after: int
    runs: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def delete(self, path: Path) -> None:
        """Delete a file or a folder, and note if that fails."""
        failure = delete(path)
        if failure is not None:
            self.failures.append(failure)

    def to_dict(self) -> dict[str, Any]:
        return {
            "bytes_before": self.before,
            "bytes_after": self.after,
            "runs": self.runs,
            "assets": self.assets,
            "drawn": self.drawn,
            "orphans": self.orphans,
            "failures": self.failures,
        }


def prune(
    workspace: Path, keep_bytes: int, *, keep_runs: int | None = None, dry: bool = False
) -> PruneReport:
    """Remove old runs and what nothing refers to, then unused files until the workspace has at most
    `keep_bytes` bytes.

    The unused files are drawn pictures first, then the assets that no record and no avatar profile names,
    with their analyses; the least recently used go first. Data that an unfinished run or a kept record needs
    stays, and so does every file used in the last hour. If a call is killed, the next one removes the rest.

    Parameters
    ----------
    keep_runs
        The number of newest finished runs to keep; the older ones are removed with their outputs. None keeps
        all. Unfinished runs stay, and so do the runs from which a kept partial run takes items.
    dry
        Report the data to remove without removing it.

    Raises
    ------
    WorkspaceError
        If the workspace cannot be read or written.
    """
    library, store = Library(workspace), RunStore(workspace)
    if not dry:
        if workspace.is_dir() and not os.access(workspace, os.W_OK):
            raise WorkspaceError(f"cannot write {workspace}: nothing can be removed from it")
        library.sweep()
    size = folder_size(workspace)
    report = PruneReport(size, size)
    old_runs = _old_runs(store, keep_runs) if keep_runs is not None else []
    removed = set(old_runs)
    in_use = _ids_in_use(store, [run_id for run_id in store.run_ids() if run_id not in removed])
    for run_id in old_runs:
        report.runs.append(run_id)
        report.after -= folder_size(store.folder(run_id))
        if not dry:
            _remove_run(store, run_id, report)
    _remove_orphans(workspace, store, report, dry=dry)
    if not dry and (old_runs or report.orphans):
        if store.exists():
            store.database.compact()
        report.after = folder_size(workspace)
    _remove_drawings(workspace / DRAWN, report, keep_bytes, dry=dry)
    for asset in _unused_assets(workspace / "assets", in_use):
        if report.after <= keep_bytes:
            break
        folders = [workspace / "assets" / asset, workspace / "analysis" / asset]
        report.assets.append(asset)
        report.after -= sum(map(folder_size, folders))
        if not dry:
            _remove_asset(store, asset, folders, report)
    if not dry:
        report.after = folder_size(workspace)
    return report


def _old_runs(store: RunStore, keep: int) -> list[str]:
    """Return the finished runs beyond the newest `keep`, oldest first."""
    if not store.exists():
        return []
    with store.database.read() as connection:
        named = "FROM documents WHERE name = :name"
        ended = {run_id for (run_id,) in connection.rows(f"SELECT run_id {named}", name="record.json")}
        parts = connection.rows(f"SELECT run_id, body {named}", name="part.json")
    with decoding("the part.json of a run"):
        base_runs = {run_id: json.loads(body)["of"] for run_id, body in parts}
    run_ids = store.run_ids()
    finished = [run_id for run_id in run_ids if run_id in ended and not store.is_held(run_id)]
    old = set(finished[keep:])
    # A partial run is newer than its base run. Newest first, a base run that is kept for a partial run
    # in turn keeps its own base run.
    for run_id in run_ids:
        if run_id not in old:
            old.discard(base_runs.get(run_id))
    return [run_id for run_id in finished[::-1] if run_id in old]


def _ids_in_use(store: RunStore, kept: Iterable[str]) -> set[str]:
    """Return every id in the documents, events, expressions and items of the kept runs, and in profiles."""
    ids = {asset for profile in profiles(store.workspace) for asset in profile.assets()}
    for run_id in kept:
        with store.database.read() as connection:
            for table in RUN_TABLES:
                for (text,) in connection.rows(
                    f"SELECT body FROM {table} WHERE run_id = :run_id", run_id=run_id
                ):
                    ids.update(match.lower() for match in ID_PATTERN.findall(str(text)))
    return ids


def _unused_assets(folder: Path, in_use: set[str]) -> list[str]:
    """Return the assets that are not in use, least recently used first."""
    unused = []
    for entry in finished_entries(folder):
        used_at = _last_use(entry / FACTS)
        if is_id(entry.name) and entry.name not in in_use and time.time() - used_at > _RECENT_S:
            unused.append((used_at, entry.name))
    return [name for _used_at, name in sorted(unused)]


def _unused_drawings(folder: Path) -> list[Path]:
    """Return the drawn pictures that were not used recently, least recently used first."""
    drawings = sorted((_last_use(entry), entry) for entry in finished_entries(folder))
    return [entry for used_at, entry in drawings if time.time() - used_at > _RECENT_S]


def _last_use(file: Path) -> float:
    """Return the time of the last use of an `asset.json` or a picture, in seconds since the epoch."""
    # Every use sets the modification time.
    with suppress(OSError):
        return file.stat().st_mtime
    return 0.0


def _remove_run(store: RunStore, run_id: str, report: PruneReport) -> None:
    # Delete the rows first: a crash in between then leaves a folder of no run, which the next call removes,
    # and not a run without its files.
    with store.database.write() as connection:
        for table in (*RUN_TABLES, "renders", "tiles", "runs"):
            connection.execute(f"DELETE FROM {table} WHERE run_id = :run_id", run_id=run_id)
    report.delete(store.folder(run_id))
    store.locks.remove(run_id)


def _remove_orphans(workspace: Path, store: RunStore, report: PruneReport, *, dry: bool) -> None:
    """Remove the data to which nothing refers, but for what no part of Tessera makes."""
    rows = list(orphan_rows(store))
    report.orphans += [f"{row.table}/{row.key}" for row in rows]
    if rows and not dry:
        with store.database.write() as connection:
            for row in rows:
                connection.execute(f"DELETE FROM {row.table} WHERE {row.column} = :key", key=row.key)
    for orphan in list(orphan_files(workspace, store)):
        if not orphan.is_ours:
            continue
        report.orphans.append(str(orphan.path))
        if dry:
            report.after -= folder_size(orphan.path)
        else:
            report.delete(orphan.path)


def _remove_drawings(folder: Path, report: PruneReport, keep_bytes: int, *, dry: bool) -> None:
    for file in _unused_drawings(folder):
        if report.after <= keep_bytes:
            break
        report.drawn.append(file.name)
        with suppress(OSError):
            report.after -= file.stat().st_size
        if not dry:
            report.delete(file)


def _remove_asset(store: RunStore, asset: str, folders: Iterable[Path], report: PruneReport) -> None:
    # Delete the references first: a crash in between then leaves an unreferenced asset, which the next call
    # removes, and not a broken reference.
    if store.exists():
        with store.database.write() as connection:
            connection.execute("DELETE FROM rendered WHERE asset = :asset", asset=asset)
    for folder in folders:
        report.delete(folder)
