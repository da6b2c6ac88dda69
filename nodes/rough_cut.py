"""Rough Cut: an edit of the footage after a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import Made
from tessera.nodes._described import joined
from tessera.nodes._fields import ModelTier

__all__ = ["RoughCut"]


class RoughCut(node.NodeType):
    type_id = "e6098dd4-4a6e-470f-981e-2618c11eee21"
    name = "Rough Cut"
    category = "edit"
    summary = "Cuts the footage into one edit that follows the prompt."

    class Params(node.Params):
        # Empty by default though the hosted tile requires it: the contract allows it empty, with a warning.
        prompt: str = Field("", description="What to keep and in what order")
        model_tier: ModelTier = Field("fast", description="Quick or thorough model")
        combine_input_renders: bool = Field(
            False, description="Cut all incoming videos into one edit rather than each into its own"
        )

    def described(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        yield from joined(inputs) if params.combine_input_renders else super().described(ctx, inputs, params)
