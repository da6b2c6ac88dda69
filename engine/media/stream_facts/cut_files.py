"""Files that are cut off: their outer structure promises more bytes than they have."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

__all__ = ["is_cut_off"]

_MOST_PARTS = 100_000
"""The most boxes, chunks or elements that are followed: a fragmented MP4 file of hours has fewer."""

_SEGMENT = b"\x18\x53\x80\x67"
_EBML = b"\x1a\x45\xdf\xa3"
_OPEN_SIZES = (0, 0xFFFFFFFF)
"""Sizes that a writer leaves in RIFF files that it could not return to: they mean up to the end."""


def is_cut_off(path: Path) -> bool:
    """Return True if an MP4, Matroska, AVI or WAV file ends before its outermost boxes say.

    Any other file, and a file whose sizes were left open, counts as whole.
    """
    whole = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _ends_in_box(file, whole)
        if head[:4] == _EBML:
            return _ends_in_segment(file, whole)
        if head[:4] in (b"RIFF", b"RIFX") and head[8:] in (b"AVI ", b"WAVE"):
            return _ends_in_chunk(file, whole, head)
    return False


def _ends_in_box(file: BinaryIO, whole: int) -> bool:
    """Follow the boxes of an MP4 file (ISO/IEC 14496-12, 4.2)."""
    at = 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return False
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8:
            return False
        at += size
        if at > whole:
            return head[4:8] in (b"mdat", b"moof", b"moov")
    return False


def _ends_in_segment(file: BinaryIO, whole: int) -> bool:
    """Compare the size of the segment of a Matroska file (RFC 9559) with what follows it."""
    file.seek(4)
    header = _size(file)
    if header is None:
        return False
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return False
    size = _size(file)
    return size is not None and file.tell() + size > whole


def _size(file: BinaryIO) -> int | None:
    """Read the size of an EBML element; None if it is unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else value


def _ends_in_chunk(file: BinaryIO, whole: int, head: bytes) -> bool:
    """Follow the outermost chunks of an AVI file (long ones have several), or the chunks of a WAV file."""
    order = "big" if head[:4] == b"RIFX" else "little"
    at = 12 if head[8:] == b"WAVE" else 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        part = file.read(8)
        if len(part) < 8:
            return False
        size = int.from_bytes(part[4:], order)  # type: ignore[arg-type]
        if size in _OPEN_SIZES:
            return False
        if at + 8 + size > whole:
            return part[:4] in (b"RIFF", b"data")
        at += 8 + size + size % 2
    return False
