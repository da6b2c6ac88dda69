"""The record of what a tile made beside what it was asked, with the place that asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tessera.agent import Tile
from tessera.deviation import Deviation
from tessera.errors import pointer
from tessera.request import RunRequest
from tessera.text.wording import short_json

__all__ = ["deviation_record", "deviation_text", "deviation_values", "deviation_warning"]


def deviation_record(deviation: Deviation, tile: Tile, request: RunRequest) -> dict[str, Any]:
    """Return a deviation as JSON values: what was asked and made, why, and a pointer to what asked for it.

    A default is asked for by the tile as a whole.
    """
    name = deviation.parameter
    loc, document = tile.loc, "template"
    if name in tile.overrides:
        keys = request.update_params or ()
        # A request may write the id in another case than the template.
        key = next((key for key in keys if key.lower() == tile.id.lower()), tile.id)
        loc, document = pointer("update_params", key, name), "request"
    elif name in tile.explicit:
        loc = f"{tile.loc}{pointer('params_used', name)}"
    return {
        "parameter": name,
        "asked": tile.values().get(name),
        "made": deviation.made,
        "why": deviation.why,
        "loc": loc,
        "document": document,
    }


def deviation_text(found: Mapping[str, Any]) -> str:
    """Return the sentence of a deviation: `num_clips 2, but 1 made: 15 s hold 1 clip of 10 s`."""
    values = deviation_values(found["parameter"], found["asked"], found["made"])
    return f"{values}: {found['why']}"


def deviation_values(parameter: str, asked: Any, made: str) -> str:
    """Return both values of a deviation: `num_clips 2, but 1 made`."""
    return f"{parameter} {short_json(asked)}, but {made} made"


def deviation_warning(found: Mapping[str, Any], tile: str) -> dict[str, str]:
    """Return a deviation as a warning of the record; `tile` names the tile."""
    return {
        "code": "not_as_asked",
        "message": f"{tile}: {deviation_text(found)}",
        "loc": str(found["loc"]),
        "document": str(found["document"]),
    }
