"""Montage: many videos cut to music."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import Made, NodeId, ours, ours_id
from tessera.nodes._placeholder_media import join_videos

__all__ = ["Montage"]


class Montage(node.NodeType):
    name = "Montage"
    type_id = ours_id(name)
    category = "edit"
    summary = "Joins moments of all incoming videos into one, cut on the beat of the music."
    source = "ours"
    combines = True

    class Params(node.Params):
        prompt: str = ours("", description="Moments to use, and their mood")
        audio_id: NodeId | None = ours(
            None, description="Uploaded music to cut to; null keeps the videos' own sound"
        )
        target_bpm: float | None = ours(
            None, ge=20, le=300, description="Tempo of the cuts in beats per minute; null follows the music"
        )

    def described(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        yield from join_videos(inputs)
