"""AI Music: background music."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tessera import node
from tessera.node import NodeId, ours
from tessera.nodes._fields import Finite

__all__ = ["Music"]


class Music(node.NodeType):
    type_id = "3b281fb9-9eb2-40f6-b05b-4b6f909a3da9"
    name = "AI Music"
    category = "sound"
    summary = "Lays generated or uploaded music under the video."

    class Params(node.Params):
        use_intelligent_analysis: bool = Field(True, description="Choose music that suits the video")
        genre: str = Field("", description="Genre of the music; empty lets the tile choose")
        audio_id: NodeId | None = Field(None, description="Uploaded track to use; null generates one")
        prompt: str = ours("", description="Description of the music")
        mood: str = ours("", description="Mood of the music; empty lets the tile choose")
        intensity: Literal["low", "medium", "high"] = ours("medium", description="Energy of the music")
        bpm: float | None = ours(
            None, ge=20, le=300, description="Tempo in beats per minute; null lets the tile choose"
        )
        start_s: Finite = ours(0.0, ge=0, description="Start of the music in the video, in seconds")
        end_s: Finite | None = ours(
            None, gt=0, description="End of the music in the video, in seconds; null uses the video's end"
        )

        @model_validator(mode="after")
        def _ends_after_start(self) -> Self:
            if self.end_s is not None and self.end_s <= self.start_s:
                raise ValueError(f"end_s ({self.end_s:g}) must be greater than start_s ({self.start_s:g})")
            return self
