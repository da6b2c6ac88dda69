"""AI B-Roll: generated cutaways."""

from __future__ import annotations

from typing import Literal

from tessera import node
from tessera.node import ours

__all__ = ["BRoll"]


class BRoll(node.NodeType):
    type_id = "2160392b-ebe8-4f3d-b81e-fd11bdbbeb77"
    name = "AI B-Roll"
    category = "generate"
    summary = "Generates cutaways that illustrate the speech and lays them over the video."

    class Params(node.Params):
        coverage: Literal["minimal", "moderate", "high", "maximal"] = ours(
            "moderate", description="Share of the video to cover"
        )
        model: str = ours("auto", description="Video model; auto lets the provider choose")
        aspect_ratio: Literal["auto", "9:16", "1:1", "16:9", "4:5"] = ours(
            "auto", description="Width to height of the cutaways; auto uses that of the video"
        )
        generate_audio: bool = ours(False, description="Generate sound for the cutaways too")
        max_generations: int = ours(10, ge=0, le=20, description="Maximum number of cutaways")
        prompt: str = ours("", description="Content and look of the cutaways")
