"""Captions of the speech, in several styles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tessera import node
from tessera.node import HexColor, OldNames, ours_id
from tessera.nodes._fields import Finite, Percent

__all__ = ["Captions", "CaptionsWithEmojis", "CinematicCaptions"]

FontWeight = Literal["100", "200", "300", "400", "500", "600", "700", "800", "900"]
Position = Annotated[
    Literal[
        "auto",
        "top-left",
        "top",
        "top-right",
        "left",
        "center",
        "right",
        "bottom-left",
        "bottom",
        "bottom-right",
    ],
    OldNames(
        {"top-center": "top", "center-left": "left", "center-right": "right", "bottom-center": "bottom"}
    ),
]


class Captions(node.NodeType):
    type_id = "cdccb204-168e-4aec-aa72-480b11e74324"
    name = "Captions"
    category = "style"
    summary = "Burns in captions that follow the speech word by word."

    class Params(node.Params):
        caption_style: Literal["colored", "scaling", "karaoke"] = Field(
            "colored", description="Way to highlight the spoken word"
        )
        base_color: HexColor = Field("#F8FAFC", description="Colour of the words")
        highlight_color: HexColor = Field("#A78BCA", description="Colour of the spoken word")
        stroke_enabled: bool = Field(True, description="Outline the letters")
        stroke_color: HexColor = Field("#000000", description="Colour of the outline")
        stroke_width: Finite = Field(2.0, ge=0, description="Width of the outline in px")
        shadow_enabled: bool = Field(False, description="Drop a shadow")
        shadow_color: HexColor = Field("#000000", description="Colour of the shadow")
        shadow_blur: Finite = Field(4.0, ge=0, description="Blur of the shadow in px")
        shadow_opacity: Percent = Field(60.0, description="Opacity of the shadow in percent")
        caption_font: str = Field("Montserrat", description="Font family")
        caption_font_weight: FontWeight = Field(
            "700", description="Font weight, a string: 400 is normal, 700 bold"
        )
        caption_font_size: Finite = Field(
            48.0, gt=0, description="Letter size in px of a frame whose shorter side is 1080 px"
        )
        caption_font_size_px: Finite | None = Field(
            None, gt=0, description="Letter size in px of the frame itself; null uses caption_font_size"
        )
        caption_vertical_position: Percent = Field(
            90.0, description="Position of the captions in percent from the top: 90 is low, 50 centred"
        )
        caption_min_words: int = Field(1, ge=1, description="Minimum number of words shown at once")
        caption_max_words: int = Field(4, ge=1, description="Maximum number of words shown at once")


class CinematicCaptions(node.NodeType):
    type_id = "dfa94b02-6a18-4922-9613-636bd202d69d"
    name = "Cinematic Captions"
    category = "style"
    summary = "Shows the speech as film-like titles in two fonts."

    class Params(node.Params):
        font1: str = Field("Montserrat", description="Font family of the text")
        font2: str = Field("Montserrat", description="Font family of the emphasised words")
        color_override: HexColor | None = Field(
            None, description="Colour of all words; null lets the tile choose"
        )
        text_bg_enabled: bool = Field(False, description="Put a box behind the text")
        text_bg_color: HexColor = Field("#000000", description="Colour of the box")
        text_bg_opacity: Percent = Field(60.0, description="Opacity of the box in percent")
        animation_style: Literal["fade", "pop", "slide", "typewriter", "cinematic", "highlight"] = Field(
            "fade", description="Animation with which words appear"
        )
        stroke_enabled: bool = Field(False, description="Outline the letters")
        stroke_color: HexColor = Field("#000000", description="Colour of the outline")
        stroke_width: Finite = Field(2.0, ge=0, description="Width of the outline in px")
        caption_position: Position = Field(
            "auto", description="Position in the frame; auto avoids the main subject"
        )


class CaptionsWithEmojis(node.NodeType):
    name = "Captions With Emojis"
    type_id = ours_id(name)
    category = "style"
    summary = "Burns in captions with emojis beside words that suggest one."
    source = "ours"

    class Params(Captions.Params):
        pass
