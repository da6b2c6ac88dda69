"""The kinds of projects to start from."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["StarterKind"]


class StarterKind(StrEnum):
    """A kind of project: an agent, a tile package, or rewrite tests."""

    AGENT = "agent"
    TILE = "tile"
    TEST = "test"
