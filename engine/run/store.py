"""Runs and renders of a workspace, in files: events as they happen, the record when a run has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from engine.errors import WorkspaceError
from engine.inputs.library import write_atomically
from engine.node import is_id
from engine.run.events import Event, Progress, read_event, write_event
from engine.run.record import RunRecord, fold

__all__ = ["EventLog", "RunStore"]


class EventLog:
    """Appends events to a file, each durable before anything acts on it."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("ab")
        except OSError as error:
            raise WorkspaceError(f"cannot write {path}: {error.strerror or error}") from None
        self._path = path

    def append(self, event: Event) -> None:
        """Write one event and wait until it is safe. Progress is not kept.

        Raises
        ------
        WorkspaceError
            It cannot be written.
        """
        if isinstance(event, Progress):
            return
        try:
            self._file.write(write_event(event) + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise WorkspaceError(f"cannot write {self._path}: {error.strerror or error}") from None

    def close(self) -> None:
        self._file.close()


class RunStore:
    """The runs of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace

    def folder(self, run_id: str) -> Path:
        return self.workspace / "runs" / run_id

    def open_log(self, run_id: str) -> EventLog:
        return EventLog(self.folder(run_id) / "events.jsonl")

    def save_document(self, run_id: str, name: str, text: str) -> None:
        """Keep a document of a run beside its events: `plan.json`, `agent.json`, `facts.json`.

        A plan, which may hold signed URLs, is for its owner alone.
        """
        write_atomically(self.folder(run_id) / name, text, private=name == "plan.json")

    def document(self, run_id: str, name: str) -> str | None:
        """A document of a run, or None where the run has none of this name."""
        try:
            return (self.folder(run_id) / name).read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"{name} of run {run_id} cannot be read: {error}") from None

    def save(self, record: RunRecord) -> None:
        """Keep the record of a run that has ended."""
        write_atomically(self.folder(record.run_id) / "record.json", record.to_json())

    def save_render(self, render_id: str, asset: str, run_id: str) -> None:
        """Keep which asset a render is, so that it can be the input of another run."""
        note = json.dumps({"render_id": render_id, "asset": asset, "run_id": run_id})
        write_atomically(self.workspace / "renders" / f"{render_id}.json", note)

    def render_asset(self, render_id: str) -> str | None:
        """The asset id of a render, or None where there is no such render."""
        if not is_id(render_id):
            return None
        try:
            note = json.loads((self.workspace / "renders" / f"{render_id.lower()}.json").read_text("utf-8"))
            return str(note["asset"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            raise WorkspaceError(f"render {render_id} cannot be read: {error}") from None

    def ids(self) -> list[str]:
        """The ids of all runs, newest first."""
        folder = self.workspace / "runs"
        found = []
        for path in folder.iterdir() if folder.is_dir() else ():
            try:
                found.append(((path / "events.jsonl").stat().st_ctime_ns, path.name))
            except OSError:
                continue
        return [name for _stamp, name in sorted(found, reverse=True)]

    def find(self, wanted: str) -> str:
        """The id of the run that `wanted`, an id or a unique beginning of one, or `latest`, means.

        Raises
        ------
        WorkspaceError
            There is none, or more than one.
        """
        ids = self.ids()
        if wanted == "latest" and ids:
            return ids[0]
        matches = [run_id for run_id in ids if run_id.startswith(wanted.lower())]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise WorkspaceError(f"no run {wanted!r} in {self.workspace}; `tessera runs` lists them")
        raise WorkspaceError(f"{wanted!r} could mean {len(matches)} runs: {', '.join(matches[:5])}")

    def record(self, run_id: str) -> dict[str, Any]:
        """The record of a run; one that was cut short is folded from its events.

        Raises
        ------
        WorkspaceError
            It cannot be read.
        """
        folder = self.folder(run_id)
        try:
            return json.loads((folder / "record.json").read_text("utf-8"))  # type: ignore[no-any-return]
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"the record of run {run_id} cannot be read: {error}") from None
        try:
            return fold(self._events(folder / "events.jsonl")).to_dict()
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"the events of run {run_id} cannot be read: {error}") from None

    @staticmethod
    def _events(path: Path) -> Iterator[Event]:
        """The events of a log; a last line that was cut off is left out."""
        lines = path.read_bytes().split(b"\n")
        for line in lines[:-1]:
            yield read_event(line)
