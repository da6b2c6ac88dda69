"""Watermark: a logo in a corner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tessera import node
from tessera.context import Context
from tessera.errors import TileError
from tessera.media.algebra.item import Image, Item
from tessera.node import Made, NodeId
from tessera.nodes._fields import MosaicOrCustom, require_with_custom
from tessera.nodes._per_video import each_video

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["Watermark"]

_TAG = "watermark"
_MIN_SIDE = 8
"""The minimum side of a logo in pixels; a smaller one would not be recognisable."""


def paint_mark(width: int, height: int) -> PillowImage:
    """Draw the stock mark: a mosaic of four tiles and the product name, white with a soft shadow."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFilter, ImageFont

    mask = Pillow.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    side, gap = height * 3 // 4, max(height // 16, 1)
    top = (height - side) // 2
    half = (side - gap) // 2
    for row in range(2):
        for column in range(2):
            x, y = top + column * (half + gap), top + row * (half + gap)
            shade = 255 if (row, column) != (1, 1) else 150
            draw.rounded_rectangle((x, y, x + half, y + half), radius=max(half // 5, 1), fill=shade)
    font = ImageFont.load_default(size=side * 0.72)
    draw.text((top * 2 + side + gap, height // 2), "tessera", fill=255, font=font, anchor="lm")
    shadow = mask.filter(ImageFilter.GaussianBlur(max(height / 24, 1))).point(lambda value: value * 3 // 5)
    mark = Pillow.new("RGBA", (width, height), (0, 0, 0, 0))
    mark.putalpha(shadow)
    face = Pillow.new("RGBA", (width, height), (255, 255, 255, 255))
    face.putalpha(mask)
    return Pillow.alpha_composite(mark, face)


class Watermark(node.NodeType):
    type_id = "6808af58-2d9a-4e3b-aacb-2d9c143b7729"
    name = "Watermark"
    category = "style"
    summary = "Lays a logo over a corner of the picture and replaces an earlier watermark."
    painters: ClassVar[Mapping[str, Callable[..., Any]]] = {"mark": paint_mark}

    class Params(node.Params):
        use_custom_logo: MosaicOrCustom = Field("mosaic", description="Stock logo or an uploaded one")
        image_id: NodeId | None = Field(
            None, description="Uploaded image to use; needed when use_custom_logo is custom"
        )
        logo_position: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = Field(
            "bottom-right", description="Corner of the frame"
        )
        logo_size: float = Field(30.0, gt=0, le=100, description="Size of the logo in percent of the frame")
        logo_opacity: float = Field(80.0, ge=10, le=100, description="Opacity of the logo in percent")
        logo_margin_x: int = Field(20, ge=0, description="Distance from the side of the frame in px")
        logo_margin_y: int = Field(20, ge=0, description="Distance from the top or bottom of the frame in px")

        @model_validator(mode="after")
        def _custom_needs_image(self) -> Self:
            require_with_custom(self, "use_custom_logo", "image_id")
            return self

    def run(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        custom = params.use_custom_logo == "custom"
        logo = ctx.image(params.image_id or "") if custom else None
        if logo is not None and min(logo.width, logo.height) < _MIN_SIDE:
            raise TileError(
                f"the logo {ctx.asset_name(params.image_id or '')} is {logo.width}×{logo.height} pixels;"
                f" each side must have at least {_MIN_SIDE}"
            )
        opacity = Fraction(str(params.logo_opacity)) / 100
        logo_name = "custom logo" if custom else "stock mark"
        corner = params.logo_position.replace("-", " ")
        placed: dict[tuple[int, int], tuple[Image, int, int]] = {}
        for item, video in each_video(inputs):
            # A second watermark tile replaces the mark of the first instead of adding to it.
            clean = video.picture.without(_TAG)
            size = (clean.width, clean.height)
            if size not in placed:
                placed[size] = self._placed(logo, params, *size)
                _report_small(ctx, params.logo_size, placed[size][0], size)
            mark, x, y = placed[size]
            marked = clean.overlay(mark, x, y, opacity=opacity, tag=_TAG)
            replaced = ", in place of an earlier one" if clean is not video.picture else ""
            why = f"{logo_name} {mark.width}×{mark.height} at the {corner}{replaced}"
            yield Made(video.with_picture(marked), (item,), why)

    @classmethod
    def _placed(cls, logo: Image | None, params: Params, across: int, down: int) -> tuple[Image, int, int]:
        """Return the mark for a picture of `across` × `down` pixels, and the place of its top left corner."""
        width = max(round(across * Fraction(str(params.logo_size)) / 100), 1)
        shape = Fraction(logo.height, logo.width) if logo else _MARK_SHAPE
        height = max(round(width * shape), 1)
        if height > down:
            width, height = max(round(down / shape), 1), down
        mark = (
            logo.scale(width, height)
            if logo
            else Image.drawn(cls.type_id, "mark", width=width, height=height)
        )
        vertical, horizontal = params.logo_position.split("-")
        x = params.logo_margin_x if horizontal == "left" else across - width - params.logo_margin_x
        y = params.logo_margin_y if vertical == "top" else down - height - params.logo_margin_y
        return mark, x, y


def _report_small(ctx: Context, asked: float, mark: Image, frame: tuple[int, int]) -> None:
    """Report a mark that would be higher than the frame in the size asked for."""
    across, down = frame
    if mark.width < max(round(across * Fraction(str(asked)) / 100), 1):
        made = f"{float(Fraction(100 * mark.width, across)):.3g}"
        whole = f"{mark.width}×{mark.height}"
        ctx.not_as_asked("logo_size", made, f"the logo fills the height of {across}×{down} at {whole}")


_MARK_SHAPE = Fraction(1, 4)
