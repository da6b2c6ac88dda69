"""Run and simulate plans: schedule tiles, reuse earlier work, inject faults, render outputs.

The folder is called `runner` because `tessera.run` is the function that runs an agent.

In reading order:

`config`: the options of `run`, `resume` and `simulate`, and the decorator that takes them as keywords too.
`entry`: `run` and `simulate`.
`resume`: `resume`, which continues an interrupted run.
`start_checks`: the checks that precede a run.
`output_folder`: the folder of `--out`: one run at a time, and warnings about files of before.
`asset_checks`: the check that parameters name existing assets of the right kind.
`partial`: parts of a plan (until, from or only one tile) with items of an earlier run.
`run_started`: the first event of a run.
`execution`: one run with its inputs, workers and cancellation.
`sweep`: one agent simulated with many requests on all cores.
`scheduling`: the coordinator, the only writer of events, and its parts.
`answers`: answers to the questions of tiles: stubs, facts, analyses, recordings, injected faults.
`cache`: cached tile work and renders.
`workers`: the threads or processes that do the jobs.
"""
