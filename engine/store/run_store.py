"""The runs and renders of a workspace: the events of each run, its items, and its final record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.database.interface import Connection, Database, HeldLock
from tessera.database.location import database_exists, open_database
from tessera.database.statements import decoding
from tessera.errors import NotFound, TakenError, WorkspaceError
from tessera.node import is_id
from tessera.record.events import Event, ItemMade, Progress, read_event, write_event
from tessera.record.record import RunRecord, fold
from tessera.record.status import RunStatus
from tessera.store.item_codec import ItemWriter, read_items
from tessera.store.locks import Locks
from tessera.text.checked import json_object

if TYPE_CHECKING:
    from tessera.media.algebra.item import Item

__all__ = ["DRAWN", "RUN_TABLES", "EventLog", "RunStore"]

DRAWN = "drawn"
"""The folder of a workspace with the pictures drawn for renders."""

RUN_TABLES = ("documents", "events", "expressions", "items")
"""The tables in which every row belongs to a run."""

_SET_CANCEL = "UPDATE runs SET cancel = :cancel WHERE run_id = :run_id"


class EventLog:
    """Appends the events and items of one run.

    An event must be committed before the run acts on it: a resumed run knows only committed events.

    Parameters
    ----------
    seq
        The number of events that the log already has. 0 creates the run with the first commit.
    item_writer
        The writer that has written the items of a resumed run.
    documents
        Documents by name, stored with the first commit.
    """

    def __init__(
        self,
        database: Database,
        run_id: str,
        seq: int = 0,
        item_writer: ItemWriter | None = None,
        documents: Mapping[str, str] | None = None,
    ) -> None:
        self._database, self._run_id, self._seq = database, run_id, seq
        self._item_writer = item_writer or ItemWriter()
        self._documents = documents or {}
        self._events: list[str] = []
        self._expressions: list[tuple[str, int, str]] = []
        self._items: list[tuple[str, str, int, str]] = []
        self._extra_writer: tuple[Callable[[], bool], Callable[[Connection], None]] | None = None

    def add_to_commit(self, is_due: Callable[[], bool], write: Callable[[Connection], None]) -> None:
        """Register a writer to run inside each commit at which `is_due()` is true."""
        self._extra_writer = (is_due, write)

    def append(self, event: Event) -> None:
        """Queue an event for the next commit. Progress events are not stored."""
        if isinstance(event, Progress):
            return
        self._events.append(write_event(event).decode())
        if isinstance(event, ItemMade) and not self._item_writer.contains(event.item):
            new, body = self._item_writer.add(event.item)
            self._expressions += [(self._run_id, place, text) for place, text in new]
            self._items.append((self._run_id, event.item.node, event.item.index, body))

    def commit(self) -> None:
        """Write the queued events and wait until they are durable.

        Raises
        ------
        TakenError
            If another process has continued this run meanwhile.
        WorkspaceError
            If the database cannot be written.
        """
        write = self._extra_writer[1] if self._extra_writer is not None and self._extra_writer[0]() else None
        if not self._events and write is None:
            return
        try:
            with self._database.write() as connection:
                self._write(connection)
                if write is not None:
                    write(connection)
        except TakenError:
            # Another process has written an event with the same number.
            message = (
                f"another process has continued run {self._run_id} after its lock was lost: this one stops"
            )
            raise TakenError(message) from None
        # Only now, so that a failed commit loses nothing.
        self._seq += len(self._events)
        self._documents = {}
        for queue in (self._events, self._expressions, self._items):
            queue.clear()

    def _write(self, connection: Connection) -> None:
        run_id = self._run_id
        if not self._seq:
            connection.insert("runs", ("run_id", "cancel"), [(run_id, False)])
        documents = [(run_id, name, body) for name, body in self._documents.items()]
        events = [(run_id, seq, body) for seq, body in enumerate(self._events, self._seq)]
        for table, columns, rows in (
            ("documents", ("run_id", "name", "body"), documents),
            ("events", ("run_id", "seq", "body"), events),
            ("expressions", ("run_id", "place", "body"), self._expressions),
            ("items", ("run_id", "node", "place", "body"), self._items),
        ):
            if rows:
                connection.insert(table, columns, rows)


class RunStore:
    """The runs of a workspace. Read-only access never creates the database."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self._run_locks: dict[str, HeldLock] = {}

    @cached_property
    def database(self) -> Database:
        """The database of the workspace, created on first use."""
        return open_database(self.workspace)

    @cached_property
    def locks(self) -> Locks:
        """The locks of the workspace: of runs by run id, and of renders by render key."""
        return Locks(self.workspace / "locks", lambda: self.database)

    def exists(self) -> bool:
        """Return True if the workspace has a database."""
        # A cached property that has been computed is in `__dict__`.
        return "database" in self.__dict__ or database_exists(self.workspace)

    def folder(self, run_id: str) -> Path:
        """Return the default output folder of a run."""
        return self.workspace / "runs" / run_id

    def begin(self, run_id: str, documents: Mapping[str, str] | None = None) -> EventLog:
        """Return the log of a new run. The first commit creates the run with these documents."""
        return EventLog(self.database, run_id, documents=documents)

    def reopen(self, run_id: str) -> tuple[EventLog, dict[str, tuple[Item, ...]]]:
        """Reopen a run to resume it. Return its log, and the items of each tile.

        The final record is deleted, and a request to cancel the run is withdrawn.
        """
        delete_record = "DELETE FROM documents WHERE run_id = :run_id AND name = 'record.json'"
        with self.database.write() as connection:
            connection.execute(_SET_CANCEL, run_id=run_id, cancel=False)
            connection.execute(delete_record, run_id=run_id)
            ((count,),) = connection.rows("SELECT count(*) FROM events WHERE run_id = :run_id", run_id=run_id)
            items, item_writer = self._read_items(connection, run_id)
        return EventLog(self.database, run_id, count, item_writer), items

    def items(self, run_id: str) -> dict[str, tuple[Item, ...]]:
        """Return the items that each tile of a run made."""
        with self.database.read() as connection:
            return self._read_items(connection, run_id)[0]

    def _read_items(
        self, connection: Connection, run_id: str
    ) -> tuple[dict[str, tuple[Item, ...]], ItemWriter]:
        expressions = "SELECT body FROM expressions WHERE run_id = :run_id ORDER BY place"
        items = "SELECT node, place, body FROM items WHERE run_id = :run_id ORDER BY node, place"
        texts = [body for (body,) in connection.rows(expressions, run_id=run_id)]
        with decoding(f"the items of run {run_id}"):
            return read_items(texts, connection.rows(items, run_id=run_id))

    def ask_to_cancel(self, run_id: str) -> None:
        """Ask the process of a run to cancel it. The process checks for this a few times per second."""
        with self.database.write() as connection:
            connection.execute(_SET_CANCEL, run_id=run_id, cancel=True)

    def is_asked_to_cancel(self, run_id: str) -> bool:
        """Return True if a process has asked to cancel the run."""
        with self.database.read() as connection:
            rows = connection.rows("SELECT cancel FROM runs WHERE run_id = :run_id", run_id=run_id)
        return bool(rows and rows[0][0])

    @contextmanager
    def hold(self, run_id: str) -> Iterator[None]:
        """Hold the lock of a run. It is also released when the process dies.

        Raises
        ------
        WorkspaceError
            If another process holds it.
        """
        lock = self.locks.acquire(run_id)
        if lock is None:
            raise WorkspaceError(f"run {run_id} is being run by another process")
        self._run_locks[run_id] = lock
        try:
            yield
        finally:
            del self._run_locks[run_id]
            lock.release()

    def renew_lock(self, run_id: str) -> bool:
        """Acquire the lock of a held run again if its connection was lost.

        Return False if another process has acquired the lock meanwhile.
        """
        lock = self._run_locks.get(run_id)
        return lock is None or lock.renew()

    def is_held(self, run_id: str) -> bool:
        """Return True if a process holds the lock of the run."""
        return self.locks.is_held(run_id)

    def save_document(self, run_id: str, name: str, text: str) -> None:
        """Store a document of a run, such as `plan.json`, `agent.json`, `facts.json` or `record.json`."""
        row = (run_id, name, text)
        with self.database.write() as connection:
            connection.insert(
                "documents", ("run_id", "name", "body"), [row], "replace", key=("run_id", "name")
            )

    def document(self, run_id: str, name: str) -> str | None:
        """Return a document of a run, or None if the run has no document of this name."""
        if not self.exists():
            return None
        query = "SELECT body FROM documents WHERE run_id = :run_id AND name = :name"
        with self.database.read() as connection:
            return _first_value(connection.rows(query, run_id=run_id, name=name))

    def save(self, record: RunRecord) -> None:
        """Store the record of a run that has ended."""
        self.save_document(record.run_id, "record.json", record.to_json())

    def save_render(self, render_id: str, asset: str, run_id: str) -> None:
        """Store the asset of a render, so that a later run can use the render as an input."""
        row = (render_id, asset, run_id)
        with self.database.write() as connection:
            connection.insert(
                "renders", ("render_id", "asset", "run_id"), [row], "replace", key=("render_id",)
            )

    def render_asset(self, render_id: str) -> str | None:
        """Return the asset id of a render, or None if there is no such render."""
        if not is_id(render_id) or not self.exists():
            return None
        query = "SELECT asset FROM renders WHERE render_id = :render_id"
        with self.database.read() as connection:
            return _first_value(connection.rows(query, render_id=render_id.lower()))

    def known_render(self, key: str) -> tuple[str, dict[str, Any]] | None:
        """Return the asset id and the facts of a cached render, or None if it is missing or unreadable."""
        with self.database.read() as connection:
            rows = connection.rows("SELECT asset, facts FROM rendered WHERE key = :key", key=key)
        if not rows:
            return None
        with suppress(ValueError):
            return rows[0][0], json_object(rows[0][1])
        return None

    def keep_render(self, key: str, asset: str, facts: Mapping[str, Any]) -> None:
        """Store a render in the render cache."""
        row = (key, asset, json.dumps(facts))
        with self.database.write() as connection:
            connection.insert("rendered", ("key", "asset", "facts"), [row], "replace", key=("key",))

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, newest first."""
        if not self.exists():
            return []
        with self.database.read() as connection:
            return [run_id for (run_id,) in connection.rows("SELECT run_id FROM runs ORDER BY number DESC")]

    def resolve_run_id(self, text: str) -> str:
        """Return the id of the run that `text` names: an id, a unique prefix of one, or `latest`.

        Raises
        ------
        NotFound
            If no run matches, or more than one.
        WorkspaceError
            If the workspace cannot be read.
        """
        run_ids = self.run_ids()
        if text == "latest" and run_ids:
            return run_ids[0]
        matches = [run_id for run_id in run_ids if run_id.startswith(text.lower())]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise NotFound(f"no run {text!r} in {self.workspace}; `tessera runs` lists them")
        raise NotFound(f"{text!r} could mean {len(matches)} runs: {', '.join(matches[:5])}")

    def record(self, run_id: str) -> dict[str, Any]:
        """Return the record of a run. The record of an unfinished run is folded from its events.

        Raises
        ------
        WorkspaceError
            If the record cannot be read.
        """
        stored = self.document(run_id, "record.json")
        if stored is None:
            return self._unfinished_record(self.fold_events(run_id))
        with decoding(f"run {run_id}"):
            return _parse_record(stored)

    def fold_events(self, run_id: str) -> RunRecord:
        """Return the record that the events of a run result in.

        Raises
        ------
        WorkspaceError
            If the events cannot be read.
        """
        with decoding(f"run {run_id}"):
            return fold(self.events(run_id))

    def _unfinished_record(self, record: RunRecord) -> dict[str, Any]:
        # Without a lock holder the process has died: report the run as interrupted, not as running.
        if record.status is RunStatus.RUNNING and not self.is_held(record.run_id):
            record.interrupt(
                f"interrupted: its process has ended; `tessera resume {record.run_id}` continues it"
            )
        return record.to_dict()

    def events(self, run_id: str) -> Iterator[Event]:
        """Yield the events of a run in order.

        Raises
        ------
        WorkspaceError
            If an event cannot be read.
        """
        for seq, line in enumerate(self.event_lines(run_id)):
            with decoding(f"event {seq} of run {run_id}"):
                event = read_event(line)
            yield event

    def event_lines(self, run_id: str) -> list[str]:
        """Return the events of a run as JSON texts, in order."""
        if not self.exists():
            return []
        query = "SELECT body FROM events WHERE run_id = :run_id ORDER BY seq"
        with self.database.read() as connection:
            return [body for (body,) in connection.rows(query, run_id=run_id)]


_LISTS = ("inputs", "nodes", "outputs", "errors")


def _parse_record(text: str) -> dict[str, Any]:
    record = json_object(text)
    for name in _LISTS:
        if not (isinstance(record[name], list) and all(isinstance(entry, dict) for entry in record[name])):
            raise ValueError(f"{name} is not a list of objects")
    return record


def _first_value(rows: list[tuple[Any, ...]]) -> str | None:
    return str(rows[0][0]) if rows else None
