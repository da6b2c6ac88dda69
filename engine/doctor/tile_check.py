"""The tiles: those that come with Tessera, and those of plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points

from tessera.doctor.finding import Finding
from tessera.errors import PlugInError
from tessera.node import ENTRY_POINTS, Catalogue, check_type

__all__ = ["check_catalogue", "plug_in_checks"]

Check = Callable[[], Iterator[Finding]]


def plug_in_checks() -> list[tuple[str, Check]]:
    """Return a check for each entry point with tiles that does not come with Tessera, by its subject."""
    entries = [one for one in entry_points(group=ENTRY_POINTS) if one.name != "tessera"]
    return [
        (f"plug-in {entry.name}", lambda entry=entry: _check_plug_in(entry))  # type: ignore[misc]
        for entry in sorted(entries, key=lambda entry: entry.name)
    ]


def _check_plug_in(entry: EntryPoint) -> Iterator[Finding]:
    subject, source = f"plug-in {entry.name}", _source(entry)
    try:
        tiles = list(entry.load())
        for tile in tiles:
            check_type(tile)
    # A plug-in is foreign code: it may even try to end the process.
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0]
        yield Finding(subject, "problem", f"{source} cannot be loaded: {reason}", _repair(entry))
        return
    yield Finding(subject, "ok", f"{', '.join(tile.name for tile in tiles) or 'no tiles'}, from {source}")


def _source(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def _repair(entry: EntryPoint) -> str:
    remove = f"pip uninstall {entry.dist.name}" if entry.dist is not None else "uninstall it"
    return f"repair it, or {remove}: until then no agent can be read"


def check_catalogue() -> Iterator[Finding]:
    """Yield the number of tiles. Two plug-ins that load alone can still conflict."""
    try:
        kinds = list(Catalogue.installed())
    except (PlugInError, SystemExit) as error:
        cause = error.__cause__ or error
        reason = f"{type(cause).__name__}: {cause}".splitlines()[0]
        found = f"the catalogue cannot be built: {reason}"
        yield Finding("tiles", "problem", found, "see the plug-ins below")
        return
    render = sum(kind.executable() for kind in kinds)
    yield Finding("tiles", "ok", f"{len(kinds)} types, {render} of them render")
