"""Rules of the frame: what falls outside the picture is never made, and what is done twice is done once.

They end: each moves a crop nearer to the leaves, or leaves fewer operations or pixels. Pictures are 4:2:0,
whose chroma has half the size: where a law holds for even offsets only, its rule looks for them.
"""

from __future__ import annotations

from math import ceil, gcd
from typing import Any

from tessera.media.algebra.expression import Expr, Picture, even
from tessera.media.algebra.rules.rule import Rule, approximate, exact

__all__ = ["FRAMES"]

_MOST_LEFT = 7 / 8
"""Scaling less than this share of the pixels is worth a crop more."""

_TAPS = 4
"""How far bicubic scaling reaches, in pixels of the coarser of its two sides: two, and so four where those
are chroma.
"""

_SHRINK = 5 / 8
_SHRINK_IN_ALL = 3 / 4
"""What a scale may leave of a side of the one below it, and of the picture, if the two are to be one.

Measured on sharp pictures: 50 dB and more from both one after the other; lesser shrinks came down to 42 dB.
"""

_SHARPEST_BLUR = 6
_BLUR_LEFT = 3
"""Radii in pixels: from which on a blur is made on a smaller copy, and what is left of it there at least."""

_SMALLEST_COPY = 16
"""The least side of a smaller copy, in pixels."""


@exact("crop")
def fuse_crops(node: Any) -> Expr | None:
    """crop(crop(x, a), b) = crop(x, b within a)"""
    inner = node.inputs[0]
    if inner.op != "crop":
        return None
    (x, y), (left, top) = _corner(node), _corner(inner)
    if (x % 2 and left % 2) or (y % 2 and top % 2):
        return None
    return _crop(inner.inputs[0], x + left, y + top, node.width, node.height)


@exact("flip")
def fuse_flips(node: Any) -> Expr | None:
    """flip(flip(x)) = x flipped along the axes that one of them alone flips"""
    inner = node.inputs[0]
    if inner.op != "flip":
        return None
    return _flip(inner.inputs[0], _axes(node), _axes(inner))


@exact("crop")
def crop_before_flip(node: Any) -> Expr | None:
    """crop(flip(x), a) = flip(crop(x, a mirrored))"""
    inner = node.inputs[0]
    if inner.op != "flip":
        return None
    (x, y), below = _corner(node), inner.inputs[0]
    if not _all_even(x, y, below.width, below.height):
        return None
    horizontal, vertical = _axes(inner)
    left = below.width - x - node.width if horizontal else x
    top = below.height - y - node.height if vertical else y
    return _flip(_crop(below, left, top, node.width, node.height), (horizontal, vertical))


@exact("crop", unshared=True)
def crop_before_overlay(node: Any) -> Expr | None:
    """crop(overlay(x, y), a) = overlay(crop(x, a), y moved)"""
    inner, (x, y) = node.inputs[0], _corner(node)
    if inner.op != "overlay" or not _all_even(x, y):
        return None
    base, layer = inner.inputs
    args = dict(inner.args) | {"x": inner.arg("x") - x, "y": inner.arg("y") - y}
    return _overlay(_crop(base, x, y, node.width, node.height), layer, args)


@exact("overlay")
def drop_unseen_layer(node: Any) -> Expr | None:
    """overlay(x, y) = x, where y lies outside the picture or is wholly transparent"""
    base, layer = node.inputs
    x, y = _corner(node)
    across, down = -layer.width < x < base.width, -layer.height < y < base.height
    unseen = layer.medium == "image" and node.arg("opacity") == 0
    result: Expr = base
    return result if unseen or not (across and down) else None


@exact("overlay")
def drop_hidden_base(node: Any) -> Expr | None:
    """overlay(x, y) = crop(y, what lies within x), where y hides all of x and has frames at the same times"""
    base, layer = node.inputs
    x, y = _corner(node)
    if not isinstance(layer, Picture) or not _all_even(x, y):
        return None
    covers = x <= 0 and y <= 0 and x + layer.width >= base.width and y + layer.height >= base.height
    if not covers or layer.clock != base.clock:
        return None
    return _crop(layer, -x, -y, base.width, base.height)


@approximate("crop", unshared=True)
def crop_before_scale(node: Any) -> Expr | None:
    """crop(scale(x), a) = crop(scale(crop(x, a and its surroundings)), a) within 1 code value"""
    inner = node.inputs[0]
    if inner.op != "scale":
        return None
    below, (x, y) = inner.inputs[0], _corner(node)
    across = _window(x, node.width, inner.width, below.width)
    down = _window(y, node.height, inner.height, below.height)
    if across is None or down is None:
        return None
    (left, right), (top, bottom) = across, down
    width, height = right - left, bottom - top
    if width * height > _MOST_LEFT * inner.width * inner.height:
        return None
    of_x, of_y = (below.width, inner.width), (below.height, inner.height)
    part = _crop(
        below, *(_scaled(at, by) for at, by in ((left, of_x), (top, of_y), (width, of_x), (height, of_y)))
    )
    return _crop(_scale(part, width, height), x - left, y - top, node.width, node.height)


def _window(start: int, length: int, after: int, before: int) -> tuple[int, int] | None:
    """The least stretch of a scaled side that holds all that `length` pixels from `start` on are made of, and
    whose ends are even pixels of the side before scaling as well as after it.
    """
    if before % 2:
        return None
    step = 2 * after // gcd(after, before)
    margin = ceil(_TAPS * max(1.0, after / before)) + 2
    low = max((start - margin) // step * step, 0)
    return low, min(-((start + length + margin) // -step) * step, after)


def _scaled(pixels: int, ratio: tuple[int, int]) -> int:
    before, after = ratio
    return pixels * before // after


@approximate("scale", unshared=True)
def fuse_scales(node: Any) -> Expr | None:
    """scale(scale(x)) = scale(x) where the outer one shrinks much: at least 50 dB (PSNR) on sharp pictures"""
    inner = node.inputs[0]
    if inner.op != "scale":
        return None
    below = inner.inputs[0]
    shrinks = max(node.width / inner.width, node.height / inner.height) <= _SHRINK
    in_all = max(node.width / below.width, node.height / below.height) <= _SHRINK_IN_ALL
    return _scale(below, node.width, node.height) if shrinks and in_all else None


@approximate("flip", unshared=True)
def flip_through_scale(node: Any) -> Expr | None:
    """flip(scale(flip(x))) = scale(flip(flip(x))) within 1 code value"""
    inner = node.inputs[0]
    if inner.op != "scale" or inner.inputs[0].op != "flip":
        return None
    lower = inner.inputs[0]
    return _scale(_flip(lower.inputs[0], _axes(node), _axes(lower)), node.width, node.height)


@approximate("blur")
def shrink_before_blur(node: Any) -> Expr | None:
    """blur(x, r) = blur(x shrunk f times, r / f) scaled up again: SSIM of at least 0.95"""
    radius = min(node.arg("radius"), min(node.width, node.height) // 4)
    if radius < _SHARPEST_BLUR:
        return None
    factor = 2
    while radius // (2 * factor) >= _BLUR_LEFT:
        factor *= 2
    width, height = even(node.width // factor), even(node.height // factor)
    if min(width, height) < _SMALLEST_COPY:
        return None
    below = node.inputs[0]
    if below.op == "scale":
        below = below.inputs[0]
    small: Any = _scale(below, width, height)
    return _scale(small.blur(min(round(radius / factor), _SHARPEST_BLUR - 1)), node.width, node.height)


def _corner(node: Any) -> tuple[int, int]:
    return node.arg("x"), node.arg("y")


def _axes(node: Any) -> tuple[bool, bool]:
    return node.arg("horizontal"), node.arg("vertical")


def _all_even(*numbers: int) -> bool:
    return not any(number % 2 for number in numbers)


def _crop(node: Any, x: int, y: int, width: int, height: int) -> Expr:
    cropped: Expr = node.crop(x, y, width, height)
    return cropped


def _scale(node: Any, width: int, height: int) -> Expr:
    scaled: Expr = node.scale(width, height)
    return scaled


def _flip(node: Any, *axes: tuple[bool, bool]) -> Expr:
    """Flipped along each axis that an odd number of `axes` flips."""
    horizontal, vertical = (sum(one) % 2 == 1 for one in zip(*axes, strict=True))
    flipped: Expr = node.flip(horizontal=horizontal, vertical=vertical)
    return flipped


def _overlay(base: Any, layer: Expr, args: dict[str, Any]) -> Expr:
    overlaid: Expr = base.overlay(layer, **args)
    return overlaid


FRAMES: tuple[Rule, ...] = (
    fuse_crops,
    crop_before_flip,
    crop_before_overlay,
    crop_before_scale,
    fuse_flips,
    flip_through_scale,
    drop_unseen_layer,
    drop_hidden_base,
    fuse_scales,
    shrink_before_blur,
)
