"""`tessera new`: a small working agent, tile package or test file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import Json
from tessera.starters.starter_kind import StarterKind

__all__ = ["new"]

Kind = Annotated[
    StarterKind,
    typer.Argument(
        metavar="KIND",
        help="`agent`: an agent with a request and facts; `tile`: a package with one tile and its tests; "
        "`test`: tests of an agent's rewrites.",
        show_default=False,
    ),
]
Folder = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        help="Folder, created if it is missing. A tile is named after it. "
        "[default: my-agent, my-tile or tests]",
    ),
]


def new(kind: Kind, folder: Folder = None, as_json: Json = False) -> int:
    """Write a small working agent, tile package or test file to start from.

    Existing files are never overwritten.
    """
    from tessera.cli.display.output import OK, put, put_json
    from tessera.starters.start import start

    started = start(kind, folder)
    move = (started.change_folder,) if started.change_folder else ()
    if as_json:
        put_json(
            {
                "kind": kind.value,
                "folder": str(started.folder),
                "files": [str(path) for path in started.files],
                "next": [*move, *(command for step in started.steps for command in step.commands)],
            }
        )
        return OK
    for path in started.files:
        put(f"wrote {path}")
    for number, step in enumerate(started.steps):
        put(f"\n{step.heading}")
        for command in (*(move if number == 0 else ()), *step.commands):
            put(f"  {command}")
    return OK
