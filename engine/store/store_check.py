"""Check a workspace for missing, corrupt and orphaned data, as `store check` does.

The unfinished files of dead processes are not problems: every writer of the workspace removes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tessera.database.statements import decoding
from tessera.errors import WorkspaceError
from tessera.files import finished_entries, folder_size
from tessera.inputs.assets.asset import FACTS, asset_id, damage_of, digest_of_file
from tessera.inputs.assets.avatars import profiles
from tessera.inputs.assets.library import Library
from tessera.inputs.assets.shared_store import shared_store
from tessera.node import is_id
from tessera.store.orphans import orphan_files, orphan_rows
from tessera.store.row_check import unreadable_rows
from tessera.store.run_store import DRAWN, RunStore

__all__ = ["CheckReport", "Problem", "check"]

ProblemKind = Literal["missing", "corrupt", "orphan"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a workspace.

    Attributes
    ----------
    what
        `missing`: a reference has no target. `corrupt`: the content has changed or cannot be read. `orphan`:
        nothing refers to the data, and nothing ever will.
    where
        The file, or the table and key.
    """

    what: ProblemKind
    where: str
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"what": self.what, "where": self.where, "message": self.message}


@dataclass(slots=True)
class CheckReport:
    """The result of a check. `size` is in bytes."""

    problems: list[Problem] = field(default_factory=list)
    assets: int = 0
    runs: int = 0
    size: int = 0

    def add(self, what: ProblemKind, where: str | Path, message: str) -> None:
        self.problems.append(Problem(what, str(where), message))

    def to_dict(self) -> dict[str, Any]:
        return {
            "clean": not self.problems,
            "problems": [problem.to_dict() for problem in self.problems],
            "assets": self.assets,
            "runs": self.runs,
            "bytes": self.size,
        }


def check(workspace: Path, on_asset: Callable[[str], None] = lambda _asset: None) -> CheckReport:
    """Read the complete workspace and report missing, corrupt and orphaned data.

    Parameters
    ----------
    on_asset
        Called with the id of each asset before it is read.

    Raises
    ------
    WorkspaceError
        If the database cannot be read.
    """
    # Removes the unfinished files of dead processes.
    Library(workspace).sweep()
    store, report = RunStore(workspace), CheckReport()
    intact = set(_check_assets(workspace / "assets", report, on_asset))
    # An asset of a local run may be in the shared store alone.
    intact.update(_check_shared_store(report))
    _check_drawings(workspace / DRAWN, report)
    if store.exists():
        for message in store.database.integrity_errors():
            report.add("corrupt", store.database.name, message)
        _check_database(store, intact, report)
    for rows in orphan_rows(store):
        report.add("orphan", f"{rows.table}/{rows.key}", rows.message)
    for file in orphan_files(workspace, store):
        report.add("orphan", file.path, file.message)
    report.size = folder_size(workspace)
    return report


def _check_assets(folder: Path, report: CheckReport, on_asset: Callable[[str], None]) -> Iterator[str]:
    """Yield the ids of the intact assets."""
    for entry in finished_entries(folder):
        if not is_id(entry.name) or not (entry / FACTS).exists():
            continue
        report.assets += 1
        on_asset(entry.name)
        problem = _asset_problem(entry)
        if problem is None:
            yield entry.name
        else:
            report.problems.append(problem)


def _check_drawings(folder: Path, report: CheckReport) -> None:
    """Check the drawn pictures. The name of each file is the digest of its content."""
    for entry in finished_entries(folder):
        try:
            is_intact = digest_of_file(entry) == entry.stem
        except OSError:
            is_intact = False
        if not is_intact:
            report.add("corrupt", entry, "the content of this drawn picture has changed")


def _check_shared_store(report: CheckReport) -> Iterator[str]:
    """Yield the ids of the intact assets in the store that machines share."""
    shared = shared_store()
    for asset, damage in shared.check_all() if shared is not None else ():
        if damage is None:
            yield asset
        else:
            report.add("corrupt", f"TESSERA_STORE_URL/assets/{asset}", damage)


def _asset_problem(folder: Path) -> Problem | None:
    try:
        damage = damage_of(folder, thorough=True)
    except OSError as error:
        return Problem("corrupt", str(folder), f"cannot be read: {error}")
    return Problem(damage.what, str(damage.path), damage.message) if damage is not None else None


def _check_database(store: RunStore, intact: set[str], report: CheckReport) -> None:
    """Check the references of the database to assets and runs, and that each row can be read."""
    with store.database.read() as connection:
        known = {run_id for (run_id,) in connection.rows("SELECT run_id FROM runs")}
        report.runs = len(known)
        for render, asset, run_id in connection.rows("SELECT render_id, asset, run_id FROM renders"):
            if asset not in intact:
                message = f"asset {asset}, an output of run {run_id}, is missing or damaged"
                report.add("missing", f"renders/{render}", message)
        for key, asset in connection.rows("SELECT key, asset FROM rendered"):
            if asset not in intact:
                report.add("missing", f"rendered/{key}", f"its asset {asset} is missing or damaged")
    try:
        for profile in profiles(store.workspace):
            for asset in profile.assets() - intact:
                report.add("missing", f"avatars/{profile.id}", f"its asset {asset} is missing or damaged")
    except WorkspaceError as error:
        report.add("corrupt", "avatars", str(error))
    for where, message in unreadable_rows(store, known):
        report.add("corrupt", where, message)
    for run_id in known:
        _check_outputs(store, run_id, report)


def _check_outputs(store: RunStore, run_id: str, report: CheckReport) -> None:
    """Check the output files of a run that are in its folder. Other output folders belong to the user."""
    try:
        outputs = store.record(run_id)["outputs"]
        with decoding(f"the outputs in the record of run {run_id}"):
            files = [(Path(made["path"]), str(made["asset_id"])) for made in outputs if made.get("path")]
    except WorkspaceError as error:
        report.add("corrupt", f"runs/{run_id}", str(error))
        return
    folder = store.folder(run_id)
    for path, asset in files:
        if not path.is_relative_to(folder):
            continue
        try:
            content = asset_id(digest_of_file(path)) if path.is_file() else None
        except OSError as error:
            message = f"the output of run {run_id} cannot be read: {error.strerror or error}"
            report.add("corrupt", path, message)
            continue
        if content is None:
            report.add("missing", path, f"an output of run {run_id} is missing")
        elif content != asset:
            report.add("corrupt", path, f"the content of this output of run {run_id} has changed")
