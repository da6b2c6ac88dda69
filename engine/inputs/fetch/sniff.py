"""Classify content by its first bytes: possibly media, or certainly not."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Head", "content_kind"]

Head = Literal["media", "page", "playlist", "text", "empty"]
_PAGE = re.compile(rb"<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]", re.I)
_PLAYLIST = re.compile(
    rb"#EXTM3U|#EXT-X-|ffconcat|\[playlist\]|\[reference\]|<MPD|<smil|<asx|<playlist|<SmoothStreamingMedia|"
    rb"v=0\r?\n|RTSPtext|(?:(?:file|https?|rtsp|rtmp|concat|subfile|data|crypto):\S+\s*$)",
    re.I | re.M,
)
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def content_kind(head: bytes) -> Head:
    """Return the kind of a file from its first bytes.

    Text is not media; a playlist is text that names other files. Binary content may be media: only probing is
    conclusive.

    Examples
    --------
    >>> content_kind(b"\\n #EXTM3U\\n#EXTINF:1,\\nfile:///a\\n")
    'playlist'
    >>> content_kind(b"<!DOCTYPE html>"), content_kind(b"\\0\\0")
    ('page', 'media')
    """
    if not head:
        return "empty"
    text = head
    for mark in _BYTE_ORDER_MARKS:
        if text.startswith(mark):
            text = text[len(mark) :].replace(b"\0", b"")
    if b"\0" in text or _binary(text):
        return "media"
    if _PAGE.search(text):
        return "page"
    return "playlist" if _PLAYLIST.search(text) else "text"


def _binary(text: bytes) -> bool:
    """Return True if bytes without a zero contain control characters that text does not use."""
    return any(byte < 9 or 13 < byte < 27 for byte in text[:4096])
