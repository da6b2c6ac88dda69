"""AI Avatar: a person who speaks a script."""

from __future__ import annotations

from pydantic import Field

from engine import node
from engine.node import NOTHING, NodeId

__all__ = ["Avatar"]


class Avatar(node.NodeType):
    type_id = "b3b4c9e2-2a47-4fa9-8ce8-0c1fa1d7b6ef"
    name = "AI Avatar"
    category = "generate"
    summary = "Generates a video of an avatar that speaks the script."
    accepts = NOTHING

    class Params(node.Params):
        avatar_profile_id: NodeId | None = Field(None, description="Avatar profile that speaks")
        video_model: str = Field("seedance-2-fast", description="Video model")
        single_take: bool = Field(False, description="One shot without cuts")
        script: str = Field("", description="What the avatar says")
