"""Audio Enhance: cleaner, evenly loud sound."""

from __future__ import annotations

from engine.node import NodeType

__all__ = ["AudioEnhance"]


class AudioEnhance(NodeType):
    type_id = "425274c9-7735-4cf2-b7cb-46c6a7f0066a"
    name = "Audio Enhance"
    category = "sound"
    summary = "Takes noise out of the sound and evens its loudness."
