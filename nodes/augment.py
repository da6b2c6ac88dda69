"""AI Augment: a tile that occurs in exported agents but not in the documentation of the hosted product."""

from __future__ import annotations

from tessera.node import NodeType, ours_id

__all__ = ["Augment"]


class Augment(NodeType):
    name = "AI Augment"
    type_id = ours_id(name)
    category = "generate"
    summary = "Adds generated material to the video."
    source = "ours"
