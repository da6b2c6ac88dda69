"""Write a run as a bundle, and read it back.

A bundle contains no secrets. It can be inspected and simulated on any machine. With previews the media can be
viewed there too, and with the original media the run can be repeated.
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
from tessera.media.process.process import ffmpeg_version
from tessera.store.row_check import check_stored_plan
from tessera.store.run_store import RunStore
from tessera.text.masking import mask_urls

__all__ = ["Bundle", "read_bundle", "write_bundle"]

_DOCUMENTS = ("agent.json", "plan.json", "facts.json")


def write_bundle(
    store: RunStore, run_id: str, out: Path, *, media: bool = False, originals: bool = False
) -> None:
    """Write the agent, plan, facts, events, record and versions of a run, with the secrets of URLs masked.

    Parameters
    ----------
    media
        Add small previews of the inputs and outputs in `media/`.
    originals
        Add the inputs and the other assets themselves, and the recorded answers of the outside world, so that
        the run can be repeated from the bundle.

    Raises
    ------
    WorkspaceError
        If the run has no plan (an earlier version made it), if its media is missing, or if the file cannot be
        written.
    RenderError
        If a preview cannot be rendered.
    """
    members: dict[str, Any] = {"record.json": store.record(run_id)}
    for name in _DOCUMENTS:
        text = store.document(run_id, name)
        if text is not None:
            with decoding(f"{name} of run {run_id}"):
                members[name] = json.loads(text)
    if "plan.json" not in members:
        raise NotFound(f"run {run_id} has no stored plan: it cannot be bundled")
    check_stored_plan(members["plan.json"], run_id)
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
            # Media is already compressed, and readers reject compressed media members.
            for path, name in files:
                archive.write(path, name, zipfile.ZIP_STORED)
            if media:
                _add_previews(archive, store, members["record.json"])
    except OSError as error:
        raise WorkspaceError(f"cannot write {out}: {error.strerror or error}") from None


def _archive(path: Path) -> zipfile.ZipFile:
    # ZIP timestamps start in 1980: an older file gets that time in place of an error.
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False)


def _add_previews(archive: zipfile.ZipFile, store: RunStore, record: Mapping[str, Any]) -> None:
    with tempfile.TemporaryDirectory(prefix="tessera-previews-") as folder:
        for name, file in make_proxies(Library(store.workspace), record, Path(folder)):
            archive.write(file, f"media/{name}", zipfile.ZIP_STORED)
            file.unlink()


class Bundle:
    """The contents of a bundle: the plan of its run, the media facts and the record."""

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
        If the file is not a bundle, or its contents are invalid.
    """
    with Archive(path) as archive:
        read = {name: archive.document(name) for name in (*_DOCUMENTS, "record.json", "versions.json")}
    documents = {name: document for name, document in read.items() if document is not None}
    missing = {"plan.json", "record.json"} - documents.keys()
    if missing:
        message = f"{path} is not a bundle: it lacks {', '.join(sorted(missing))}"
        raise RequestError([Fault("", "request", message)])
    return Bundle(documents)
