"""AI Avatar: a generated person who speaks a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import NOTHING, Made, NodeId
from tessera.nodes._placeholder_media import blank_video, spoken_seconds

__all__ = ["Avatar"]


class Avatar(node.NodeType):
    type_id = "b3b4c9e2-2a47-4fa9-8ce8-0c1fa1d7b6ef"
    name = "AI Avatar"
    category = "generate"
    summary = "Generates a video of an avatar that speaks the script."
    accepts = NOTHING

    class Params(node.Params):
        avatar_profile_id: NodeId | None = Field(None, description="Avatar profile to use")
        video_model: str = Field("seedance-2-fast", description="Video model")
        single_take: bool = Field(False, description="Make one shot without cuts")
        script: str = Field("", description="Text that the avatar speaks")

    def described(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        video = blank_video(1280, 720, spoken_seconds(params.script), has_sound=True)
        yield Made(video, tuple(inputs), "the script at 150 words a minute", "described")
