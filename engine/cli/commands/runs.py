"""`tessera runs`, `show` and `upload`: what a workspace holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.cli.output import OK, put, put_json, refuse, warn
from tessera.cli.request_args import home_of, library_of
from tessera.errors import WorkspaceError
from tessera.text.masking import masked_url

if TYPE_CHECKING:
    from tessera.store.run_store import RunStore

__all__ = ["cancel", "connect_mimir", "found_run", "record_of", "runs", "show", "upload"]

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
"""The members of a run in a list (contract, section 4; the agent's name is ours)."""


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


def _store(workspace: Path | None) -> RunStore:
    from tessera.store.run_store import RunStore

    return RunStore(home_of(workspace))


def _listed(store: RunStore, run_id: str) -> dict[str, Any] | None:
    """A run as a list gives it; None, with a warning, where its record cannot be read."""
    try:
        record = store.record(run_id)
    except WorkspaceError as error:
        warn(str(error))
        return None
    return {name: record.get(name) for name in _LISTED}


def show(wanted: str, workspace: Path | None, *, items: bool, as_json: bool) -> int:
    """Print the record of a run."""
    record = record_of(wanted, workspace)
    if as_json:
        put_json(record if items else {name: value for name, value in record.items() if name != "items"})
        return OK
    from tessera.cli.display.tables import record_tables
    from tessera.cli.display.tables import show as show_tables

    show_tables(record_tables(record, items=items))
    return OK


def record_of(wanted: str, workspace: Path | None) -> dict[str, Any]:
    """The record of the run that an id, a unique beginning of one, or `latest`, means.

    Raises
    ------
    NotFound
        There is none, or more than one.
    """
    store, run_id = found_run(wanted, workspace)
    return store.record(run_id)


def found_run(wanted: str, workspace: Path | None) -> tuple[RunStore, str]:
    """The workspace's runs, and the id of the one that is meant; raises as `record_of`."""
    store = _store(workspace)
    return store, store.resolve_run_id(wanted)


def cancel(wanted: str, workspace: Path | None, *, as_json: bool) -> int:
    """Ask the process that runs a run to end it."""
    store, run_id = found_run(wanted, workspace)
    if not store.is_held(run_id):
        status = store.record(run_id)["status"].replace("_", " ")
        ended = f"has already ended ({status})" if status != "running" else "was interrupted"
        raise refuse(f"run {run_id} {ended}")
    store.ask_to_cancel(run_id)
    put_json({"run_id": run_id, "status": "cancelling"}) if as_json else put(f"cancelling {run_id}")
    return OK


def connect_mimir(url: str, key: str, workspace: Path | None, *, allow_private: bool, as_json: bool) -> int:
    """Verify and save the workspace's connection to a Mimir archive."""
    from tessera.cli.request_args import document
    from tessera.inputs.fetch.rules import FetchError, FetchRules
    from tessera.inputs.mimir import connect

    read = document(key)
    secret = (read.decode("utf-8", "replace") if isinstance(read, bytes) else str(read)).strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise refuse("--key: that is no API key")
    try:
        made = connect(home_of(workspace), url, secret, FetchRules(allow_private=allow_private, retry_s=5))
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
    told = [facts["kind"]]
    if facts["width"]:
        told.append(f"{facts['width']}×{facts['height']}")
    if facts["fps"]:
        told.append(f"{frame_rate(facts['fps'])} fps")
    if facts["kind"] in ("video", "audio"):
        told.append(seconds_of(facts["duration_ms"]))
    if facts["kind"] == "video":
        told.append("with sound" if facts["has_audio"] else "without sound")
    told.extend(asset.info.notes)
    put(f"{named} {asset.id}")
    put(f"{asset.name}: {', '.join(told)}")
    return OK
