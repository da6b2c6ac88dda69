"""Video Input: where the videos of a run request enter the graph."""

from __future__ import annotations

from engine.node import NOTHING, NodeType

__all__ = ["VideoInput"]


class VideoInput(NodeType):
    type_id = "9451e6ff-ac7f-4317-9055-a2f35f641b29"
    name = "Video Input"
    category = "input"
    summary = "Brings the videos of the run request into the agent."
    accepts = NOTHING
