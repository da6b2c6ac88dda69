"""Destination: the output of the finished videos of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import Made, ours, ours_id

__all__ = ["Destination"]


class Destination(node.NodeType):
    name = "Destination"
    type_id = ours_id(name)
    category = "output"
    summary = "Delivers the finished videos."
    source = "ours"
    produces = None

    class Params(node.Params):
        mode: Literal["review", "publish", "export"] = ours(
            "review", description="Use of the finished videos"
        )

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        """Make no items: the run delivers the items that reach an output tile."""
        return ()
