"""Video Input: the entry of the run request's videos into the graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.media.algebra.time import seconds_text
from tessera.node import NOTHING, Made, NodeType

__all__ = ["VideoInput", "requested_videos"]


def requested_videos(ctx: Context) -> Iterable[Made]:
    """Yield the sources that the run request assigns to this tile, each cut to its clip range."""
    for source in ctx.sources():
        if source.clip is None:
            yield Made(source.video, (), f"{source.name}, whole")
        else:
            start, end = source.clip
            why = f"{source.name}, from {seconds_text(start)} s to {seconds_text(end)} s"
            yield Made(source.video.keep([source.clip]), (), why)


class VideoInput(NodeType):
    type_id = "9451e6ff-ac7f-4317-9055-a2f35f641b29"
    name = "Video Input"
    category = "input"
    summary = "Brings the videos of the run request into the agent."
    accepts = NOTHING

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        return requested_videos(ctx)
