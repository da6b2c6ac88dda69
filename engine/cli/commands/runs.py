"""`tessera runs`, `show`, `cancel` and `upload`: the runs and assets of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.cli.display.output import OK, put, put_json, refuse, warn
from tessera.cli.request_args import library_of, workspace_folder
from tessera.errors import WorkspaceError
from tessera.text.masking import masked_url

if TYPE_CHECKING:
    from tessera.store.run_store import RunStore

__all__ = ["cancel", "connect_mimir", "find_run", "record_of", "runs", "show", "upload"]

_LISTED = (
    "run_id",
    "agent_id",
    "agent_name",
    "status",
    "status_message",
    "started_at",
    "updated_at",
    "node_status_counts",
    "inputs",
    "outputs",
    "triggered_by",
)
"""The members of a run in a list (contract, section 4, plus the name of the agent)."""


def runs(workspace: Path | None, limit: int, cursor: str | None, *, as_json: bool) -> int:
    """Print the runs of a workspace, newest first."""
    store = _store(workspace)
    ids = store.run_ids()
    if cursor is not None:
        if cursor not in ids:
            raise refuse(f"--cursor {cursor} is not the next_cursor of a list of this workspace")
        ids = ids[ids.index(cursor) + 1 :]
    page = ids[:limit]
    records = [record for run_id in page if (record := _listed(store, run_id)) is not None]
    following = page[-1] if len(ids) > limit else None
    if as_json:
        put_json({"runs": records, "next_cursor": following})
        return OK
    if not records:
        put(f"no runs in {store.workspace}")
        return OK
    from tessera.cli.display.tables import runs_table
    from tessera.cli.display.tables import show as show_tables

    show_tables([runs_table(records)])
    if following:
        put(f"more: --cursor {following}")
    return OK


def _store(workspace: str | Path | None) -> RunStore:
    from tessera.store.run_store import RunStore

    return RunStore(workspace_folder(workspace))


def _listed(store: RunStore, run_id: str) -> dict[str, Any] | None:
    """Return the list entry of a run; warn and return None if its record cannot be read."""
    try:
        record = store.record(run_id)
    except WorkspaceError as error:
        warn(str(error))
        return None
    return {name: record.get(name) for name in _LISTED}


def show(run_name: str, workspace: Path | None, *, items: bool, as_json: bool) -> int:
    """Print the record of a run."""
    record = record_of(run_name, workspace)
    if as_json:
        put_json(record if items else {name: value for name, value in record.items() if name != "items"})
        return OK
    from tessera.cli.display.tables import record_tables
    from tessera.cli.display.tables import show as show_tables

    show_tables(record_tables(record, items=items))
    return OK


def record_of(run_name: str, workspace: str | Path | None) -> dict[str, Any]:
    """Return the record of a run by its id, a unique prefix of it, or `latest`.

    Raises
    ------
    NotFound
        If no run or several runs match.
    """
    store, run_id = find_run(run_name, workspace)
    return store.record(run_id)


def find_run(run_name: str, workspace: str | Path | None) -> tuple[RunStore, str]:
    """Return the run store and the id of a run; the same errors as `record_of`."""
    store = _store(workspace)
    return store, store.resolve_run_id(run_name)


def cancel(run_name: str, workspace: Path | None, *, as_json: bool) -> int:
    """Ask the process of a run to cancel it."""
    store, run_id = find_run(run_name, workspace)
    if not store.is_held(run_id):
        status = store.record(run_id)["status"].replace("_", " ")
        ended = f"has already ended ({status})" if status != "running" else "was interrupted"
        raise refuse(f"run {run_id} {ended}")
    store.ask_to_cancel(run_id)
    put_json({"run_id": run_id, "status": "cancelling"}) if as_json else put(f"cancelling {run_id}")
    return OK


def connect_mimir(url: str, key: str, workspace: Path | None, *, allow_private: bool, as_json: bool) -> int:
    """Verify and save the workspace's connection to a Mimir archive."""
    from tessera.cli.options import document
    from tessera.inputs.fetch.rules import FetchError, FetchRules
    from tessera.inputs.mimir import connect

    read = document(key)
    secret = (read.decode("utf-8", "replace") if isinstance(read, bytes) else str(read)).strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise refuse("--key: not a valid API key")
    try:
        made = connect(
            workspace_folder(workspace), url, secret, FetchRules(allow_private=allow_private, retry_s=5)
        )
    except FetchError as error:
        raise refuse(str(error)) from None
    if as_json:
        put_json({"connection_id": made.id, "url": masked_url(made.url), "status": "ok"})
    else:
        put(f"connected to Mimir at {masked_url(made.url)}")
    return OK


def upload(file: Path, workspace: Path | None, *, as_json: bool) -> int:
    """Store a file in the workspace and print its id."""
    asset = library_of(workspace, writable=True).add(file)
    named = f"{asset.info.kind}_id"
    if as_json:
        put_json({named: asset.id, "status": "ok"})
        return OK
    from tessera.cli.display.tables import frame_rate
    from tessera.text.wording import seconds_of

    facts = asset.info.summary()
    details = [facts["kind"]]
    if facts["width"]:
        details.append(f"{facts['width']}×{facts['height']}")
    if facts["fps"]:
        details.append(f"{frame_rate(facts['fps'])} fps")
    if facts["kind"] in ("video", "audio"):
        details.append(seconds_of(facts["duration_ms"]))
    if facts["kind"] == "video":
        details.append("with sound" if facts["has_audio"] else "without sound")
    details.extend(asset.info.notes)
    put(f"{named} {asset.id}")
    put(f"{asset.name}: {', '.join(details)}")
    return OK
