"""Nearest names, for messages that say what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["nearest", "suggestion"]


def nearest(wanted: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The `known` names most like `wanted` (at least 55 of 100 alike), best first."""
    from rapidfuzz import fuzz, process, utils

    found = process.extract(
        wanted, sorted(known), scorer=fuzz.WRatio, processor=utils.default_process, limit=limit, score_cutoff=55
    )
    return [name for name, _score, _index in found]


def suggestion(wanted: str, known: Iterable[str]) -> str:
    """`"; did you mean 'a' or 'b'?"`, or `""` where nothing is near."""
    names = nearest(wanted, known, limit=2)
    return f"; did you mean {' or '.join(repr(name) for name in names)}?" if names else ""
