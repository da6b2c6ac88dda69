"""Clips: several short videos out of a long one."""

from __future__ import annotations

from pydantic import Field

from engine import node

__all__ = ["Clips"]


class Clips(node.NodeType):
    type_id = "bcc5cb04-76b7-48e9-a344-0e8a29c19be0"
    name = "Clips"
    category = "edit"
    summary = "Finds the best moments of a video and makes each a clip of its own."

    class Params(node.Params):
        prompt: str = Field("", description="Which moments to look for; empty means the best ones")
        num_clips: int | None = Field(
            None, ge=1, le=20, description="How many clips to make; null lets the tile decide"
        )
        target_duration: float | None = Field(
            None, ge=1, le=300, description="Length of a clip in seconds; null lets the tile decide"
        )
