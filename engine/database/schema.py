"""The tables of a workspace's database, and the version of them that this code reads and writes."""

from __future__ import annotations

import re

from tessera.database.interface import Connection
from tessera.errors import WorkspaceError

__all__ = ["SCHEMA", "check_schema", "make_tables"]

SCHEMA = 3
"""The version of the schema that this code reads and writes. 2: `tiles`, `lately`, `claims`. 3: `avatars`."""

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (schema INTEGER NOT NULL);

-- all runs, in the order in which they were begun; cancel: somebody asked for that
CREATE TABLE IF NOT EXISTS runs (number {numbered}, run_id {id} UNIQUE, cancel BOOLEAN NOT NULL);

CREATE TABLE IF NOT EXISTS events
(run_id {id}, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, seq));

-- what a run was begun with and came to: its plan, its agent, its facts, its record
CREATE TABLE IF NOT EXISTS documents
(run_id {id}, name {id}, body TEXT NOT NULL, PRIMARY KEY (run_id, name));

-- the items of a run as values: their expressions by place
CREATE TABLE IF NOT EXISTS items
(run_id {id}, node {id}, place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, node, place));

-- the media expressions of a run, a node each: what one is made from stands before it, in it by place
CREATE TABLE IF NOT EXISTS expressions
(run_id {id}, place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, place));

-- the outputs of runs, as inputs of other runs name them
CREATE TABLE IF NOT EXISTS renders (render_id {id} PRIMARY KEY, asset {id}, run_id {id});

-- what was rendered, by what it is made of and how
CREATE TABLE IF NOT EXISTS rendered (key {id} PRIMARY KEY, asset {id}, facts TEXT NOT NULL);

-- the work of tiles, by what it stands on: whose items it is
CREATE TABLE IF NOT EXISTS tiles (key {id} PRIMARY KEY, run_id {id}, node {id}, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS ix_tiles_run_id ON tiles (run_id);

-- what the work of each tile stood on when it was last wanted
CREATE TABLE IF NOT EXISTS lately
(agent_id {id}, node {id}, body TEXT NOT NULL, PRIMARY KEY (agent_id, node));

-- the work that a run is at, so that no other run does the same
CREATE TABLE IF NOT EXISTS claims (key {id} PRIMARY KEY, run_id {id});
CREATE INDEX IF NOT EXISTS ix_claims_run_id ON claims (run_id);

-- avatar profiles, in the order in which they were made
CREATE TABLE IF NOT EXISTS avatars (number {numbered}, profile_id {id} UNIQUE, body TEXT NOT NULL);
"""


def check_schema(found: int | None, name: str) -> bool:
    """Whether tables must be made.

    Parameters
    ----------
    found
        The version that the database says, if it does.

    Raises
    ------
    WorkspaceError
        A newer version has made it.
    """
    if found is not None and found > SCHEMA:
        raise WorkspaceError(f"{name} has schema {found}; this version knows {SCHEMA}: use a newer Tessera")
    return found != SCHEMA


def make_tables(connection: Connection, numbered: str, name: str) -> None:
    """Make the tables that are not there, and say their version: all that came since version 1 are tables.

    Parameters
    ----------
    numbered
        What the database calls a key that counts up by itself.
    name
        The database's, for messages.

    Raises
    ------
    WorkspaceError
        A newer version has made it.
    """
    script = re.sub("(?m)^--.*", "", _TABLES).format(id="VARCHAR(64) NOT NULL", numbered=numbered)
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)
    rows = connection.rows("SELECT schema FROM meta")
    found = rows[0][0] if rows else None
    if check_schema(found, name):
        say = "INSERT INTO meta (schema) VALUES (:now)" if found is None else "UPDATE meta SET schema = :now"
        connection.execute(say, now=SCHEMA)
