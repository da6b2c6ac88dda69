"""Run and simulate plans: schedule tiles, reuse earlier work, inject faults, render outputs.

The folder is called `runner` because `tessera.run` is the function that runs an agent.

In reading order:

`entry`: `run` and `simulate`, and the checks that precede both.
`resume`: `resume`, which continues an interrupted run.
`partial`: parts of a plan (until, from or only one tile) with items of an earlier run.
`asset_checks`: the check that parameters name existing assets of the right kind.
`execution`: one run with its inputs, workers and cancellation.
`coordinator`: the scheduler; it is the only writer of events.
`ready_queue`: the tiles whose predecessors are done.
`in_flight`: jobs in progress, their time limits, and the state that a resume starts from.
`sweep`: one agent simulated with many requests on all cores.
`answers`: answers to the questions of tiles: stubs, facts, analyses, recordings, injected faults.
`cache_key`: the cache key of a tile's work, and the reason why a tile runs again.
`tile_cache`: cached tile work, and the claims that keep two runs from doing the same work.
`render_cache`: cached renders.
`workers`: the threads or processes that do the jobs.
"""
