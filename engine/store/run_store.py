"""Runs and renders of a workspace: events as they happen, the record when a run has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.database.interface import Connection, Database, Held
from tessera.database.location import database_exists, open_database
from tessera.database.statements import decoding
from tessera.errors import NotFound, TakenError, WorkspaceError
from tessera.node import is_id
from tessera.record.events import Event, ItemMade, Progress, read_event, write_event
from tessera.record.record import RunRecord, fold
from tessera.record.status import RunStatus
from tessera.store.item_codec import ItemWriter, read_items
from tessera.store.locks import Locks
from tessera.text.wording import json_object

if TYPE_CHECKING:
    from tessera.media.algebra.item import Item

__all__ = ["DRAWN", "EventLog", "RunStore"]

DRAWN = "drawn"
"""The folder of a workspace that keeps the pictures which were drawn for renders."""

_ASK = "UPDATE runs SET cancel = :asked WHERE run_id = :run_id"


class EventLog:
    """Appends the events of one run, each safe before anything acts on it; and keeps the items as values."""

    def __init__(
        self,
        database: Database,
        run_id: str,
        seq: int = 0,
        shelf: ItemWriter | None = None,
        documents: Mapping[str, str] | None = None,
    ) -> None:
        self._database, self._run_id, self._seq = database, run_id, seq
        self._shelf = shelf or ItemWriter()
        self._documents = documents or {}
        self._told: list[str] = []
        self._nodes: list[tuple[str, int, str]] = []
        self._made: list[tuple[str, str, int, str]] = []
        self._beside: tuple[Callable[[], bool], Callable[[Connection], None]] | None = None

    def beside(self, is_due: Callable[[], bool], write: Callable[[Connection], None]) -> None:
        """Have something else written in the same transactions, whenever it is due."""
        self._beside = (is_due, write)

    def append(self, event: Event) -> None:
        """Take in an event; `commit` makes it safe. Progress is not kept."""
        if isinstance(event, Progress):
            return
        self._told.append(write_event(event).decode())
        if isinstance(event, ItemMade) and not self._shelf.holds(event.item):
            new, body = self._shelf.add(event.item)
            self._nodes += [(self._run_id, place, one) for place, one in new]
            self._made.append((self._run_id, event.item.node, event.item.index, body))

    def commit(self) -> None:
        """Write what was appended, and wait until it is safe.

        Raises
        ------
        TakenError
            Another process has gone on with this run meanwhile.
        WorkspaceError
            It cannot be written.
        """
        more = self._beside[1] if self._beside is not None and self._beside[0]() else None
        if not self._told and more is None:
            return
        try:
            with self._database.write() as connection:
                self._write(connection)
                if more is not None:
                    more(connection)
        except TakenError:
            what = (
                f"another process has gone on with run {self._run_id}, as its lock was lost: this one stops"
            )
            raise TakenError(what) from None
        self._seq += len(self._told)
        self._documents = {}
        for written in (self._told, self._nodes, self._made):
            written.clear()

    def _write(self, connection: Connection) -> None:
        run_id = self._run_id
        if not self._seq:
            connection.insert("runs", ("run_id", "cancel"), [(run_id, False)])
        beside = [(run_id, name, body) for name, body in self._documents.items()]
        told = [(run_id, seq, body) for seq, body in enumerate(self._told, self._seq)]
        for table, columns, rows in (
            ("documents", ("run_id", "name", "body"), beside),
            ("events", ("run_id", "seq", "body"), told),
            ("expressions", ("run_id", "place", "body"), self._nodes),
            ("items", ("run_id", "node", "place", "body"), self._made),
        ):
            if rows:
                connection.insert(table, columns, rows)


class RunStore:
    """The runs of a workspace. What only reads does not make one."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self._held: dict[str, Held] = {}

    @cached_property
    def database(self) -> Database:
        """The workspace's database, made where it is not there."""
        return open_database(self.workspace)

    @cached_property
    def locks(self) -> Locks:
        """What is held in this workspace: runs by their ids, renders by their keys."""
        return Locks(self.workspace / "locks", lambda: self.database)

    def is_there(self) -> bool:
        """Whether there is a database to read."""
        return "database" in self.__dict__ or database_exists(self.workspace)

    def folder(self, run_id: str) -> Path:
        """Where the outputs of a run are put that was given no other place."""
        return self.workspace / "runs" / run_id

    def begin(self, run_id: str, documents: Mapping[str, str] | None = None) -> EventLog:
        """The log of a new run, which is there from its first event on, with these documents."""
        return EventLog(self.database, run_id, documents=documents)

    def reopen(self, run_id: str) -> tuple[EventLog, dict[str, tuple[Item, ...]]]:
        """The log of a run that goes on, and the items that its tiles have made, by tile. It has not ended
        any more: what it had come to is no longer kept.
        """
        ended = "DELETE FROM documents WHERE run_id = :run_id AND name = 'record.json'"
        with self.database.write() as connection:
            connection.execute(_ASK, run_id=run_id, asked=False)
            connection.execute(ended, run_id=run_id)
            ((count,),) = connection.rows("SELECT count(*) FROM events WHERE run_id = :run_id", run_id=run_id)
            found, shelf = self._read_items(connection, run_id)
        return EventLog(self.database, run_id, count, shelf), found

    def items(self, run_id: str) -> dict[str, tuple[Item, ...]]:
        """The items that the tiles of a run have made, as values, by tile."""
        with self.database.read() as connection:
            return self._read_items(connection, run_id)[0]

    def _read_items(
        self, connection: Connection, run_id: str
    ) -> tuple[dict[str, tuple[Item, ...]], ItemWriter]:
        nodes = "SELECT body FROM expressions WHERE run_id = :run_id ORDER BY place"
        made = "SELECT node, place, body FROM items WHERE run_id = :run_id ORDER BY node, place"
        written = [body for (body,) in connection.rows(nodes, run_id=run_id)]
        with decoding(f"what the tiles of run {run_id} made"):
            return read_items(written, connection.rows(made, run_id=run_id))

    def ask_to_cancel(self, run_id: str) -> None:
        """Ask the process that runs a run to end it; it looks some times a second."""
        with self.database.write() as connection:
            connection.execute(_ASK, run_id=run_id, asked=True)

    def is_asked_to_cancel(self, run_id: str) -> bool:
        """Whether somebody has asked for that."""
        with self.database.read() as connection:
            found = connection.rows("SELECT cancel FROM runs WHERE run_id = :run_id", run_id=run_id)
        return bool(found and found[0][0])

    @contextmanager
    def hold(self, run_id: str) -> Iterator[None]:
        """Hold a run while it is worked on. The system lets go of it when the process dies.

        Raises
        ------
        WorkspaceError
            Another process holds it.
        """
        held = self.locks.acquire(run_id)
        if held is None:
            raise WorkspaceError(f"run {run_id} is being run by another process")
        self._held[run_id] = held
        try:
            yield
        finally:
            del self._held[run_id]
            held.release()

    def still_holds(self, run_id: str) -> bool:
        """Whether a run that was held is so still, or again: a connection may break, and another process may
        have gone on with the run before there was a new one.
        """
        held = self._held.get(run_id)
        return held is None or held.renew()

    def is_held(self, run_id: str) -> bool:
        """Whether a process works on a run."""
        return self.locks.is_held(run_id)

    def save_document(self, run_id: str, name: str, text: str) -> None:
        """Keep a document of a run: `plan.json`, `agent.json`, `facts.json`, `record.json`."""
        row = (run_id, name, text)
        with self.database.write() as connection:
            connection.insert(
                "documents", ("run_id", "name", "body"), [row], "replace", key=("run_id", "name")
            )

    def document(self, run_id: str, name: str) -> str | None:
        """A document of a run, or None where the run has none of this name."""
        if not self.is_there():
            return None
        mine = "SELECT body FROM documents WHERE run_id = :run_id AND name = :name"
        with self.database.read() as connection:
            return _first(connection.rows(mine, run_id=run_id, name=name))

    def save(self, record: RunRecord) -> None:
        """Keep the record of a run that has ended."""
        self.save_document(record.run_id, "record.json", record.to_json())

    def save_render(self, render_id: str, asset: str, run_id: str) -> None:
        """Keep which asset a render is, so that it can be the input of another run."""
        row = (render_id, asset, run_id)
        with self.database.write() as connection:
            connection.insert(
                "renders", ("render_id", "asset", "run_id"), [row], "replace", key=("render_id",)
            )

    def render_asset(self, render_id: str) -> str | None:
        """The asset id of a render, or None where there is no such render."""
        if not is_id(render_id) or not self.is_there():
            return None
        wanted = "SELECT asset FROM renders WHERE render_id = :render_id"
        with self.database.read() as connection:
            return _first(connection.rows(wanted, render_id=render_id.lower()))

    def known_render(self, key: str) -> tuple[str, dict[str, Any]] | None:
        """The asset that was rendered under a key, and what was said of it then; None where there is none."""
        with self.database.read() as connection:
            found = connection.rows("SELECT asset, facts FROM rendered WHERE key = :key", key=key)
        if not found:
            return None
        with suppress(ValueError):
            return found[0][0], json_object(found[0][1])
        return None

    def keep_render(self, key: str, asset: str, facts: Mapping[str, Any]) -> None:
        """Keep what was rendered under a key."""
        row = (key, asset, json.dumps(facts))
        with self.database.write() as connection:
            connection.insert("rendered", ("key", "asset", "facts"), [row], "replace", key=("key",))

    def ids(self) -> list[str]:
        """The ids of all runs, newest first."""
        if not self.is_there():
            return []
        with self.database.read() as connection:
            return [run_id for (run_id,) in connection.rows("SELECT run_id FROM runs ORDER BY number DESC")]

    def find(self, wanted: str) -> str:
        """The id of the run that `wanted`, an id or a unique beginning of one, or `latest`, means.

        Raises
        ------
        NotFound
            There is none, or more than one.
        WorkspaceError
            The workspace cannot be read.
        """
        ids = self.ids()
        if wanted == "latest" and ids:
            return ids[0]
        matches = [run_id for run_id in ids if run_id.startswith(wanted.lower())]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise NotFound(f"no run {wanted!r} in {self.workspace}; `tessera runs` lists them")
        raise NotFound(f"{wanted!r} could mean {len(matches)} runs: {', '.join(matches[:5])}")

    def record(self, run_id: str) -> dict[str, Any]:
        """The record of a run; one that was cut short is folded from its events.

        Raises
        ------
        WorkspaceError
            It cannot be read.
        """
        kept = self.document(run_id, "record.json")
        if kept is None:
            return self._unfinished(self.folded(run_id))
        with decoding(f"run {run_id}"):
            return _as_record(kept)

    def folded(self, run_id: str) -> RunRecord:
        """What the events of a run lead to.

        Raises
        ------
        WorkspaceError
            They cannot be read.
        """
        with decoding(f"run {run_id}"):
            return fold(self.events(run_id))

    def _unfinished(self, record: RunRecord) -> dict[str, Any]:
        """The record of a run without an end: it is being run, or the process that ran it died."""
        if record.status is RunStatus.RUNNING and not self.is_held(record.run_id):
            what = f"interrupted: the process that ran it is gone; `tessera resume {record.run_id}` goes on"
            record.interrupt(what)
        return record.to_dict()

    def events(self, run_id: str) -> Iterator[Event]:
        """The events of a run, in order.

        Raises
        ------
        WorkspaceError
            One cannot be read.
        """
        for seq, line in enumerate(self.event_lines(run_id)):
            with decoding(f"event {seq} of run {run_id}"):
                event = read_event(line)
            yield event

    def event_lines(self, run_id: str) -> list[str]:
        """The events of a run as JSON, in order."""
        if not self.is_there():
            return []
        wanted = "SELECT body FROM events WHERE run_id = :run_id ORDER BY seq"
        with self.database.read() as connection:
            return [body for (body,) in connection.rows(wanted, run_id=run_id)]


_LISTS = ("inputs", "nodes", "outputs", "errors")


def _as_record(text: str) -> dict[str, Any]:
    found = json_object(text)
    for name in _LISTS:
        if not (isinstance(found[name], list) and all(isinstance(one, dict) for one in found[name])):
            raise ValueError(f"{name} is no list of objects")
    return found


def _first(rows: list[tuple[Any, ...]]) -> str | None:
    """The one value that a query looked for."""
    return str(rows[0][0]) if rows else None
