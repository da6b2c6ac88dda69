"""`tessera store`: whether what a workspace holds is whole, and how to make it smaller."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import Json, Workspace

__all__ = ["store"]

store = typer.Typer(help="Check a workspace, or make it smaller.", rich_markup_mode=None)

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@store.callback()
def of_workspace() -> None:
    """Check a workspace, or make it smaller."""


@store.command()
def check(workspace: Workspace = None, as_json: Json = False) -> int:
    """Read all that a workspace holds: exit code 0 where it is whole, 1 where something is amiss."""
    from tessera.cli.output import FAILED, OK, put, put_json
    from tessera.cli.request_args import home_of
    from tessera.store.store_check import check as check_store
    from tessera.text.wording import count

    found = check_store(_existing(home_of(workspace)))
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
    keep: Annotated[str, typer.Option("--keep", metavar="SIZE", help="What it may hold, such as 10GB.")],
    keep_runs: Annotated[
        int | None,
        typer.Option(
            "--keep-runs", metavar="N", min=0, help="Remove finished runs but the newest N; else none is."
        ),
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")
    ] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Remove what no kept run needs, until a workspace is small enough."""
    from tessera.cli.output import OK, put, put_json
    from tessera.cli.request_args import home_of
    from tessera.store.prune import prune as prune_store
    from tessera.text.wording import count

    most = size_of(keep)
    done = prune_store(_existing(home_of(workspace)), most, keep_runs=keep_runs, dry=dry)
    if as_json:
        put_json(done.to_dict())
        return OK
    did = "would remove" if dry else "removed"
    drawn = f", {count(len(done.drawn), 'drawn picture')}" if done.drawn else ""
    what = f"{count(len(done.runs), 'run')}{drawn} and {count(len(done.assets), 'asset')}"
    put(f"{did} {what}: {shown_size(done.before)} → {shown_size(done.after)}")
    if done.after > most:
        more = "" if keep_runs is not None else "; --keep-runs N removes finished runs"
        put(f"more than {shown_size(most)}: the rest is needed by runs that are kept, or was just used{more}")
    return OK


def _existing(home: Path) -> Path:
    from tessera.cli.output import refuse

    if not home.is_dir():
        raise refuse(f"there is no workspace {home}")
    return home


def size_of(text: str) -> int:
    """Bytes of a size such as `500MB` or `1.5 GB` (powers of ten).

    Raises
    ------
    Refusal
        It is none.
    """
    from tessera.cli.output import refuse

    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if found is None:
        raise refuse(f"--keep {text!r} is no size: give a number and B, KB, MB, GB or TB, such as 10GB")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def shown_size(size: int) -> str:
    """Bytes for a person.

    >>> shown_size(999), shown_size(12_345_678)
    ('999 B', '12.3 MB')
    """
    for unit in ("T", "G", "M", "K"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f} {unit}B"
    return f"{size} B"
