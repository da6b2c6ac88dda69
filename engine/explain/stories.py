"""What an explanation says, as data: of a tile, a connection, a parameter's value."""

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
    """A reason in words, and where it stands: a JSON pointer into `document` (None: nowhere)."""

    message: str
    loc: str = ""
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A connection seen from one of its ends: the tile at the other, and the removed tiles it leads past."""

    tile: TileRef
    via: tuple[TileRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """A value that was given to a parameter: by whom, and where."""

    origin: Origin
    value: Any
    loc: str = ""
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class ParameterStory:
    """Where the value of a parameter came from.

    Attributes
    ----------
    layers
        Every value that was given to it, the one in force last.
    runs
        Whether the tile runs: else the value has no effect.
    known
        Whether the tile's type has such a parameter: else it was kept, and has no effect.
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
    """Why a tile is in a run's graph or not in it.

    Attributes
    ----------
    reason, causes
        What became of it in a sentence, and what that follows from.
    reached_from, path
        The sources that lead to it, and the shortest way from one of them, itself at the end.
    instead
        Of an ignored tile: the connections that lead past it now.
    inputs
        Of a Video Input: what it is given.
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
    """Why one tile feeds another in a run, or does not.

    Attributes
    ----------
    path
        Of a rewired connection: every connection of the template that it stands for.
    fed_by, feeds
        Where there is no such connection: what feeds the target, and what the source feeds.
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
    """Data of explanations as JSON values."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return members(value)
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value


def members(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON values."""
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
