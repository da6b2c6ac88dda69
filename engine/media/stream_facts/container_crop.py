"""The crop that a container prescribes: `clap` in MP4 and MOV, PixelCrop in Matroska.

ffmpeg applies it to the frames that it decodes; PyAV does not. Versions of ffmpeg differ in the containers
that they follow and in their rounding, so the size is read from a frame that the renderer's ffmpeg decodes.
Only a file that holds such a crop pays for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["container_crop"]

_MOST_INDEX = 64 << 20
"""The most bytes of a `moov` box or of Matroska's tracks that are searched."""

_SEGMENT, _TRACKS, _CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675
_PIXEL_CROPS = (b"\x54\xaa", b"\x54\xbb", b"\x54\xcc", b"\x54\xdd")
"""The ids of PixelCropBottom, -Top, -Left and -Right (RFC 9559)."""

_SIZE = re.compile(r" s:(\d+)x(\d+) ")


def container_crop(
    path: Path, stream: Any, stored: tuple[int, int], options: Mapping[str, str]
) -> tuple[int, int] | None:
    """Return the size to which the container crops the frames of a stream, or None if it does not.

    Parameters
    ----------
    stored
        The size of the frames before that crop.
    options
        Input options that restrict ffmpeg to the allowed demuxers and protocols.
    """
    if not _may_crop(path, stream.container.format.name):
        return None
    from tessera.media.process.process import run_ffmpeg

    opened = [word for name, value in options.items() for word in (f"-{name}", value)]
    args = [*opened, "-noautorotate", "-i", f"file:{path.absolute()}", "-map", f"0:{stream.index}"]
    told = run_ffmpeg([*args, "-vf", "showinfo", "-frames:v", "1", "-f", "null", "-"]).stderr
    found = _SIZE.search(told)
    size = (int(found[1]), int(found[2])) if found else stored
    return size if size != stored else None


def _may_crop(path: Path, container: str) -> bool:
    try:
        with path.open("rb") as file:
            if container.startswith("mov"):
                return any(b"clap" in part for part in _boxes(file, b"moov"))
            if container.startswith("matroska"):
                return any(crop in part for part in _tracks(file) for crop in _PIXEL_CROPS)
    except OSError:
        pass
    return False


def _boxes(file: BinaryIO, kind: bytes) -> Iterator[bytes]:
    """Yield the content of the top-level boxes of a kind."""
    while len(head := file.read(8)) == 8:
        size, header = int.from_bytes(head[:4]), 8
        if size == 1:
            size, header = int.from_bytes(file.read(8)), 16
        if head[4:] == kind:
            yield file.read(min(size - header, _MOST_INDEX) if size else _MOST_INDEX)
            return
        if size < header:
            return
        file.seek(size - header, 1)


def _tracks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of the Tracks element of a Matroska file; it stands before the first cluster."""
    while (number := _number(file, keep_marker=True)) is not None and number != _CLUSTER:
        size = _number(file, keep_marker=False)
        if size is None:
            return
        if number == _TRACKS:
            yield file.read(min(size, _MOST_INDEX))
            return
        if number != _SEGMENT:
            file.seek(size, 1)


def _number(file: BinaryIO, *, keep_marker: bool) -> int | None:
    """Read a variable-length number of EBML: an id with its marker bit, or a size without it."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = first[0] if keep_marker else first[0] & ((1 << (8 - length)) - 1)
    return int.from_bytes(bytes([value]) + file.read(length - 1))
