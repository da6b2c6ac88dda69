"""`tessera bundle` and `tessera replay`: a run in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import Json, Originals, RunName, Workspace

__all__ = ["add_bundles"]


def add_bundles(app: typer.Typer) -> None:
    """Register the commands on an app."""
    app.command()(bundle)
    app.command()(replay)


def bundle(
    run_name: RunName,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Bundle file to write.")] = Path(
        "run.zip"
    ),
    media: Annotated[
        bool, typer.Option("--media", help="Include small drafts of the inputs and outputs.")
    ] = False,
    originals: Originals = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Pack a run into one file that can be simulated anywhere.

    The bundle contains no secrets, and no media except with --media or --originals.
    """
    from tessera.cli import simulate_args

    return simulate_args.bundle(run_name, workspace, out, media=media, originals=originals, as_json=as_json)


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Bundle file.")], as_json: Json = False
) -> int:
    """Simulate the run in a bundle, without other data.

    To run it on real media, use `tessera run --replay`.
    """
    from tessera.cli import simulate_args

    return simulate_args.replay(file, as_json=as_json)
