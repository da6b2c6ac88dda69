"""Mirror: the picture flipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine import node
from engine.context import Context
from engine.media.item import Item, Made
from engine.node import ours
from nodes._each import each_video

__all__ = ["Mirror"]


class Mirror(node.NodeType):
    type_id = "71156aca-3e21-45b0-8960-099dba07c83a"
    name = "Mirror"
    category = "edit"
    summary = "Flips the picture left to right, upside down or both."

    class Params(node.Params):
        horizontal_flip: bool = ours(True, description="Swap left and right")
        vertical_flip: bool = ours(False, description="Swap top and bottom")

    def run(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        how = " and ".join(
            words
            for words, wanted in (
                ("left to right", params.horizontal_flip),
                ("top to bottom", params.vertical_flip),
            )
            if wanted
        )
        for item, video in each_video(inputs):
            flipped = video.picture.flip(horizontal=params.horizontal_flip, vertical=params.vertical_flip)
            yield Made(video.with_picture(flipped), (item,), f"flipped {how}" if how else "not flipped")
