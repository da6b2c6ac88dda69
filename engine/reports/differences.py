"""The differences between two documents in words, for every format."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tessera.text.wording import count, seconds_of, short_json, span_of

if TYPE_CHECKING:
    from tessera.graph.diff import Difference

__all__ = ["has_values", "subject", "value_text"]

_PLACES = {"status": "the run", "input": "the Video Input"}
"""Section → the subject of a difference that concerns no tile."""


def subject(one: Difference, tile: Callable[[str], str], text: Callable[[str], str]) -> str:
    """Return the subject of a difference: its tile or connection, the number of an output, a name.

    Parameters
    ----------
    tile, text
        Functions that format the id of a tile, and any other text.
    """
    words = tile(one.node) if one.node else _PLACES.get(one.section, "")
    if one.target:
        words += f" ─▶ {tile(one.target)}"
    if one.index is not None:
        words += f" {text(f'#{one.index}')}"
    return f"{words} {text(one.name)}".strip() if one.name and one.section != "edge" else words


def has_values(one: Difference) -> bool:
    """Return True if the values of a difference say more than its subject."""
    return one.section not in ("tile", "ignored") or one.change == "changed"


def value_text(one: Difference, value: Any, origin: str | None) -> str:
    """Return a value of a difference and, if known, its origin."""
    if one.section in ("input", "output") and isinstance(value, dict):
        details = ", ".join(_fact(name, each) for name, each in value.items())
    elif one.section == "output" and one.name is not None:
        details = _fact(one.name, value)
    else:
        details = short_json(value, 100)
    return details + (f" ({origin})" if origin else "")


def _fact(name: str, value: Any) -> str:
    """Format a fact of an input or an output."""
    if name.endswith("_ms") and isinstance(value, int | float):
        return (
            seconds_of(value) if name == "duration_ms" else f"{name.removesuffix('_ms')} {seconds_of(value)}"
        )
    if name == "sources" and isinstance(value, list):
        spans = [f"{span_of(each['start_ms'], each['end_ms'])} of {each['source']}" for each in value[:3]]
        return ", ".join(spans) + (f" and {count(len(value) - 3, 'range')} more" if len(value) > 3 else "")
    if name in ("kind", "media_type") or value is None:
        return str(value)
    return f"{name} {value if isinstance(value, str) else short_json(value)}"
