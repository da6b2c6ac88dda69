"""AI Content Generation: retired by the hosted product, still in old agents."""

from __future__ import annotations

from pydantic import Field

from engine import node
from engine.node import NOTHING

__all__ = ["ContentGeneration"]


class ContentGeneration(node.NodeType):
    type_id = "d898f2b1-3151-4231-a4d4-dd4d5a020b05"
    name = "AI Content Generation"
    category = "generate"
    summary = "Generates a video from a prompt (retired; Video Generation took its place)."
    accepts = NOTHING

    class Params(node.Params):
        prompt: str = Field("", description="What the video should show")
