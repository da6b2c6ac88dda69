"""AI Content Generation: retired by the hosted product, but still used in old agents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from pydantic import Field

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import NOTHING, Made
from tessera.nodes._placeholder_media import blank_video

__all__ = ["ContentGeneration"]

_SECONDS = Fraction(8)


class ContentGeneration(node.NodeType):
    type_id = "d898f2b1-3151-4231-a4d4-dd4d5a020b05"
    name = "AI Content Generation"
    category = "generate"
    summary = "Generates a video from a prompt (retired; replaced by Video Generation)."
    accepts = NOTHING

    class Params(node.Params):
        prompt: str = Field("", description="Content of the video")

    def described(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        video = blank_video(1280, 720, _SECONDS, has_sound=True)
        yield Made(video, tuple(inputs), f"{_SECONDS} s of 1280×720, the usual length", "described")
