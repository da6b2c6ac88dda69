"""The file format of each kind of value, and the names of render files."""

from __future__ import annotations

from pathlib import Path

from tessera.media.algebra.expression import Image
from tessera.media.algebra.item import Audio, Project, Value, Video

__all__ = [
    "OUTPUT_STEM",
    "SINGLE_STREAM_SUFFIX",
    "image_format",
    "media_type",
    "single_stream_path",
    "suffix_of",
]

OUTPUT_STEM = "output"
"""The name of a render's output, without its suffix, in the recorded commands."""

SINGLE_STREAM_SUFFIX = "-half"
"""The end of the name of a file that holds only the picture or only the sound; the other is copied."""


def single_stream_path(output: Path) -> Path:
    """Return the path, beside an output, of the file that holds only its picture or only its sound."""
    return output.with_name(f"{output.stem}{SINGLE_STREAM_SUFFIX}.mp4")


def suffix_of(value: Value) -> str:
    """Return the file name extension of a value's format, with the dot."""
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
    """Return the media type of a value's format."""
    return {
        ".mp4": "video/mp4",
        ".m4a": "audio/mp4",
        ".png": "image/png",
        ".jpeg": "image/jpeg",
        ".webp": "image/webp",
        ".xml": "application/xml",
    }[suffix_of(value)]


def image_format(image: Image) -> str:
    """Return `png`, `jpeg` or `webp`: the format requested by the tile that draws the image, or png."""
    if image.op != "drawn":
        return "png"
    return str(dict(image.arg("values")).get("output_format", "png"))
