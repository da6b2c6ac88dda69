"""Nearest names, for messages that say what was probably meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

__all__ = ["listed", "nearest", "suggestion"]

LONGEST = 100
"""The longest name that is compared: the time that a comparison takes grows with the square."""


def nearest(wanted: str, known: Iterable[str], limit: int = 3, least: int = 55) -> list[str]:
    """The `known` names most like `wanted` (at least `least` of 100 alike), best first."""
    from rapidfuzz import fuzz, process, utils

    if len(wanted) > LONGEST:
        return []
    found = process.extract(
        wanted,
        sorted(known),
        scorer=fuzz.WRatio,
        processor=utils.default_process,
        limit=limit,
        score_cutoff=least,
    )
    return [name for name, _score, _index in found]


def suggestion(wanted: str, known: Iterable[str], least: int = 55) -> str:
    """`"; did you mean 'a' or 'b'?"`, or `""` where nothing is near."""
    names = nearest(wanted, known, limit=2, least=least)
    return f"; did you mean {' or '.join(repr(name) for name in names)}?" if names else ""


def listed(names: Collection[str], limit: int = 8) -> str:
    """Names with commas between them; of more than `limit`, the first ones and how many there are besides."""
    shown = ", ".join(islice(names, limit))
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"
