"""Rough Cut: an edit of the footage that follows a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import Made
from tessera.nodes._fields import ModelTier
from tessera.nodes._placeholder_media import join_videos

__all__ = ["RoughCut"]


class RoughCut(node.NodeType):
    type_id = "e6098dd4-4a6e-470f-981e-2618c11eee21"
    name = "Rough Cut"
    category = "edit"
    summary = "Cuts the footage into one edit that follows the prompt."

    class Params(node.Params):
        # The hosted tile requires a prompt, but the contract allows an empty one with a warning.
        prompt: str = Field("", description="Content to keep, and its order")
        model_tier: ModelTier = Field("fast", description="Quick or thorough model")
        combine_input_renders: bool = Field(
            False, description="Cut all incoming videos into one edit instead of one edit per video"
        )

    def described(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        yield from (
            join_videos(inputs) if params.combine_input_renders else super().described(ctx, inputs, params)
        )
