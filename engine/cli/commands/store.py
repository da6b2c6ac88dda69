"""`tessera store` and `tessera settings`: check, prune and connect a workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import AllowPrivate, Json, Workspace

__all__ = ["settings", "store"]

store = typer.Typer(help="Check a workspace or free disk space.", rich_markup_mode=None)

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@store.callback()
def store_commands() -> None:
    """Check a workspace or free disk space."""


@store.command()
def check(workspace: Workspace = None, as_json: Json = False) -> int:
    """Check all files and records in the workspace.

    Exits with 1 if there are problems.
    """
    from tessera.cli.display.output import FAILED, OK, put, put_json
    from tessera.cli.request_args import workspace_folder
    from tessera.store.store_check import check as check_store
    from tessera.text.wording import count

    found = check_store(_existing(workspace_folder(workspace)))
    if as_json:
        put_json(found.to_dict())
    else:
        for one in found.problems:
            put(f"{one.what:8} {one.where}: {one.message}")
        state = "clean" if not found.problems else count(len(found.problems), "problem")
        held = f"{count(found.assets, 'asset')}, {count(found.runs, 'run')}, {shown_size(found.size)}"
        put(f"{state}: {held}")
    return FAILED if found.problems else OK


@store.command()
def prune(
    keep: Annotated[
        str, typer.Option("--keep", metavar="SIZE", help="Size to shrink the workspace to, e.g. 10GB.")
    ],
    keep_runs: Annotated[
        int | None,
        typer.Option(
            "--keep-runs", metavar="N", min=0, help="Also remove all but the newest N finished runs."
        ),
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed, without removing it.")
    ] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Remove files that no kept run needs, until the workspace is small enough."""
    from tessera.cli.display.output import FAILED, OK, put, put_json, warn
    from tessera.cli.request_args import workspace_folder
    from tessera.store.prune import prune as prune_store
    from tessera.text.wording import count

    most = size_of(keep)
    done = prune_store(_existing(workspace_folder(workspace)), most, keep_runs=keep_runs, dry=dry)
    code = FAILED if done.failures else OK
    if as_json:
        put_json(done.to_dict())
        return code
    for failure in done.failures:
        warn(failure)
    did = "would remove" if dry else "removed"
    drawn = f", {count(len(done.drawn), 'drawn picture')}" if done.drawn else ""
    left = f", {count(len(done.orphans), 'leftover')}" if done.orphans else ""
    what = f"{count(len(done.runs), 'run')}{left}{drawn} and {count(len(done.assets), 'asset')}"
    put(f"{did} {what}: {shown_size(done.before)} → {shown_size(done.after)}")
    if done.after > most:
        more = "" if keep_runs is not None else "; --keep-runs N removes finished runs"
        put(f"still more than {shown_size(most)}: kept runs need the rest, or it is in use{more}")
    return code


settings = typer.Typer(help="Connect the workspace to other services.", rich_markup_mode=None)


@settings.callback()
def settings_commands() -> None:
    """Connect the workspace to other services."""


@settings.command()
def mimir(
    url: Annotated[str, typer.Option("--url", metavar="URL", help="URL of the archive.")],
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="API key, or `-` to read it from stdin.")],
    allow_private: AllowPrivate = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Connect a Mimir archive, for `mimir_assets` in requests.

    Verifies the connection before saving it.
    """
    from tessera.cli.commands.runs import connect_mimir

    return connect_mimir(url, key, workspace, allow_private=allow_private, as_json=as_json)


def _existing(home: Path) -> Path:
    from tessera.cli.display.output import refuse

    if not home.is_dir():
        raise refuse(f"no workspace at {home}")
    return home


def size_of(text: str) -> int:
    """Return the bytes of a size such as `500MB` or `1.5 GB` (powers of ten).

    Raises
    ------
    RequestError
        If the text is not a size.
    """
    from tessera.cli.display.output import refuse
    from tessera.text.checked import exact_number

    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if found is None:
        raise refuse(f"--keep {text!r} is not a size: use a number and B, KB, MB, GB or TB, e.g. 10GB")
    try:
        return int(exact_number(found[1]) * _UNITS[found[2].upper()])
    except ValueError as error:
        raise refuse(f"--keep: {error}") from None


def shown_size(size: int) -> str:
    """Format a number of bytes.

    >>> shown_size(999), shown_size(12_345_678)
    ('999 B', '12.3 MB')
    """
    for unit in ("T", "G", "M", "K"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f} {unit}B"
    return f"{size} B"
