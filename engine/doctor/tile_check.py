"""The tiles: those that come with Tessera, and those of plug-ins."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

from tessera.doctor.finding import Finding
from tessera.errors import PlugInError
from tessera.node import Catalogue, check_type
from tessera.plug_ins import PlugInWarning, failure_of, load_tiles, tile_entries

__all__ = ["check_catalogue", "plug_in_checks"]

Check = Callable[[], Iterator[Finding]]


def plug_in_checks() -> list[tuple[str, Check]]:
    """Return a check for each entry point with tiles that does not come with Tessera, by its subject."""
    return [
        (f"plug-in {entry.name}", lambda entry=entry: _check_plug_in(entry))  # type: ignore[misc]
        for entry, ours in tile_entries()
        if not ours
    ]


def _check_plug_in(entry: EntryPoint) -> Iterator[Finding]:
    subject, source = f"plug-in {entry.name}", _source(entry)
    reason = ""
    try:
        tiles = load_tiles(entry)
        for tile in tiles:
            check_type(tile)
    # A plug-in is foreign code: it may even try to end the process.
    except BaseException as error:
        reason = failure_of(entry, error).reason
    else:
        # Two plug-ins that load alone can still conflict.
        left_out = {(one.entry, one.value): one.reason for one in _installed().failures}
        reason = left_out.get((entry.name, entry.value), "")
    if reason:
        yield Finding(subject, "problem", f"{source} cannot be loaded: {reason}", _repair(entry))
        return
    yield Finding(subject, "ok", f"{', '.join(tile.name for tile in tiles) or 'no tiles'}, from {source}")


def _source(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def _repair(entry: EntryPoint) -> str:
    remove = f"pip uninstall {entry.dist.name}" if entry.dist is not None else "uninstall it"
    return f"repair it, or {remove}: until then its tiles are missing"


def _installed() -> Catalogue:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlugInWarning)  # each plug-in has a line of its own
        return Catalogue.installed()


def check_catalogue() -> Iterator[Finding]:
    """Yield the number of tiles that can be used."""
    try:
        kinds = list(_installed())
    except PlugInError as error:
        yield Finding("tiles", "problem", str(error), "reinstall tessera-runtime")
        return
    render = sum(kind.executable() for kind in kinds)
    yield Finding("tiles", "ok", f"{len(kinds)} types, {render} of them render")
