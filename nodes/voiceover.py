"""AI Voiceover: a spoken commentary."""

from __future__ import annotations

from typing import Literal

from tessera import node
from tessera.node import ours

__all__ = ["Voiceover"]


class Voiceover(node.NodeType):
    type_id = "9570c960-b32b-4e4d-8871-5775d886f7cb"
    name = "AI Voiceover"
    category = "sound"
    summary = "Speaks a commentary over the video."

    class Params(node.Params):
        voice_id: str | None = ours(None, description="Voice of the provider; null lets the provider choose")
        script_mode: Literal["auto", "custom"] = ours(
            "auto", description="Generate the script or use a given one"
        )
        script: str = ours("", description="Script to speak when script_mode is custom")
        align_to_moments: bool = ours(True, description="Place each sentence at the moment that it describes")
