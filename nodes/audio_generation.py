"""Audio Generation: a voiceover or music from text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import Field

from tessera import node
from tessera.context import Context
from tessera.media.algebra.expression import Sound
from tessera.media.algebra.item import Audio, Item
from tessera.media.algebra.time import ms
from tessera.node import REFS, Kind, Made
from tessera.nodes._placeholder_media import spoken_seconds

__all__ = ["AudioGeneration"]


class AudioGeneration(node.NodeType):
    type_id = "14687f30-5fd0-468f-8239-2784d83df95b"
    name = "Audio Generation"
    category = "generate"
    summary = "Generates a voiceover or music from text and its connected inputs."
    accepts = REFS
    optional_input = True
    produces = Kind.AUDIO

    class Params(node.Params):
        mode: Literal["voiceover", "music"] = Field("voiceover", description="Speech or music")
        model: str = Field("auto", description="Audio model; auto lets the provider choose")
        script: str = Field("", description="Text to speak in voiceover mode")
        voice_id: str | None = Field(None, description="Voice of the provider; null lets the provider choose")
        use_upstream_voice_reference: bool = Field(False, description="Use the voice of the upstream media")
        selected_context: Any = Field(None, description="Upstream media that the text refers to; any JSON")
        music_prompt: str = Field("", description="Description of the music in music mode")
        music_length_ms: int = Field(30_000, gt=0, description="Length of the music in milliseconds")

    def described(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        if params.mode == "music":
            seconds, why = ms(params.music_length_ms), f"{params.music_length_ms} ms of music"
        else:
            seconds, why = spoken_seconds(params.script), "the script at 150 words a minute"
        yield Made(Audio(Sound.silence(seconds)), tuple(inputs), why, "described")
