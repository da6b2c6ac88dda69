"""`tessera resume`: a run goes on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import (
    AllowPrivate,
    Executor,
    Json,
    RunName,
    Scheduler,
    Stubs,
    TileTimeout,
    Workspace,
)

__all__ = ["resume"]


def resume(
    wanted: RunName,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where outputs are put; else where the run put them."),
    ] = None,
    stubs: Stubs = None,
    tile_timeout: TileTimeout = None,
    executor: Executor = None,
    scheduler: Scheduler = None,
    allow_private: AllowPrivate = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Go on with a run that failed, was cancelled or was cut short. What is done is not done again."""
    from tessera.cli.commands.runs import found_run
    from tessera.cli.display.progress import watcher
    from tessera.cli.executor_args import ExecutorOptions
    from tessera.cli.interrupt import cancel_on_interrupt
    from tessera.cli.request_args import fetch_rules, home_of
    from tessera.cli.simulate_args import recorded, stubs_of

    crew = ExecutorOptions(executor, scheduler)
    with watcher(quiet=as_json) as watch, cancel_on_interrupt(watch.say) as cancelled, crew as working:
        from tessera import resume as resume_run

        store, run_id = found_run(wanted, workspace)
        for begun in islice(store.events(run_id), 1):  # tells who looks on what the tiles are called
            watch(begun)
        record = resume_run(
            run_id,
            stubs=stubs_of(tuple(stubs or ())),
            workspace=home_of(workspace),
            out=out,
            on_event=watch,
            cancelled=cancelled,
            executor=working,
            tile_timeout_s=tile_timeout,
            fetch_rules=fetch_rules(allow_private),
        )
    return recorded(record, as_json=as_json)
