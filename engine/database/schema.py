"""The tables of a workspace database, and the schema version that this code reads and writes."""

from __future__ import annotations

import re

from tessera.database.interface import Connection
from tessera.errors import WorkspaceError

__all__ = ["SCHEMA", "check_schema", "make_tables"]

SCHEMA = 3
"""The schema version of this code. Version 2 added `tiles`, `lately` and `claims`; version 3 `avatars`."""

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (schema INTEGER NOT NULL);

-- All runs, numbered in the order in which they started. cancel: a user asked to cancel the run.
CREATE TABLE IF NOT EXISTS runs (number {numbered}, run_id {id} UNIQUE, cancel BOOLEAN NOT NULL);

-- The events of each run as JSON, in order.
CREATE TABLE IF NOT EXISTS events
(run_id {id}, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, seq));

-- The documents of each run: its plan, its agent, its media facts and its final record.
CREATE TABLE IF NOT EXISTS documents
(run_id {id}, name {id}, body TEXT NOT NULL, PRIMARY KEY (run_id, name));

-- The items that each tile of a run made. An item refers to its expressions by place.
CREATE TABLE IF NOT EXISTS items
(run_id {id}, node {id}, place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, node, place));

-- The media expressions of a run, one node per row. A node refers by place to its inputs, which precede it.
CREATE TABLE IF NOT EXISTS expressions
(run_id {id}, place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, place));

-- The outputs of runs, by the id under which a later run can use them as inputs.
CREATE TABLE IF NOT EXISTS renders (render_id {id} PRIMARY KEY, asset {id}, run_id {id});

-- The render cache. The key is a digest of the rendered expression and of the encode settings.
CREATE TABLE IF NOT EXISTS rendered (key {id} PRIMARY KEY, asset {id}, facts TEXT NOT NULL);

-- The tile cache. run_id and node name the tile that made the cached items.
CREATE TABLE IF NOT EXISTS tiles (key {id} PRIMARY KEY, run_id {id}, node {id}, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS ix_tiles_run_id ON tiles (run_id);

-- The last cache key of each tile of an agent, part by part, to explain a cache miss.
CREATE TABLE IF NOT EXISTS lately
(agent_id {id}, node {id}, body TEXT NOT NULL, PRIMARY KEY (agent_id, node));

-- The cache keys that a run is computing now, so that no other run computes the same tile.
CREATE TABLE IF NOT EXISTS claims (key {id} PRIMARY KEY, run_id {id});
CREATE INDEX IF NOT EXISTS ix_claims_run_id ON claims (run_id);

-- Avatar profiles, numbered in the order in which they were created.
CREATE TABLE IF NOT EXISTS avatars (number {numbered}, profile_id {id} UNIQUE, body TEXT NOT NULL);
"""


def check_schema(version: int | None, name: str) -> bool:
    """Return True if tables are missing.

    Parameters
    ----------
    version
        The schema version of the database, or None if it is new.
    name
        The name of the database, for messages.

    Raises
    ------
    WorkspaceError
        If a newer version of Tessera created the database.
    """
    if version is not None and version > SCHEMA:
        raise WorkspaceError(f"{name} has schema {version}; this version knows {SCHEMA}: use a newer Tessera")
    return version != SCHEMA


def make_tables(connection: Connection, numbered: str, name: str) -> None:
    """Create the missing tables and store the schema version.

    Parameters
    ----------
    numbered
        The type of an auto-incremented primary key in this SQL dialect.
    name
        The name of the database, for messages.

    Raises
    ------
    WorkspaceError
        If a newer version of Tessera created the database.
    """
    # Every change since version 1 added a table, so creating the missing tables is the whole migration.
    script = re.sub("(?m)^--.*", "", _TABLES).format(id="VARCHAR(64) NOT NULL", numbered=numbered)
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)
    rows = connection.rows("SELECT schema FROM meta")
    old = rows[0][0] if rows else None
    if check_schema(old, name):
        sql = "INSERT INTO meta (schema) VALUES (:now)" if old is None else "UPDATE meta SET schema = :now"
        connection.execute(sql, now=SCHEMA)
