"""Audio Enhance: less noise and an even loudness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import Made, NodeType
from tessera.nodes._per_video import each_video

__all__ = ["AudioEnhance"]

LOUDNESS_LUFS = Fraction(-16)
PEAK_DBTP = Fraction(-3, 2)
"""The targets of streaming services for stereo speech (AES TD1008: −16 LUFS; true peaks of at most −1 dBTP
after coding).
"""


class AudioEnhance(NodeType):
    type_id = "425274c9-7735-4cf2-b7cb-46c6a7f0066a"
    name = "Audio Enhance"
    category = "sound"
    summary = "Removes noise from the sound and evens out its loudness."

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        enhanced = f"noise reduced, loudness brought to {LOUDNESS_LUFS} LUFS"
        for item, video in each_video(inputs):
            if video.sound is None:
                yield Made(video, (item,), "has no sound to enhance")
                continue
            sound = video.sound.denoise().loudness(LOUDNESS_LUFS, PEAK_DBTP)
            yield Made(video.with_sound(sound), (item,), enhanced)
