"""The form of coded pictures: a cheap check, without decoding, finds most packets with overwritten bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["form_check"]

_START_CODED = ("mpeg4", "mpeg1video", "mpeg2video")
_LENGTH_CODED = ("h264", "hevc")

_SHORTEST = 8
"""Packets of fewer bytes are not checked: encoders write some of them for pictures that repeat."""

_HEAD = 16
_START_CODE = b"\0\0\0\1"

_OBU_TYPES = range(1, 9)
"""The types of AV1's units (AV1 specification, 6.2.2)."""


def form_check(stream: Any) -> Callable[[Any], bool] | None:
    """Return a function that tells if a packet has the form of its stream's codec; None: any form is valid.

    A packet of which only inner bytes are overwritten passes.
    """
    name, extra = stream.codec_context.name, stream.codec_context.extradata or b""
    if name in _LENGTH_CODED:
        length = _length_size(name, extra)
        return (lambda packet: _has_units(memoryview(packet), length)) if length else _is_start_coded
    if name in _START_CODED:
        return _is_start_coded
    if "vp9" in name:
        return lambda packet: packet.size < _SHORTEST or memoryview(packet)[0] >> 6 == 2
    if "av1" in name or "dav1d" in name:
        return lambda packet: packet.size < _SHORTEST or _is_unit_of_av1(memoryview(packet)[0])
    return None


def _length_size(name: str, extra: bytes) -> int:
    """Return the bytes of the length before each NAL unit, or 0 if start codes separate the units."""
    at = 4 if name == "h264" else 21
    return (extra[at] & 3) + 1 if extra[:1] == b"\1" and len(extra) > at else 0


def _has_units(data: memoryview, length: int) -> bool:
    """Return True if the lengths of the NAL units fill a packet, apart from zeros at its end."""
    at, end = 0, len(data)
    while at + length < end:
        size = int.from_bytes(data[at : at + length], "big")
        # Some writers keep start codes in spite of the configuration, and decoders accept them.
        if size < 2:
            return (at > 0 and not any(data[at:])) or (not at and bytes(data[:4]) == _START_CODE)
        # The first bit of a NAL unit is always zero.
        if data[at + length] & 0x80:
            return False
        at += length + size
    return at == end or (at < end and not any(data[at:]))


def _is_start_coded(packet: Any) -> bool:
    head = bytes(memoryview(packet)[:_HEAD])
    return packet.size < _SHORTEST or (head[:2] == b"\0\0" and head.lstrip(b"\0")[:1] == b"\1")


def _is_unit_of_av1(header: int) -> bool:
    """Return True if a byte can be the first of an AV1 packet: two of its bits are always zero."""
    return not header & 0x81 and header >> 3 in _OBU_TYPES
