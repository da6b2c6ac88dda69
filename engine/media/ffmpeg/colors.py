"""Conversion of the colours of sources to those of their output.

An output has the primaries, transfer and matrix of its first source in the limited range, so a single
source keeps its colours; if that source is HDR, the output is BT.709. Sources with other colours are
converted once. HDR (PQ or HLG) is tone-mapped to SDR: linear light in units of 203 cd/m² (the reference
white of BT.2408) is kept up to 0.3 and compressed above, so that 1,000 cd/m² is white (`tonemap=mobius`);
brighter light is clipped. The result is coded for a BT.1886 display.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tessera.media.probe.info import MediaInfo, PictureInfo

__all__ = ["BT709", "HDR", "Colors", "colors_of", "conformed", "is_rgb", "output_colors"]

HDR = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
"""Transfer → its common name."""

_REFERENCE_WHITE = 203
_PEAK = 1000

_PRIMARIES = {
    "bt709": 1,
    "bt470m": 4,
    "bt470bg": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "bt2020": 9,
    "smpte432": 12,
}
_TRANSFERS = {
    "bt709": 1,
    "gamma22": 4,
    "gamma28": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "linear": 8,
    "iec61966-2-1": 13,
    "bt2020-10": 14,
    "bt2020-12": 15,
    "smpte2084": 16,
    "arib-std-b67": 18,
}
_MATRICES = {"bt709": 1, "fcc": 4, "bt470bg": 5, "smpte170m": 6, "smpte240m": 7, "bt2020nc": 9, "bt2020c": 10}
_SAME_CURVE = frozenset({"bt709", "smpte170m", "bt2020-10", "bt2020-12"})
"""Transfers that are the same function under different names."""


class Colors(NamedTuple):
    """ffmpeg's names of primaries, transfer and matrix."""

    primaries: str
    transfer: str
    matrix: str

    def options(self) -> dict[str, str]:
        """Return the output options of ffmpeg for these colours."""
        return {
            "color_primaries": self.primaries,
            "color_trc": self.transfer,
            "colorspace": self.matrix,
        }


BT709 = Colors("bt709", "bt709", "bt709")


def colors_of(picture: PictureInfo) -> Colors:
    """Return the colours of a source; missing values are those usual for its size."""
    usual = "bt709" if picture.height >= 720 or picture.width >= 1280 or is_rgb(picture) else "smpte170m"
    return Colors(
        picture.color_primaries or usual,
        picture.color_transfer or usual,
        "bt709" if is_rgb(picture) else picture.color_matrix or usual,
    )


def is_rgb(picture: PictureInfo) -> bool:
    """Return True if a source is stored as red, green and blue."""
    return (picture.pixel_format or "").startswith(("rgb", "bgr", "gbr", "pal"))


def output_colors(infos: Sequence[MediaInfo]) -> Colors | None:
    """Return the colours of an output of these sources, or None if none has a picture."""
    pictures = [info.picture for info in infos if info.picture is not None]
    if not pictures:
        return None
    return BT709 if pictures[0].color_transfer in HDR else colors_of(pictures[0])


def conformed(stream: Any, picture: PictureInfo, size: tuple[int, int], wanted: Colors) -> Any:
    """Return the frames of a source in square pixels of the given size and in the wanted colours.

    Frames of a source that varies have that size already (see `steady`).
    """
    own = colors_of(picture)
    if own.transfer in HDR:
        stream, own = _tone_mapped(stream, picture, own), BT709
    elif not _same_colors(own, wanted) and not is_rgb(picture):
        stream, own = _converted(stream, picture.color_range or "tv", own, wanted), wanted
    elif picture.color_range == "pc" or is_rgb(picture):
        matrix = {"out_color_matrix": "bt709"} if is_rgb(picture) else {}
        stream = stream.filter("scale", out_range="tv", **matrix)
    if not _same_colors(own, wanted):
        stream = _converted(stream.filter("format", "yuv420p"), "tv", own, wanted)
    if picture.varies:
        return stream
    if picture.sar == 1 and (picture.width - size[0], picture.height - size[1]) in ((0, 1), (1, 0), (1, 1)):
        return stream.filter("crop", *size, 0, 0, exact=1)
    if picture.sar != 1 or size != (picture.width, picture.height):
        return stream.filter("scale", *size).filter("setsar", 1)
    return stream


def _same_colors(one: Colors, other: Colors) -> bool:
    """Return True if frames in one of the colours look the same in the other."""
    curves = {one.transfer, other.transfer}
    same_curve = len(curves) == 1 or curves <= _SAME_CURVE
    return same_curve and (one.primaries, one.matrix) == (other.primaries, other.matrix)


def _converted(stream: Any, color_range: str, own: Colors, wanted: Colors) -> Any:
    return stream.filter(
        "zscale",
        rin={"tv": "limited", "pc": "full"}[color_range],
        pin=_PRIMARIES[own.primaries],
        tin=_TRANSFERS[own.transfer],
        min=_MATRICES[own.matrix],
        r="limited",
        p=_PRIMARIES[wanted.primaries],
        t=_TRANSFERS[wanted.transfer],
        m=_MATRICES[wanted.matrix],
        d="error_diffusion",
    )


def _tone_mapped(stream: Any, picture: PictureInfo, own: Colors) -> Any:
    stream = stream.filter(
        "zscale",
        rin={"tv": "limited", "pc": "full"}[picture.color_range or "tv"],
        pin=_PRIMARIES[own.primaries],
        tin=_TRANSFERS[own.transfer],
        min=_MATRICES[own.matrix],
        t=_TRANSFERS["linear"],
        npl=_REFERENCE_WHITE,
    )
    stream = stream.filter("format", "gbrpf32le").filter("zscale", p=_PRIMARIES["bt709"])
    peak = f"{_PEAK / _REFERENCE_WHITE:.4f}"
    stream = stream.filter("tonemap", "mobius", param=0.3, desat=0, peak=peak)
    stream = stream.filter("zscale", p=1, t=1, m=1, r="limited", d="error_diffusion")
    return stream.filter("format", "yuv420p")
