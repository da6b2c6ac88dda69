"""The workspace database: one interface with an SQLite and a PostgreSQL implementation.

Read the modules in this order:

- `interface`: the protocols of a database, its connections and its advisory locks.
- `schema`: the tables, and the schema version that this code reads and writes.
- `statements`: SQL fragments shared by several statements, and the decoding of rows.
- `sqlite`: the implementation for one SQLite file.
- `postgresql`: the implementation for a PostgreSQL server.
- `location`: finds and opens the database of a workspace.
- `inspection`: looks at a database without creating or changing it.
"""
