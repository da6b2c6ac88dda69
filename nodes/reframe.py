"""Reframe: another aspect ratio for the picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal

from tessera import node
from tessera.context import Context
from tessera.media.algebra.expression import Picture, even
from tessera.media.algebra.item import Item
from tessera.node import Made, ours
from tessera.nodes._per_video import each_video

__all__ = ["Reframe", "reframe", "target_size"]

_PAD_SOFTNESS = 54
"""The ratio of the shorter side to the blur radius of the padding, such as 20 pixels at 1080p."""


def target_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Return the size in another aspect ratio, with the same shorter side; both sides are even."""
    short = max(even(min(width, height)), 2)
    if aspect >= 1:
        return max(even(round(short * aspect)), 2), short
    return short, max(even(round(short / aspect)), 2)


def reframe(picture: Picture, aspect: Fraction) -> tuple[Picture, str]:
    """Return the picture in another aspect ratio, and a description of the method.

    A narrower frame shows the centre of the picture; a wider one shows the whole picture over a blurred copy.
    """
    width, height = target_size(picture.width, picture.height, aspect)
    # Compares width ∶ height with the picture's, both multiplied by the two heights.
    across, whole_across = width * picture.height, picture.width * height
    if across == whole_across:
        return picture.scale(width, height), "already has the aspect ratio"
    if across < whole_across:
        return _fill(picture, width, height), "cropped to the centre"
    inner = max(even(round(Fraction(height * picture.width, picture.height))), 2)
    padding = _fill(picture, width, height).blur(max(min(width, height) // _PAD_SOFTNESS, 1))
    whole = picture.scale(min(inner, width), height)
    return padding.overlay(whole, (width - whole.width) // 2, 0), "whole picture over blurred padding"


def _fill(picture: Picture, width: int, height: int) -> Picture:
    """Crop to the largest centred part with the aspect ratio width:height, and scale it to that size."""
    part_width = min(picture.width, max(even(picture.height * width // height), 2))
    part_height = min(picture.height, max(even(picture.width * height // width), 2))
    # Even offsets keep the 4:2:0 chroma aligned with the luma.
    x, y = even((picture.width - part_width) // 2), even((picture.height - part_height) // 2)
    return picture.crop(x, y, part_width, part_height).scale(width, height)


class Reframe(node.NodeType):
    type_id = "0e3a90e4-173f-42fc-b7ef-0df6a062e26c"
    name = "Reframe"
    category = "edit"
    summary = "Crops the picture to another aspect ratio and keeps the subject in view."

    class Params(node.Params):
        aspect_ratio: Literal["9:16", "1:1", "16:9", "4:5", "auto"] = ours(
            "9:16", description="Width to height; auto keeps a shape that fits, else takes the nearest"
        )
        dynamic_zoom: bool = ours(False, description="Move in and out with the subject")

    def run(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        for item, video in each_video(inputs):
            ratio: str = params.aspect_ratio
            if ratio == "auto":
                ratio = _nearest_ratio(video.picture.width, video.picture.height)
            picture, method = reframe(video.picture, _RATIOS[ratio])
            nearest = "the nearest to the picture, " if params.aspect_ratio == "auto" else ""
            yield Made(video.with_picture(picture), (item,), f"{ratio}: {nearest}{method}")


_RATIOS = {"9:16": Fraction(9, 16), "4:5": Fraction(4, 5), "1:1": Fraction(1), "16:9": Fraction(16, 9)}


def _nearest_ratio(width: int, height: int) -> str:
    """Return the ratio that crops or pads a picture the least."""
    shape = Fraction(width, height)
    return min(_RATIOS, key=lambda name: max(shape / _RATIOS[name], _RATIOS[name] / shape))
