"""Watermark: a logo in a corner."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from engine import node
from engine.node import NodeId
from nodes._fields import MosaicOrCustom, require_with_custom

__all__ = ["Watermark"]


class Watermark(node.NodeType):
    type_id = "6808af58-2d9a-4e3b-aacb-2d9c143b7729"
    name = "Watermark"
    category = "style"
    summary = "Lays a logo over a corner of the picture; replaces an earlier watermark."

    class Params(node.Params):
        use_custom_logo: MosaicOrCustom = Field("mosaic", description="The stock logo or one's own")
        image_id: NodeId | None = Field(
            None, description="Uploaded image to use; needed when use_custom_logo is custom"
        )
        logo_position: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = Field(
            "bottom-right", description="Corner of the frame"
        )
        logo_size: float = Field(30.0, gt=0, le=100, description="Size of the logo in percent of the frame")
        logo_opacity: float = Field(80.0, ge=10, le=100, description="Opacity of the logo in percent")
        logo_margin_x: int = Field(20, ge=0, description="Distance from the side of the frame in px")
        logo_margin_y: int = Field(20, ge=0, description="Distance from the top or bottom of the frame in px")

        @model_validator(mode="after")
        def _custom_needs_image(self) -> Self:
            require_with_custom(self, "use_custom_logo", "image_id")
            return self
