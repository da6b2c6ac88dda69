"""`tessera settings`: what a workspace is connected to."""

from __future__ import annotations

from typing import Annotated

import typer

from tessera.cli.options import AllowPrivate, Json, Workspace

__all__ = ["settings"]

settings = typer.Typer(help="Set up what a workspace is connected to.", rich_markup_mode=None)


@settings.callback()
def of_workspace() -> None:
    """Set up what a workspace is connected to."""


@settings.command()
def mimir(
    url: Annotated[str, typer.Option("--url", metavar="URL", help="The address of the archive.")],
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="Its API key; `-` reads it from stdin.")],
    allow_private: AllowPrivate = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Connect a Mimir archive, for `mimir_assets`. The connection is verified before it is saved."""
    from tessera.cli.commands import runs as stored

    return stored.connect_mimir(url, key, workspace, allow_private=allow_private, as_json=as_json)
