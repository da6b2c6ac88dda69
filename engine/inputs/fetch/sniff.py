"""What the first bytes of an answer are: media perhaps, or surely not."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Head", "head_of"]

Head = Literal["media", "page", "playlist", "text", "empty"]
_PAGE = re.compile(rb"<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]", re.I)
_PLAYLIST = re.compile(
    rb"#EXTM3U|#EXT-X-|ffconcat|\[playlist\]|\[reference\]|<MPD|<smil|<asx|<playlist|<SmoothStreamingMedia|"
    rb"v=0\r?\n|RTSPtext|(?:(?:file|https?|rtsp|rtmp|concat|subfile|data|crypto):\S+\s*$)",
    re.I | re.M,
)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def head_of(head: bytes) -> Head:
    """What a file is that begins so.

    Text is no media; a playlist is text that names other files. Bytes that are not text may be media: only
    probing tells.

    Examples
    --------
    >>> head_of(b"\\n #EXTM3U\\n#EXTINF:1,\\nfile:///a\\n"), head_of(b"<!DOCTYPE html>"), head_of(b"\\0\\0")
    ('playlist', 'page', 'media')
    """
    if not head:
        return "empty"
    text = head
    for mark in _MARKS:
        if text.startswith(mark):
            text = text[len(mark) :].replace(b"\0", b"")
    if b"\0" in text or _binary(text):
        return "media"
    if _PAGE.search(text):
        return "page"
    return "playlist" if _PLAYLIST.search(text) else "text"


def _binary(text: bytes) -> bool:
    """Whether bytes without a zero hold control characters that text does not."""
    return any(byte < 9 or 13 < byte < 27 for byte in text[:4096])
