"""Bundles: a run in one file, to be looked at and simulated anywhere, without secrets.

With drafts of its media, or with all of it: then it can be run anywhere as well.
"""

from __future__ import annotations

import json
import platform
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tessera.bundle.archive import FORMAT, Archive
from tessera.bundle.proxies import make_proxies
from tessera.bundle.recording import recording_of
from tessera.database.statements import decoding
from tessera.errors import Fault, NotFound, RequestError, WorkspaceError
from tessera.files import whole_file
from tessera.graph.plan import Plan
from tessera.inputs.assets.library import Library
from tessera.inputs.facts import read_facts
from tessera.media.ffmpeg.process import ffmpeg_version
from tessera.store.row_check import check_kept_plan
from tessera.store.run_store import RunStore
from tessera.text.masking import mask_urls

__all__ = ["Bundle", "read_bundle", "write_bundle"]

_DOCUMENTS = ("agent.json", "plan.json", "facts.json")


def write_bundle(
    store: RunStore, run_id: str, out: Path, *, media: bool = False, originals: bool = False
) -> None:
    """Pack a run: agent, plan, facts, events, record and versions, with secrets of URLs masked.

    Parameters
    ----------
    media
        Pack small drafts of the inputs and outputs as well, in `media/`.
    originals
        Pack the inputs and other assets themselves as well, and what the outside world answered, so that the
        run can be run from it.

    Raises
    ------
    WorkspaceError
        The run has no plan (it was made by an earlier version), its media is no longer there, or the file
        cannot be written.
    RenderError
        A draft cannot be made.
    """
    members: dict[str, Any] = {"record.json": store.record(run_id)}
    for name in _DOCUMENTS:
        text = store.document(run_id, name)
        if text is not None:
            with decoding(f"{name} of run {run_id}"):
                members[name] = json.loads(text)
    if "plan.json" not in members:
        raise NotFound(f"run {run_id} has no plan kept with it: it cannot be bundled")
    check_kept_plan(members["plan.json"], run_id)
    with decoding(f"the events of run {run_id}"):
        lines = [json.dumps(mask_urls(json.loads(line))) for line in store.event_lines(run_id)]
    members["versions.json"] = {
        "tessera": version("tessera-runtime"),
        "python": platform.python_version(),
        "ffmpeg": ffmpeg_version(),
        "format": FORMAT,
    }
    files: list[tuple[Path, str]] = []
    recording = ""
    if originals:
        library, record = Library(store.workspace), members["record.json"]
        recorded, files = recording_of(store, library, run_id, members["plan.json"], record)
        recording = recorded.model_dump_json(indent=1) + "\n"
    try:
        with whole_file(out) as partial, _archive(partial) as archive:
            for name, value in sorted(members.items()):
                archive.writestr(name, json.dumps(mask_urls(value), ensure_ascii=False, indent=1) + "\n")
            archive.writestr("events.jsonl", "".join(line + "\n" for line in lines))
            if recording:
                archive.writestr("recording.json", recording)
            for path, name in files:
                archive.write(path, name, zipfile.ZIP_STORED)
            if media:
                _add_drafts(archive, store, members["record.json"])
    except OSError as error:
        raise WorkspaceError(f"cannot write {out}: {error.strerror or error}") from None


def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False)


def _add_drafts(archive: zipfile.ZipFile, store: RunStore, record: Mapping[str, Any]) -> None:
    with tempfile.TemporaryDirectory(prefix="tessera-drafts-") as folder:
        for name, made in make_proxies(Library(store.workspace), record, Path(folder)):
            archive.write(made, f"media/{name}", zipfile.ZIP_STORED)
            made.unlink()


class Bundle:
    """A bundle that was read: the plan of its run, what is known of the media, and the record."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self.documents = documents
        self.plan = Plan.from_dict(documents["plan.json"])
        self.facts = read_facts(documents.get("facts.json"))
        self.record: dict[str, Any] = documents["record.json"]


def read_bundle(path: Path) -> Bundle:
    """Read a bundle.

    Raises
    ------
    RequestError
        It is no bundle, or what it holds is wrong.
    """
    with Archive(path) as archive:
        found = {name: archive.document(name) for name in (*_DOCUMENTS, "record.json", "versions.json")}
    documents = {name: document for name, document in found.items() if document is not None}
    missing = {"plan.json", "record.json"} - documents.keys()
    if missing:
        what = f"{path} is not a bundle: it lacks {', '.join(sorted(missing))}"
        raise RequestError([Fault("", "request", what)])
    return Bundle(documents)
