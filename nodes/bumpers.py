"""Intro and Outro: a short video before or after each video."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tessera import node
from tessera.node import NodeId
from tessera.nodes._fields import MosaicOrCustom, require_with_custom

__all__ = ["Intro", "Outro"]


class Intro(node.NodeType):
    type_id = "ef3f8d59-26be-4ea0-b655-9a08b10577cc"
    name = "Intro"
    category = "style"
    summary = "Puts a short video before each video."

    class Params(node.Params):
        use_custom_intro: MosaicOrCustom = Field("mosaic", description="Stock intro or an uploaded one")
        custom_intro_video_id: NodeId | None = Field(
            None, description="Uploaded video to use; needed when use_custom_intro is custom"
        )

        @model_validator(mode="after")
        def _custom_needs_video(self) -> Self:
            require_with_custom(self, "use_custom_intro", "custom_intro_video_id")
            return self


class Outro(node.NodeType):
    type_id = "cf517f33-3f78-4d55-88c2-a7d8478f8ef9"
    name = "Outro"
    category = "style"
    summary = "Puts a short video after each video."

    class Params(node.Params):
        use_custom_outro: MosaicOrCustom = Field("mosaic", description="Stock outro or an uploaded one")
        custom_outro_video_id: NodeId | None = Field(
            None, description="Uploaded video to use; needed when use_custom_outro is custom"
        )

        @model_validator(mode="after")
        def _custom_needs_video(self) -> Self:
            require_with_custom(self, "use_custom_outro", "custom_outro_video_id")
            return self
