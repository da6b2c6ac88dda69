"""Packages of tiles: their entry points, and the reasons why some of them cannot be used.

A plug-in is foreign code. Whatever it does while it is loaded, only its own tiles are lost: it is left out
with a warning, and an agent that needs one of its tiles says so.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from pathlib import Path
from typing import Any

from tessera.text.wording import one_line

__all__ = [
    "ENTRY_POINTS",
    "PlugInFailure",
    "PlugInWarning",
    "culprit",
    "failure_of",
    "load_tiles",
    "tile_entries",
]

ENTRY_POINTS = "tessera.nodes"
_OURS = "tessera-runtime"

_MOST_TILES = 10_000
"""The most tiles of one entry point: an iterable may be endless."""
_MOST_FILES = 200
_MOST_SOURCE = 1_000_000
"""The most files, and characters of each, in which the name of a missing tile is looked for."""
_LONGEST_REASON = 300


class PlugInWarning(UserWarning):
    """Issued once for each package of tiles that is left out."""


@dataclass(frozen=True, slots=True)
class PlugInFailure:
    """A plug-in that is left out.

    Attributes
    ----------
    entry, value
        The name of its entry point, and the object that this names.
    package
        Its package with the version, or an empty string if it has none.
    reason
        What went wrong, on one line.
    tiles
        The ids and names of its tiles in lower case, if it could be asked for them.
    """

    entry: str
    value: str
    package: str
    reason: str
    tiles: frozenset[str] = frozenset()

    @property
    def source(self) -> str:
        """The plug-in in words."""
        return f"plug-in {self.entry} ({self.value})" + (f" of {self.package}" if self.package else "")

    def __str__(self) -> str:
        return f"{self.source} is left out: {self.reason}; try `tessera doctor`"


def tile_entries() -> list[tuple[EntryPoint, bool]]:
    """Return the entry points with tiles, each with True if it is Tessera's own; that one comes first.

    A package is known by its own name: that of an entry point can be anything.
    """
    found = [
        (entry, entry.dist is not None and entry.dist.name == _OURS)
        for entry in entry_points(group=ENTRY_POINTS)
    ]
    return sorted(found, key=lambda one: (not one[1], one[0].name, one[0].value))


def load_tiles(entry: EntryPoint) -> list[Any]:
    """Return what an entry point gives as tiles, unchecked. What it prints goes to standard error.

    Raises
    ------
    BaseException
        Whatever the plug-in raises.
    """
    with contextlib.redirect_stdout(sys.stderr):
        tiles = list(islice(entry.load(), _MOST_TILES + 1))
    if len(tiles) > _MOST_TILES:
        raise ValueError(f"it has more than {_MOST_TILES:,} tiles")
    return tiles


def failure_of(entry: EntryPoint, error: BaseException, tiles: Iterable[str] = ()) -> PlugInFailure:
    """Return the failure of an entry point that raised an error."""
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else ""
    try:
        reason = one_line(f"{type(error).__name__}: {error}").rstrip(": ")
    except Exception:  # the error is foreign code too
        reason = type(error).__name__
    return PlugInFailure(entry.name, entry.value, package, reason[:_LONGEST_REASON], frozenset(tiles))


def culprit(failures: Sequence[PlugInFailure], wanted: Iterable[str]) -> PlugInFailure | None:
    """Return the plug-in that has a tile with one of these ids or names, or None.

    A plug-in that could not be asked is searched for them, as texts in quotation marks in its source files.
    """
    texts = [text for text in wanted if text]
    lower = {text.lower() for text in texts}
    for failure in failures:
        if lower & failure.tiles:
            return failure
    quoted = [f"{mark}{text}{mark}" for text in {*texts, *lower} for mark in ("'", '"')]
    for failure in failures:
        if not failure.tiles and any(one in source for source in _sources(failure) for one in quoted):
            return failure
    return None


def _sources(failure: PlugInFailure) -> Iterable[str]:
    """Yield the texts of the modules of a plug-in, without importing any of them."""
    top = failure.value.partition(":")[0].partition(".")[0].strip()
    for folder in sys.path:
        place = Path(folder) / top
        files = [place.with_suffix(".py"), *islice(place.rglob("*.py"), _MOST_FILES)] if top else []
        for file in files:
            with contextlib.suppress(OSError, ValueError), file.open(encoding="utf-8") as source:
                yield source.read(_MOST_SOURCE)
