"""`store check` and `store prune`: whether what a workspace holds is whole, and how to make it smaller.

What a dead process left half-written is no fault: it is swept whenever the workspace is opened for writing.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tessera.database.statements import decoding
from tessera.errors import WorkspaceError
from tessera.files import set_aside
from tessera.inputs.assets.asset import FACTS, asset_id, damage_of, digest_of_file
from tessera.inputs.assets.avatars import profiles
from tessera.inputs.assets.library import Library
from tessera.inputs.assets.shared_store import shared_store
from tessera.node import ID_PATTERN, is_id
from tessera.store.row_check import unreadable_rows
from tessera.store.run_store import DRAWN, RunStore

__all__ = ["CheckReport", "Problem", "PruneReport", "check", "prune"]

What = Literal["missing", "corrupt", "orphan"]
_OF_RUNS = ("documents", "events", "expressions", "items")
"""The tables of which every row is of a run."""
_RECENT_S = 3600
"""An asset that was used so lately may be the input of a run that is about to begin."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a workspace.

    Attributes
    ----------
    what
        `missing`: something refers to what is not there. `corrupt`: it is not what it was. `orphan`: nothing
        refers to it, nor ever can.
    where
        The file, or the table and key.
    """

    what: What
    where: str
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"what": self.what, "where": self.where, "message": self.message}


@dataclass(slots=True)
class CheckReport:
    """What a check found."""

    problems: list[Problem] = field(default_factory=list)
    assets: int = 0
    runs: int = 0
    size: int = 0

    def to_dict(self) -> dict[str, Any]:
        problems = [one.to_dict() for one in self.problems]
        return {
            "clean": not problems,
            "problems": problems,
            "assets": self.assets,
            "runs": self.runs,
            "bytes": self.size,
        }


@dataclass(slots=True)
class PruneReport:
    """What was removed, or would be; sizes in bytes. `drawn`: the names of pictures that were drawn."""

    before: int
    after: int
    runs: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "bytes_before": self.before,
            "bytes_after": self.after,
            "runs": self.runs,
            "assets": self.assets,
            "drawn": self.drawn,
        }


# checking


def check(workspace: Path, on_asset: Callable[[str], None] = lambda _asset: None) -> CheckReport:
    """Read all that a workspace holds, and say what is missing, corrupt or orphaned.

    Parameters
    ----------
    on_asset
        Told of each asset before it is read.

    Raises
    ------
    WorkspaceError
        The database cannot be read.
    """
    Library(workspace).sweep()
    store, found = RunStore(workspace), CheckReport()
    sound = set(_check_assets(workspace / "assets", found, on_asset))
    sound.update(_check_shared(found))
    _check_drawn(workspace / DRAWN, found)
    if store.is_there():
        found.problems += [Problem("corrupt", store.database.name, one) for one in store.database.faults()]
        _check_references(store, sound, found)
    _check_folders(workspace, store, sound, found)
    found.size = _size(workspace)
    return found


def _check_assets(folder: Path, found: CheckReport, on_asset: Callable[[str], None]) -> Iterator[str]:
    """The ids of the assets that are whole."""
    for entry in _entries(folder):
        if not entry.is_dir() or not is_id(entry.name):
            found.problems.append(Problem("orphan", str(entry), "is no asset"))
            continue
        found.assets += 1
        on_asset(entry.name)
        problem = _fault_of(entry)
        if problem is None:
            yield entry.name
        else:
            found.problems.append(problem)


def _check_drawn(folder: Path, found: CheckReport) -> None:
    """Pictures that were drawn are named by their content."""
    for entry in _entries(folder):
        try:
            is_whole = digest_of_file(entry) == entry.stem
        except OSError:
            is_whole = False
        if not is_whole:
            found.problems.append(Problem("corrupt", str(entry), "is not what was drawn"))


def _check_shared(found: CheckReport) -> Iterator[str]:
    """The ids of the assets that are whole in the store that machines share."""
    shared = shared_store()
    for asset, fault in shared.look_through() if shared is not None else ():
        if fault is None:
            yield asset
        else:
            found.problems.append(Problem("corrupt", f"TESSERA_STORE_URL/assets/{asset}", fault))


def _fault_of(folder: Path) -> Problem | None:
    try:
        damage = damage_of(folder, thorough=True)
    except FileNotFoundError:
        return Problem("orphan", str(folder), f"has no {FACTS}")
    except OSError as error:
        return Problem("corrupt", str(folder), f"cannot be read: {error}")
    return Problem(damage.what, str(damage.path), damage.message) if damage is not None else None


def _check_references(store: RunStore, sound: set[str], found: CheckReport) -> None:
    """What the database refers to: assets, runs, records."""
    with store.database.read() as connection:
        known = {run_id for (run_id,) in connection.rows("SELECT run_id FROM runs")}
        found.runs = len(known)
        for render, asset, run_id in connection.rows("SELECT render_id, asset, run_id FROM renders"):
            if asset not in sound:
                what = f"run {run_id} made it, and its asset {asset} is not there, or not whole"
                found.problems.append(Problem("missing", f"renders/{render}", what))
        for table in _OF_RUNS:
            for (run_id,) in connection.rows(f"SELECT DISTINCT run_id FROM {table}"):
                if run_id not in known:
                    where = f"{table}/{run_id}"
                    found.problems.append(Problem("orphan", where, "there is no such run"))
        for key, run_id in connection.rows("SELECT key, run_id FROM tiles"):
            if run_id not in known:
                found.problems.append(Problem("orphan", f"tiles/{key}", f"there is no run {run_id}"))
        for key, asset in connection.rows("SELECT key, asset FROM rendered"):
            if asset not in sound:
                what = f"its asset {asset} is not there, or not whole"
                found.problems.append(Problem("missing", f"rendered/{key}", what))
    try:
        for profile in profiles(store.workspace):
            for asset in profile.assets() - sound:
                what = f"its asset {asset} is not there, or not whole"
                found.problems.append(Problem("missing", f"avatars/{profile.id}", what))
    except WorkspaceError as error:
        found.problems.append(Problem("corrupt", "avatars", str(error)))
    for where, why in unreadable_rows(store, known):
        found.problems.append(Problem("corrupt", where, why))
    for run_id in known:
        _check_record(store, run_id, found)


def _check_record(store: RunStore, run_id: str, found: CheckReport) -> None:
    try:
        outputs = store.record(run_id)["outputs"]
        with decoding(f"the outputs in the record of run {run_id}"):
            written = [(Path(one["path"]), str(one["asset_id"])) for one in outputs if one.get("path")]
    except WorkspaceError as error:
        found.problems.append(Problem("corrupt", f"runs/{run_id}", str(error)))
        return
    own = store.folder(run_id)
    for path, asset in written:
        if not path.is_relative_to(own):
            continue
        try:
            content = asset_id(digest_of_file(path)) if path.is_file() else None
        except OSError as error:
            what = f"the output of run {run_id} cannot be read: {error.strerror or error}"
            found.problems.append(Problem("corrupt", str(path), what))
            continue
        if content is None:
            found.problems.append(Problem("missing", str(path), f"an output of run {run_id} is not there"))
        elif content != asset:
            what = f"is not the output of run {run_id} any more: its content has changed"
            found.problems.append(Problem("corrupt", str(path), what))


def _check_folders(workspace: Path, store: RunStore, sound: set[str], found: CheckReport) -> None:
    """What lies about: analyses of assets that are gone, outputs of runs that are."""
    known = set(store.ids())
    assets = {entry.name for entry in _entries(workspace / "assets")}
    for entry in _entries(workspace / "analysis"):
        if entry.name not in assets:
            found.problems.append(Problem("orphan", str(entry), "there is no such asset"))
    for entry in _entries(workspace / "runs"):
        if entry.name not in known:
            found.problems.append(Problem("orphan", str(entry), "there is no such run"))


# pruning


def prune(
    workspace: Path, keep_bytes: int, *, keep_runs: int | None = None, dry: bool = False
) -> PruneReport:
    """Remove what a workspace can do without, until it has at most `keep_bytes`.

    First the pictures that were drawn for renders, then the assets that no record and no avatar profile
    names, those not used for longest first, with their analyses; what an unfinished run or a record that is
    kept needs is never touched, nor what was used in the last hour.

    Parameters
    ----------
    keep_runs
        Remove the records of finished runs but for this many of the newest, with their outputs; None keeps
        all. Unfinished runs stay, and those that a kept run is a part of.
    dry
        Remove nothing, and say what would be.

    Raises
    ------
    WorkspaceError
        The workspace cannot be read or written.
    """
    library, store = Library(workspace), RunStore(workspace)
    if not dry:
        if workspace.is_dir() and not os.access(workspace, os.W_OK):
            raise WorkspaceError(f"cannot write {workspace}: nothing can be removed from it")
        library.sweep()
    size = _size(workspace)
    done = PruneReport(size, size)
    dropped = _runs_to_drop(store, keep_runs) if keep_runs is not None else []
    needed = _needed(store, [run_id for run_id in store.ids() if run_id not in set(dropped)])
    for run_id in dropped:
        done.runs.append(run_id)
        done.after -= _size(store.folder(run_id))
        if not dry:
            _drop_run(store, run_id)
    if dropped and not dry:
        store.database.compact()
        done.after = _size(workspace)
    _drop_drawn(workspace / DRAWN, done, keep_bytes, dry=dry)
    for asset in _spare(workspace / "assets", needed):
        if done.after <= keep_bytes:
            break
        folders = [workspace / "assets" / asset, workspace / "analysis" / asset]
        done.assets.append(asset)
        done.after -= sum(map(_size, folders))
        if not dry:
            _drop_asset(store, asset, folders)
    if not dry:
        done.after = _size(workspace)
    return done


def _runs_to_drop(store: RunStore, keep: int) -> list[str]:
    """The finished runs beyond the newest `keep`, oldest first."""
    if not store.is_there():
        return []
    with store.database.read() as connection:
        named = "FROM documents WHERE name = :name"
        ended = {run_id for (run_id,) in connection.rows(f"SELECT run_id {named}", name="record.json")}
        told = connection.rows(f"SELECT run_id, body {named}", name="part.json")
    with decoding("what a part of a run was given"):
        stands_on = {run_id: json.loads(body)["of"] for run_id, body in told}
    every = store.ids()
    finished = [run_id for run_id in every if run_id in ended and not store.is_held(run_id)]
    dropped = set(finished[keep:])
    for run_id in every:  # the newest first, so that what an earlier one stands on is seen to be kept
        if run_id not in dropped:
            dropped.discard(stands_on.get(run_id))
    return [run_id for run_id in finished[::-1] if run_id in dropped]


def _needed(store: RunStore, kept: Iterable[str]) -> set[str]:
    """Every id that a kept run names, in whatever document, event or expression of it, or a profile."""
    ids = {asset for profile in profiles(store.workspace) for asset in profile.assets()}
    for run_id in kept:
        with store.database.read() as connection:
            for table in _OF_RUNS:
                for (text,) in connection.rows(
                    f"SELECT body FROM {table} WHERE run_id = :run_id", run_id=run_id
                ):
                    ids.update(match.lower() for match in ID_PATTERN.findall(str(text)))
    return ids


def _spare(folder: Path, needed: set[str]) -> list[str]:
    """The assets that nobody needs, those not used for longest first."""
    spare = []
    for entry in _entries(folder):
        used = _used(entry / FACTS)
        if is_id(entry.name) and entry.name not in needed and time.time() - used > _RECENT_S:
            spare.append((used, entry.name))
    return [name for _used_at, name in sorted(spare)]


def _spare_drawn(folder: Path) -> list[Path]:
    """The pictures that were drawn, those not used for longest first."""
    used = ((_used(entry), entry) for entry in _entries(folder))
    return [entry for at, entry in sorted(used) if time.time() - at > _RECENT_S]


def _used(file: Path) -> float:
    """When an asset, by its `asset.json`, or a picture was last used, in seconds since the epoch."""
    with suppress(OSError):
        return file.stat().st_mtime
    return 0.0


def _drop_run(store: RunStore, run_id: str) -> None:
    with store.database.write() as connection:
        for table in (*_OF_RUNS, "renders", "tiles", "runs"):
            connection.execute(f"DELETE FROM {table} WHERE run_id = :run_id", run_id=run_id)
    shutil.rmtree(store.folder(run_id), ignore_errors=True)
    store.locks.forget(run_id)


def _drop_drawn(folder: Path, done: PruneReport, keep_bytes: int, *, dry: bool) -> None:
    for file in _spare_drawn(folder):
        if done.after <= keep_bytes:
            break
        done.drawn.append(file.name)
        with suppress(OSError):
            done.after -= file.stat().st_size
            if not dry:
                file.unlink()


def _drop_asset(store: RunStore, asset: str, folders: Iterable[Path]) -> None:
    """Forget an asset, then remove it: what is killed between leaves an asset that nothing refers to."""
    if store.is_there():
        with store.database.write() as connection:
            connection.execute("DELETE FROM rendered WHERE asset = :asset", asset=asset)
    for folder in folders:
        with suppress(OSError), set_aside(folder):
            pass


# sizes


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, but for what a process that lives is writing."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry for entry in found if not entry.name.startswith(".part-"))


def _size(path: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for one in path.rglob("*") if path.is_dir() else ():
        with suppress(OSError):
            total += one.lstat().st_size if one.is_file() else 0
    return total
