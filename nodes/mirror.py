"""Mirror: a flipped picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import Made, ours
from tessera.nodes._per_video import each_video

__all__ = ["Mirror"]

_WHY = {
    (False, False): "not flipped",
    (True, False): "flipped left to right",
    (False, True): "flipped top to bottom",
    (True, True): "flipped left to right and top to bottom",
}


class Mirror(node.NodeType):
    type_id = "71156aca-3e21-45b0-8960-099dba07c83a"
    name = "Mirror"
    category = "edit"
    summary = "Flips the picture left to right, upside down or both."

    class Params(node.Params):
        horizontal_flip: bool = ours(True, description="Swap left and right")
        vertical_flip: bool = ours(False, description="Swap top and bottom")

    def run(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        why = _WHY[params.horizontal_flip, params.vertical_flip]
        for item, video in each_video(inputs):
            flipped = video.picture.flip(horizontal=params.horizontal_flip, vertical=params.vertical_flip)
            yield Made(video.with_picture(flipped), (item,), why)
