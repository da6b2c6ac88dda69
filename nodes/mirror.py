"""Mirror: the picture flipped."""

from __future__ import annotations

from engine import node
from engine.node import ours

__all__ = ["Mirror"]


class Mirror(node.NodeType):
    type_id = "71156aca-3e21-45b0-8960-099dba07c83a"
    name = "Mirror"
    category = "edit"
    summary = "Flips the picture left to right, upside down or both."

    class Params(node.Params):
        horizontal_flip: bool = ours(True, description="Swap left and right")
        vertical_flip: bool = ours(False, description="Swap top and bottom")
