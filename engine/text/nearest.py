"""Known names that resemble a wrong one, for the suggestions in error messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

__all__ = ["comma_list", "nearest", "suggestion"]

MAX_LENGTH = 100
"""The longest name that is compared, in characters: the time grows with the square of the length."""


def nearest(wanted: str, known: Iterable[str], limit: int = 3, least: int = 55) -> list[str]:
    """Return the `known` names most similar to `wanted`, best first.

    Parameters
    ----------
    limit
        The maximum number of names.
    least
        The minimum similarity, from 0 to 100 (rapidfuzz's `WRatio`).
    """
    from rapidfuzz import fuzz, process, utils

    if len(wanted) > MAX_LENGTH:
        return []
    found = process.extract(
        wanted,
        sorted(set(known)),
        scorer=fuzz.WRatio,
        processor=utils.default_process,
        limit=limit,
        score_cutoff=least,
    )
    return [name for name, _score, _index in found]


def suggestion(wanted: str, known: Iterable[str], least: int = 55) -> str:
    """Return `"; did you mean 'a' or 'b'?"`, or `""` if no known name is similar."""
    names = nearest(wanted, known, limit=2, least=least)
    return f"; did you mean {' or '.join(repr(name) for name in names)}?" if names else ""


def comma_list(names: Collection[str], limit: int = 8) -> str:
    """Return names separated by commas: the first `limit` of them, and the number of the others."""
    shown = ", ".join(islice(names, limit))
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"
