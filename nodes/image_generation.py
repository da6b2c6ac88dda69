"""Image Generation: an image from a prompt and references."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from engine import node
from engine.node import REFS, Kind
from nodes._fields import require_with_custom

__all__ = ["ImageGeneration"]

Side = Annotated[int, Field(ge=256, le=3840, multiple_of=16)]


class ImageGeneration(node.NodeType):
    type_id = "18b998a0-2ea7-4676-a5d3-3ae6c8ac0b72"
    name = "Image Generation"
    category = "generate"
    summary = "Generates an image from a prompt and whatever is connected into it."
    accepts = REFS
    optional_input = True
    produces = Kind.IMAGE

    class Params(node.Params):
        prompt: str = Field("", description="What the image should show")
        model: str = Field("auto", description="Image model; auto lets the provider choose")
        image_size: Literal[
            "square_hd",
            "square",
            "portrait_4_3",
            "portrait_16_9",
            "landscape_4_3",
            "landscape_16_9",
            "auto",
            "custom",
        ] = Field("landscape_4_3", description="Shape of the image")
        custom_width: Side | None = Field(
            None, description="Width in px, a multiple of 16; needed when image_size is custom"
        )
        custom_height: Side | None = Field(
            None, description="Height in px, a multiple of 16; needed when image_size is custom"
        )
        quality: Literal["low", "medium", "high"] = Field("high", description="Effort spent on the image")
        output_format: Literal["jpeg", "png", "webp"] = Field("png", description="File format")
        selected_context: Any = Field(None, description="What upstream media the prompt refers to, any JSON")

        @model_validator(mode="after")
        def _custom_needs_sides(self) -> Self:
            require_with_custom(self, "image_size", "custom_width", "custom_height")
            return self
