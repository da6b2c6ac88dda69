"""The scheduler: tiles in topological order, their renders, and the events about both.

In reading order:

`run_spec`: all that is decided about a run before its first tile starts.
`run_state`: the statuses, items and times of the tiles, shared by the modules below.
`ready_queue`: the tiles whose predecessors are done.
`in_flight`: the jobs that have not ended, with their time limits.
`outputs`: which tile delivers which item, and the renders of each tile.
`cached_tiles`: the scheduler's use of the tile cache.
`coordinator`: the loop that handles the messages of workers and submits jobs.
"""
