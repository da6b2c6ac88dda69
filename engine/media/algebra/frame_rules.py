"""Rules about the frame: they avoid pixels outside the picture and merge repeated operations.

The rewriting terminates: each rule moves a crop nearer to the leaves, or reduces the number of operations or
pixels. Pictures are 4:2:0, with chroma at half the size: a rule whose law holds only for even offsets checks
that they are even.
"""

from __future__ import annotations

from math import ceil, gcd
from typing import Any

from tessera.media.algebra.expression import Expr, Picture, even
from tessera.media.algebra.rule import Rule, approximate, exact

__all__ = ["FRAMES"]

_MAX_REMAINING = 7 / 8
"""The largest share of the scaled pixels for which an additional crop before the scale pays off."""

_TAPS = 4
"""The reach of bicubic scaling at the coarser of its two sides: two chroma pixels, so four luma pixels."""

_MAX_OUTER_SCALE = 5 / 8
_MAX_TOTAL_SCALE = 3 / 4
"""The largest factors for fusing two scales: of the outer scale alone, and of both together.

Measured on sharp pictures: below these factors, one scale is at least 50 dB (PSNR) from two in a row; with
larger factors, the worst case was 42 dB.
"""

_MIN_SHRINK_RADIUS = 6
_MIN_SMALL_RADIUS = 3
"""Radii in pixels: the smallest blur that runs on a smaller copy, and its smallest radius there."""

_MIN_COPY_SIDE = 16
"""The smallest side of a smaller copy, in pixels."""


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
    """flip(flip(x)) = x flipped along the axes that exactly one of them flips"""
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
    """overlay(x, y) = x, where y is outside the picture or fully transparent"""
    base, layer = node.inputs
    x, y = _corner(node)
    across, down = -layer.width < x < base.width, -layer.height < y < base.height
    unseen = layer.medium == "image" and node.arg("opacity") == 0
    result: Expr = base
    return result if unseen or not (across and down) else None


@exact("overlay")
def drop_hidden_base(node: Any) -> Expr | None:
    """overlay(x, y) = crop(y, the part within x), where y hides all of x and has frames at the same times"""
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
    if width * height > _MAX_REMAINING * inner.width * inner.height:
        return None
    of_x, of_y = (below.width, inner.width), (below.height, inner.height)
    part = _crop(
        below, *(_unscale(n, by) for n, by in ((left, of_x), (top, of_y), (width, of_x), (height, of_y)))
    )
    return _crop(_scale(part, width, height), x - left, y - top, node.width, node.height)


def _window(start: int, length: int, after: int, before: int) -> tuple[int, int] | None:
    """Return the smallest range of a scaled side that determines `length` pixels from `start` on.

    Its ends are even pixels on the side before scaling as well as after it. Return None if there is no such
    range, because the side before scaling is odd.
    """
    if before % 2:
        return None
    step = 2 * after // gcd(after, before)
    margin = ceil(_TAPS * max(1.0, after / before)) + 2
    low = max((start - margin) // step * step, 0)
    return low, min(-((start + length + margin) // -step) * step, after)


def _unscale(pixels: int, ratio: tuple[int, int]) -> int:
    before, after = ratio
    return pixels * before // after


@approximate("scale", unshared=True)
def fuse_scales(node: Any) -> Expr | None:
    """scale(scale(x)) = scale(x) where the outer one shrinks much: at least 50 dB (PSNR) on sharp pictures"""
    inner = node.inputs[0]
    if inner.op != "scale":
        return None
    below = inner.inputs[0]
    shrinks = max(node.width / inner.width, node.height / inner.height) <= _MAX_OUTER_SCALE
    overall = max(node.width / below.width, node.height / below.height) <= _MAX_TOTAL_SCALE
    return _scale(below, node.width, node.height) if shrinks and overall else None


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
    if radius < _MIN_SHRINK_RADIUS:
        return None
    factor = 2
    while radius // (2 * factor) >= _MIN_SMALL_RADIUS:
        factor *= 2
    width, height = even(node.width // factor), even(node.height // factor)
    if min(width, height) < _MIN_COPY_SIDE:
        return None
    below = node.inputs[0]
    if below.op == "scale":
        below = below.inputs[0]
    small: Any = _scale(below, width, height)
    return _scale(small.blur(min(round(radius / factor), _MIN_SHRINK_RADIUS - 1)), node.width, node.height)


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
    """Flip along each axis that an odd number of `axes` flips."""
    horizontal, vertical = (sum(flips) % 2 == 1 for flips in zip(*axes, strict=True))
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
