"""Color Correction: a look from a preset, a reference image or a LUT."""

from __future__ import annotations

from typing import Literal

from tessera import node
from tessera.node import NodeId, ours

__all__ = ["ColorCorrection"]


class ColorCorrection(node.NodeType):
    type_id = "8254e1f8-dfea-42f9-90d8-aa91ec859bec"
    name = "Color Correction"
    category = "style"
    summary = "Grades the colours with a preset, a reference image or a LUT."

    class Params(node.Params):
        preset: Literal["Golden Hour", "Filmic", "Vibrant", "Cool Tones", "Neutral Clean"] = ours(
            "Neutral Clean", description="Look to apply if neither an image nor a LUT is given"
        )
        reference_image_id: NodeId | None = ours(
            None, description="Uploaded image whose colours to match; overrides the preset"
        )
        lut_id: NodeId | None = ours(
            None, description="Uploaded .cube LUT to apply; overrides image and preset"
        )
