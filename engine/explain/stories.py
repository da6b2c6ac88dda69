"""Explanations as data: of a tile, a connection, a parameter's value."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from tessera.agent import Origin
from tessera.errors import Document
from tessera.notice import Notice

__all__ = [
    "Cause",
    "EdgeState",
    "EdgeStory",
    "Layer",
    "Link",
    "ParameterStory",
    "TileRef",
    "TileState",
    "TileStory",
    "members",
    "plain",
]


@dataclass(frozen=True, slots=True)
class TileRef:
    """A tile by its id and name."""

    id: str
    name: str

    def to_dict(self) -> dict[str, Any]:
        return {"agent_node_id": self.id, "node_type_name": self.name}


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason in words, and its location: a JSON pointer into `document`, or None if it has no location.

    `option` is the option of the command line that is the reason, instead of a document.
    """

    message: str
    loc: str = ""
    document: Document | None = None
    option: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A connection seen from one end: the tile at the other end, and the removed tiles that it skips."""

    tile: TileRef
    via: tuple[TileRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """A value of a parameter, with its origin and its location there.

    Attributes
    ----------
    loc, document
        The document that holds the value, and a JSON pointer to it; None for a default or an option.
    option
        The option of the command line that gave the value, as typed.
    in_force
        True if the value counts: no later layer replaces it.
    """

    origin: Origin
    value: Any
    loc: str = ""
    document: Document | None = None
    option: str = ""
    in_force: bool = False


@dataclass(frozen=True, slots=True)
class ParameterStory:
    """The origin of a parameter's value.

    Attributes
    ----------
    layers
        Every value of the parameter, in the order of precedence; the last one is in force.
    runs
        True if the tile runs. Otherwise the value has no effect.
    known
        True if the tile's type has such a parameter. Otherwise the value is kept but has no effect.
    """

    tile: TileRef
    parameter: str
    layers: tuple[Layer, ...]
    runs: bool = True
    known: bool = True

    @property
    def value(self) -> Any:
        return self.layers[-1].value if self.layers else None

    @property
    def origin(self) -> Origin | None:
        return self.layers[-1].origin if self.layers else None

    def to_dict(self) -> dict[str, Any]:
        return {"value": self.value, "origin": self.origin, **members(self)}


TileState = Literal["runs", "ignored", "skipped"]


@dataclass(frozen=True, slots=True)
class TileStory:
    """The reason why a tile is in a run's graph or not in it.

    Attributes
    ----------
    reason, causes
        The tile's state in a sentence, and the causes of that state.
    reached_from, path
        The sources that lead to the tile, and the shortest path from one of them, ending at the tile.
    instead
        For an ignored tile: the connections that skip it.
    inputs
        For a Video Input: the inputs bound to it.
    """

    tile: TileRef
    category: str
    loc: str
    state: TileState
    reason: str
    causes: tuple[Cause, ...]
    reached_from: tuple[TileRef, ...]
    path: tuple[Link, ...]
    fed_by: tuple[Link, ...]
    feeds: tuple[Link, ...]
    instead: tuple[tuple[TileRef, Link], ...]
    inputs: tuple[Cause, ...]
    parameters: tuple[ParameterStory, ...]
    notices: tuple[Notice, ...]

    def to_dict(self) -> dict[str, Any]:
        return members(self)


EdgeState = Literal["template", "rewired", "absent"]


@dataclass(frozen=True, slots=True)
class EdgeStory:
    """The reason why one tile feeds another in a run, or does not feed it.

    Attributes
    ----------
    path
        For a rewired connection: the connections of the template that it replaces.
    fed_by, feeds
        For an absent connection: the tiles that feed the target, and the tiles that the source feeds.
    """

    source: TileRef
    target: TileRef
    state: EdgeState
    reason: str
    causes: tuple[Cause, ...]
    via: tuple[TileRef, ...] = ()
    path: tuple[Cause, ...] = ()
    feeds: tuple[Link, ...] = ()
    fed_by: tuple[Link, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return members(self)


def plain(value: Any) -> Any:
    """Return a value of an explanation as JSON data."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return members(value)
    if isinstance(value, tuple | list):
        return [plain(element) for element in value]
    return value


def members(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON data."""
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
