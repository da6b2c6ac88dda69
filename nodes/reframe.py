"""Reframe: another aspect ratio, with the subject kept in view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal

from tessera import node
from tessera.context import Context
from tessera.media.algebra.expression import Picture, even
from tessera.media.algebra.item import Item
from tessera.node import Made, ours
from tessera.nodes._each import each_video

__all__ = ["Reframe", "reframe", "target_size"]

_PAD_SOFTNESS = 54
"""The shorter side over the radius of the padding's blur: 20 pixels at 1080p, and as soft at any size."""


def target_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size of another aspect ratio whose shorter side is the picture's own, even on both sides."""
    short = max(even(min(width, height)), 2)
    if aspect >= 1:
        return max(even(round(short * aspect)), 2), short
    return short, max(even(round(short / aspect)), 2)


def reframe(picture: Picture, aspect: Fraction) -> tuple[Picture, str]:
    """The picture in another aspect ratio, and how it was got.

    A narrower frame shows the centre of the picture; a wider one shows the whole of it over a blurred copy.
    """
    width, height = target_size(picture.width, picture.height, aspect)
    if Fraction(width, height) == Fraction(picture.width, picture.height):
        return picture.scale(width, height), "has the aspect ratio already"
    if Fraction(width, height) < Fraction(picture.width, picture.height):
        return _fill(picture, width, height), "cropped to the centre"
    inner = max(even(round(Fraction(height * picture.width, picture.height))), 2)
    padding = _fill(picture, width, height).blur(max(min(width, height) // _PAD_SOFTNESS, 1))
    whole = picture.scale(min(inner, width), height)
    return padding.overlay(whole, (width - whole.width) // 2, 0), "whole picture over blurred padding"


def _fill(picture: Picture, width: int, height: int) -> Picture:
    """The greatest centred part of the aspect ratio width:height, scaled to that size."""
    part_width = min(picture.width, max(even(picture.height * width // height), 2))
    part_height = min(picture.height, max(even(picture.width * height // width), 2))
    x, y = even((picture.width - part_width) // 2), even((picture.height - part_height) // 2)
    return picture.crop(x, y, part_width, part_height).scale(width, height)


class Reframe(node.NodeType):
    type_id = "0e3a90e4-173f-42fc-b7ef-0df6a062e26c"
    name = "Reframe"
    category = "edit"
    summary = "Crops the picture to another aspect ratio and keeps the subject in view."

    class Params(node.Params):
        aspect_ratio: Literal["9:16", "1:1", "16:9", "4:5"] = ours("9:16", description="Width to height")
        dynamic_zoom: bool = ours(False, description="Move in and out with the subject")

    def run(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        across, down = params.aspect_ratio.split(":")
        for item, video in each_video(inputs):
            picture, how = reframe(video.picture, Fraction(int(across), int(down)))
            yield Made(video.with_picture(picture), (item,), f"{params.aspect_ratio}: {how}")
