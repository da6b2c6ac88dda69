"""The settings, the workspace, its database and the shared store. Nothing is created."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tessera.database.inspection import inspect_database
from tessera.doctor.finding import Finding
from tessera.errors import PlugInError, RequestError, WorkspaceError
from tessera.inputs.assets.library import workspace_of
from tessera.inputs.assets.shared_store import shared_store
from tessera.settings import default_catalogue, settings
from tessera.text.masking import masked_server
from tessera.text.wording import bytes_of, count

__all__ = ["check_database", "check_settings", "check_store", "check_workspace"]

_LOW_DISK = 2 * 10**9
"""The free bytes below which a workspace may not hold the renders of one run."""


def check_settings() -> Iterator[Finding]:
    named = os.environ.get("TESSERA_CONFIG")
    place = Path(named or "tessera.toml")
    try:
        if settings().node_types:
            with suppress(PlugInError):  # the check of the tiles reports it
                default_catalogue()
    except RequestError as error:
        reasons = "; ".join(fault.message for fault in error.errors)
        yield Finding("settings", "problem", reasons, "correct the file, or remove it to use the defaults")
        return
    origin = " (from TESSERA_CONFIG)" if named else ""
    found = f"{place.absolute()}{origin}" if place.is_file() else "no tessera.toml here: the defaults hold"
    yield Finding("settings", "ok", found)


def check_workspace(given: Path | None) -> Iterator[Finding]:
    """Yield the state of the workspace folder and of the disk below it. `given` is that of `--workspace`."""
    folder = workspace_of(given).absolute()
    other = "name another folder with --workspace or TESSERA_WORKSPACE"
    existing = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not existing.is_dir():
        yield Finding("workspace", "problem", f"{existing} is not a folder", other)
        return
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("workspace", "problem", f"{existing} cannot be written", other)
    elif existing == folder:
        yield Finding("workspace", "ok", str(folder))
    else:
        yield Finding("workspace", "ok", f"{folder}, which the first run creates")
    free = shutil.disk_usage(existing).free
    if free < _LOW_DISK:
        advice = "free some: tessera store prune --keep 1GB"
        yield Finding("disk", "warning", f"{bytes_of(free)} free in {existing}", advice)
    else:
        yield Finding("disk", "ok", f"{bytes_of(free)} free")


def check_database(given: Path | None, timeout_s: float) -> Iterator[Finding]:
    """Yield the state of the database. A server gets `timeout_s` seconds to answer."""
    try:
        state = inspect_database(workspace_of(given), timeout_s)
    except WorkspaceError as error:
        if os.environ.get("TESSERA_DATABASE_URL"):
            advice = "correct TESSERA_DATABASE_URL, or unset it to use the file of the workspace"
        else:
            advice = "name another workspace, or use the Tessera that made this one"
        yield Finding("database", "problem", str(error), advice)
        return
    if state.schema is None:
        yield Finding("database", "ok", f"{state.name}, which the first run sets up")
        return
    newer = ", which the next run updates" if state.outdated else ""
    yield Finding("database", "ok", f"{state.name}: schema {state.schema}{newer}, {count(state.runs, 'run')}")


def check_store() -> Iterator[Finding]:
    """Yield the shared store if there is one. It is not contacted."""
    url = os.environ.get("TESSERA_STORE_URL")
    if not url:
        return
    try:
        shared_store()
    except RequestError as error:
        reasons = "; ".join(fault.message for fault in error.errors).replace(url, masked_server(url))
        yield Finding("shared store", "problem", reasons, "correct TESSERA_STORE_URL, or unset it")
        return
    yield Finding("shared store", "ok", f"{masked_server(url)} (not contacted)")
