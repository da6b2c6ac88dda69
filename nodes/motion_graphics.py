"""Motion Graphics: animated illustrations of the speech."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tessera import node
from tessera.nodes._fields import Finite, ModelTier

__all__ = ["MotionGraphics"]


class MotionGraphics(node.NodeType):
    type_id = "19144346-8714-4a02-b19c-32c18bd1ad13"
    name = "Motion Graphics"
    category = "style"
    summary = "Lays animated graphics that illustrate the speech over the video."

    class Params(node.Params):
        prompt: str = Field("", description="Content and look of the graphics")
        model_tier: ModelTier = Field("fast", description="Quick or thorough model")
        style_video_url: str = Field("", description="URL of a video whose style to follow; empty for none")
        frequency_per_minute: Literal["auto"] | Annotated[Finite, Field(gt=0)] = Field(
            "auto", description="Graphics per minute of video, or auto"
        )
        reference_links: str = Field("", description="URLs to draw on, separated by commas")
        only_generate_full_screen_graphics: bool = Field(
            False, description="Make no graphics that cover only part of the picture"
        )
        avoid_prompt: str = Field(
            "", deprecated="say in prompt what to avoid", description="Content to avoid in the graphics"
        )
