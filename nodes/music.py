"""AI Music: background music."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.media.algebra.time import seconds_text
from tessera.node import Made, NodeId, ours
from tessera.nodes._fields import Finite
from tessera.nodes._per_video import each_video

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

    def described(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        for _item, video in each_video(inputs):
            # Music without a stated end lasts as long as the video, whatever that is.
            whole = f"{seconds_text(video.duration)} s"
            if Fraction(str(params.start_s)) >= video.duration:
                ctx.not_as_asked("start_s", "no music", f"the video is {whole} long")
            elif params.end_s is not None and Fraction(str(params.end_s)) > video.duration:
                ctx.not_as_asked("end_s", whole, f"the video is {whole} long")
        return super().described(ctx, inputs, params)
