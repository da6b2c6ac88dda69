"""The kinds of media that a connection between two tiles can carry."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["NOTHING", "REFS", "VIDEO", "Kind"]


class Kind(StrEnum):
    """A kind of media on an edge."""

    VIDEO = "video"
    AUDIO = "audio"
    IMAGE = "image"
    PROJECT = "project"


VIDEO = frozenset({Kind.VIDEO})
NOTHING: frozenset[Kind] = frozenset()
REFS = frozenset({Kind.VIDEO, Kind.AUDIO, Kind.IMAGE})
