"""Image Generation: an image from a prompt and references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Image, Item
from tessera.node import REFS, Kind, Made
from tessera.nodes._fields import require_with_custom

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["ImageGeneration"]

_SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
    "auto": (1024, 1024),
}


def paint_card(width: int, height: int, *, prompt: str, output_format: str) -> PillowImage:
    """Draw a card that is labelled as a placeholder for a generated image and shows the prompt."""
    from hashlib import blake2b
    from textwrap import wrap

    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    seed = blake2b(prompt.encode(), digest_size=3).digest()
    low, high = [40 + value // 6 for value in seed], [110 + value // 3 for value in seed]
    ramp = Pillow.linear_gradient("L").resize((width, height))
    card = Pillow.composite(
        Pillow.new("RGB", (width, height), tuple(high)), Pillow.new("RGB", (width, height), tuple(low)), ramp
    )
    draw = ImageDraw.Draw(card)
    size = max(min(width, height) / 16, 10)
    small = ImageFont.load_default(size=size * 0.7)
    draw.text(
        (width / 2, size), "PLACEHOLDER", fill="white", font=ImageFont.load_default(size=size), anchor="mt"
    )
    draw.text(
        (width / 2, height - size), f"{width} × {height}, made offline", fill="white", font=small, anchor="mb"
    )
    across = max(int(width / (size * 0.42)), 8)
    lines = wrap(prompt, across)[:8] or ["(no prompt)"]
    text = "\n".join(lines)
    draw.multiline_text((width / 2, height / 2), text, fill="white", font=small, anchor="mm", align="center")
    return card.convert("RGBA")


Side = Annotated[int, Field(ge=256, le=3840, multiple_of=16)]


class ImageGeneration(node.NodeType):
    type_id = "18b998a0-2ea7-4676-a5d3-3ae6c8ac0b72"
    name = "Image Generation"
    category = "generate"
    summary = "Generates an image from a prompt and its connected inputs."
    accepts = REFS
    optional_input = True
    produces = Kind.IMAGE
    painters: ClassVar[Mapping[str, Callable[..., Any]]] = {"card": paint_card}

    class Params(node.Params):
        prompt: str = Field("", description="Content of the image")
        model: str = Field("auto", description="Image model; auto lets the provider choose")
        image_size: Literal[
            "square_hd",
            "square",
            "portrait_4_3",
            "portrait_16_9",
            "landscape_4_3",
            "landscape_16_9",
            "auto",
            "custom",
        ] = Field("landscape_4_3", description="Shape of the image")
        custom_width: Side | None = Field(
            None, description="Width in px, a multiple of 16; needed when image_size is custom"
        )
        custom_height: Side | None = Field(
            None, description="Height in px, a multiple of 16; needed when image_size is custom"
        )
        quality: Literal["low", "medium", "high"] = Field("high", description="Effort spent on the image")
        output_format: Literal["jpeg", "png", "webp"] = Field("png", description="File format")
        selected_context: Any = Field(None, description="Upstream media that the prompt refers to; any JSON")

        @model_validator(mode="after")
        def _custom_needs_sides(self) -> Self:
            require_with_custom(self, "image_size", "custom_width", "custom_height")
            return self

    def run(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        if params.image_size == "custom":
            width, height = params.custom_width or 0, params.custom_height or 0
        else:
            width, height = _SIZES[params.image_size]
        card = Image.drawn(
            self.type_id,
            "card",
            width=width,
            height=height,
            prompt=params.prompt[:1000],
            output_format=params.output_format,
        )
        why = f"a placeholder of {width}×{height}: no image model runs offline"
        yield Made(card, tuple(inputs), why, "placeholder")
