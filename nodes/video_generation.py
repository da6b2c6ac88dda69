"""Video Generation: a video from a prompt and references."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import REFS, Made
from tessera.nodes._placeholder_media import blank_video, report_unreadable_size, size_of

__all__ = ["VideoGeneration"]


def _positive(seconds: str) -> str:
    if not float(seconds):
        raise ValueError(f"must be more than 0 seconds, not {seconds!r}")
    return seconds


class VideoGeneration(node.NodeType):
    type_id = "a2eb3ec2-da7a-4f97-94d2-a9a537548522"
    name = "Video Generation"
    category = "generate"
    summary = "Generates a video from a prompt and its connected inputs."
    accepts = REFS
    optional_input = True

    class Params(node.Params):
        prompt: str = Field("", description="Content of the video")
        model: str = Field("auto", description="Video model; auto lets the provider choose")
        resolution: str = Field("720p", description="Lines of the picture, such as 720p")
        duration: Annotated[str, AfterValidator(_positive)] = Field(
            "8", pattern=r"^[0-9]+(?:\.[0-9]+)?$", description="Length in seconds, a string such as 8 or 7.5"
        )
        aspect_ratio: str = Field("16:9", description="Width to height, such as 16:9")
        generate_audio: bool = Field(True, description="Also generate sound")
        selected_context: Any = Field(None, description="Upstream media that the prompt refers to; any JSON")

    def described(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        width, height = size_of(params.resolution, params.aspect_ratio)
        report_unreadable_size(ctx, params.resolution, params.aspect_ratio)
        video = blank_video(width, height, Fraction(params.duration), has_sound=params.generate_audio)
        why = f"{params.duration} s of {width}×{height}, as its parameters state"
        yield Made(video, tuple(inputs), why, "described")
