"""Declared duration of a file, from its first bytes, to reject far too long media without a download."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction

__all__ = ["declared_length"]

_SEGMENT, _INFO, _SCALE, _DURATION, _EBML = 0x18538067, 0x1549A966, 0x2AD7B1, 0x4489, 0x1A45DFA3


def declared_length(head: bytes) -> Fraction | None:
    """Return the declared seconds of an MP4 with its index first, a Matroska or a WebM file.

    None if the first bytes do not declare it. The value can be wrong: only decoding the file is reliable.
    """
    try:
        return _of_mp4(head) if head[4:8] == b"ftyp" else _of_matroska(head)
    except (struct.error, IndexError, ValueError, OverflowError, ZeroDivisionError):
        return None


def _of_mp4(head: bytes) -> Fraction | None:
    moov = next((start for kind, start in _boxes(head, 0) if kind == b"moov"), None)
    if moov is None:
        return None
    start = next((start for kind, start in _boxes(head, moov) if kind == b"mvhd"), None)
    if start is None:
        return None
    if head[start]:
        scale, length = struct.unpack_from(">IQ", head, start + 20)
        unknown = length == 2**64 - 1
    else:
        scale, length = struct.unpack_from(">II", head, start + 12)
        unknown = length == 2**32 - 1
    return None if unknown or not length else Fraction(length, scale)


def _boxes(head: bytes, at: int) -> Iterator[tuple[bytes, int]]:
    """Yield the type of each MP4 box from an offset on, and the offset of its content."""
    while at + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, start)
            start += 8
        yield kind, start
        if size < start - at:
            return
        at += size


def _of_matroska(head: bytes) -> Fraction | None:
    inside = {name: span for name, span in _elements(head, 0, len(head)) if name in (_EBML, _SEGMENT)}
    if _EBML not in inside or _SEGMENT not in inside:
        return None
    info = next((span for name, span in _elements(head, *inside[_SEGMENT]) if name == _INFO), None)
    if info is None:
        return None
    found = dict(_elements(head, *info))
    if _DURATION not in found:
        return None
    start, end = found[_DURATION]
    (length,) = struct.unpack(">f" if end - start == 4 else ">d", head[start:end])
    scale = int.from_bytes(head[slice(*found[_SCALE])]) if _SCALE in found else 1_000_000
    return Fraction(length) * scale / 10**9 or None


def _elements(head: bytes, at: int, end: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield the id of each EBML element in a range, and the span of its content, while there are bytes."""
    end = min(end, len(head))
    while at < end:
        name, at, _unknown = _number(head, at, keep_mark=True)
        size, at, unknown = _number(head, at, keep_mark=False)
        last = end if unknown else at + size
        yield name, (at, last)
        at = last


def _number(head: bytes, at: int, *, keep_mark: bool) -> tuple[int, int, bool]:
    """Return an EBML variable-length number, the offset after it, and True if all its bits are set."""
    width = 9 - head[at].bit_length()
    if width > 8 or at + width > len(head):
        raise ValueError("no number")
    value = int.from_bytes(head[at : at + width])
    mark = 1 << (7 * width)
    return (value if keep_mark else value - mark), at + width, value - mark == mark - 1
