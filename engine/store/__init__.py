"""The store of a workspace: its runs, their events, items and documents, and its upkeep.

Read the modules in this order:

- `locks`: the named locks of a workspace.
- `item_codec`: writes the items of a run as rows and reads them back.
- `run_store`: the runs of a workspace and the event log of each run.
- `row_check`: finds the rows that cannot be read.
- `orphans`: data to which nothing refers, which both of the following need.
- `store_check`: `store check`, which finds missing, corrupt and orphaned data.
- `prune`: `store prune`, which removes old runs and unused files.
"""
