"""`tessera run`, `resume` and `cancel`: what they take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import (
    AllowPrivate,
    Clip,
    Given,
    Ignore,
    Inputs,
    Json,
    OptionalAgent,
    Quality,
    RecordTo,
    ReplayOf,
    Request,
    RunName,
    Set,
    Stubs,
    TileTimeout,
    Workspace,
)

__all__ = ["cancel", "resume", "run"]


def run(
    agent: OptionalAgent = None,
    request: Request = None,
    inputs: Inputs = None,
    clip: Clip = None,
    overrides: Set = None,
    ignored: Ignore = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="A folder for one file per output, and a .jpg thumbnail each."
        ),
    ] = None,
    plan_file: Annotated[
        str | None,
        typer.Option(
            "--plan", metavar="PLAN.JSON", help="Run exactly this plan, as `tessera plan --json` wrote it."
        ),
    ] = None,
    stubs: Stubs = None,
    facts_out: Annotated[
        Path | None,
        typer.Option("--facts-out", metavar="FILE", help="Write what the run learned, for simulate --facts."),
    ] = None,
    quality: Annotated[
        Quality | None,
        typer.Option("--quality", help="A small, fast preview; near-transparent (standard); or for editing."),
    ] = None,
    tile_timeout: TileTimeout = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Do again what is kept of runs before.")
    ] = False,
    record: RecordTo = None,
    replay: ReplayOf = None,
    allow_private: AllowPrivate = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Run an agent on real media."""
    from engine.cli import commands
    from engine.cli.output import refuse

    given = None
    if plan_file is None and agent is None and replay is None:
        raise refuse("give an AGENT, or --plan, or --replay")
    if plan_file is not None and (agent is not None or inputs or clip or overrides or ignored):
        raise refuse(
            "--plan holds its agent and request: give neither, and no --input, --clip, --set or --ignore"
        )
    if plan_file is None:
        given = Given.of(agent or "", request, inputs, clip, overrides, ignored, workspace)
    options = commands.RunOptions(
        out,
        tuple(stubs or ()),
        facts_out,
        allow_private,
        quality,
        not no_cache,
        tile_timeout,
        record,
        replay,
    )
    return commands.run(given, plan_file, workspace, options, as_json=as_json)


def resume(
    wanted: RunName,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where outputs are put; else where the run put them."),
    ] = None,
    stubs: Stubs = None,
    tile_timeout: TileTimeout = None,
    allow_private: AllowPrivate = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Go on with a run that failed, was cancelled or was cut short. What is done is not done again."""
    from engine.cli import commands

    options = commands.RunOptions(out, tuple(stubs or ()), None, allow_private, tile_timeout_s=tile_timeout)
    return commands.resume(wanted, workspace, options, as_json=as_json)


def cancel(wanted: RunName, workspace: Workspace = None, as_json: Json = False) -> int:
    """End a run that another process runs."""
    from engine.cli import workspace as stored

    return stored.cancel(wanted, workspace, as_json=as_json)
