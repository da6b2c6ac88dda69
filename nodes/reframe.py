"""Reframe: another aspect ratio, with the subject kept in view."""

from __future__ import annotations

from typing import Literal

from engine import node
from engine.node import ours

__all__ = ["Reframe"]


class Reframe(node.NodeType):
    type_id = "0e3a90e4-173f-42fc-b7ef-0df6a062e26c"
    name = "Reframe"
    category = "edit"
    summary = "Crops the picture to another aspect ratio and keeps the subject in view."

    class Params(node.Params):
        aspect_ratio: Literal["9:16", "1:1", "16:9", "4:5"] = ours("9:16", description="Width to height")
        dynamic_zoom: bool = ours(False, description="Move in and out with the subject")
