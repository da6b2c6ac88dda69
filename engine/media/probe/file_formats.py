"""The file format of each kind of value, and what the files of a render are called."""

from __future__ import annotations

from pathlib import Path

from tessera.media.algebra.expression import Image
from tessera.media.algebra.item import Audio, Project, Value, Video

__all__ = ["HALF", "OWN", "half_of", "image_format", "media_type", "suffix_of"]

OWN = "output"
"""What a render's own file is called in the commands that are kept of it, without its suffix."""

HALF = "-half"
"""How the names of files end that hold a picture or a sound alone: the other is copied."""


def half_of(output: Path) -> Path:
    """The file beside an output that holds its picture, or its sound, alone."""
    return output.with_name(f"{output.stem}{HALF}.mp4")


def suffix_of(value: Value) -> str:
    """The file name extension of a value's own format, with the dot."""
    match value:
        case Video():
            return ".mp4"
        case Audio():
            return ".m4a"
        case Image():
            return {"jpeg": ".jpeg", "webp": ".webp"}.get(image_format(value), ".png")
        case Project():
            return ".xml"


def media_type(value: Value) -> str:
    """The media type of a value's own format."""
    return {
        ".mp4": "video/mp4",
        ".m4a": "audio/mp4",
        ".png": "image/png",
        ".jpeg": "image/jpeg",
        ".webp": "image/webp",
        ".xml": "application/xml",
    }[suffix_of(value)]


def image_format(image: Image) -> str:
    """`png`, `jpeg` or `webp`: what the tile that drew it asked for, else png."""
    if image.op != "drawn":
        return "png"
    return str(dict(image.arg("values")).get("output_format", "png"))
