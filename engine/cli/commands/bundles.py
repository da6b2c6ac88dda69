"""`tessera bundle` and `replay`: a run in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import Json, Originals, RunName, Workspace

__all__ = ["add_bundles"]


def add_bundles(app: typer.Typer) -> None:
    """Add the commands to an app."""
    app.command()(bundle)
    app.command()(replay)


def bundle(
    wanted: RunName,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The bundle.")] = Path("run.zip"),
    media: Annotated[
        bool, typer.Option("--media", help="Pack small drafts of the inputs and outputs as well.")
    ] = False,
    originals: Originals = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Pack a run into one file that simulates anywhere, without secrets, and without media but drafts."""
    from tessera.cli import simulate_args as stands

    return stands.bundle(wanted, workspace, out, media=media, originals=originals, as_json=as_json)


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle.")], as_json: Json = False
) -> int:
    """Simulate the run of a bundle, from what it holds alone; `tessera run --replay` runs it."""
    from tessera.cli import simulate_args as stands

    return stands.replay(file, as_json=as_json)
