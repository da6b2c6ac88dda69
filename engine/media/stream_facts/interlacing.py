"""Interlaced pictures: whether a stream holds them, and whether deinterlacing them is right.

Decoders flag each interlaced frame. A stream is decoded further than its first frame only if its headers
allow interlaced frames. Of one with flagged frames, ffmpeg's `idet` compares the fields: frames flagged as
interlaced whose two fields show the same instant (progressive segmented frames) are left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from tessera.media.copy.avc import Configuration, from_start_codes

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Fields", "fields_of", "may_interlace"]

Fields = Literal["flagged", "tff", "bff"]
"""The frames to deinterlace: those flagged as interlaced, or all, whose top or bottom field is first."""

_PLACES = 6
_FRAMES = 16
"""The frames that are decoded at each place."""

_SURE = 6
"""The fewest frames in motion from which the kind of a stream is told."""

_TOP_FIRST, _BOTTOM_FIRST = (2, 5), (3, 4)
"""ffmpeg's field orders (AVFieldOrder), by the field that is shown first."""


def may_interlace(stream: Any, frame: Any) -> bool:
    """Return True if a stream can hold interlaced frames, by its headers and its first frame."""
    context = stream.codec_context
    if frame.interlaced_frame or context.field_order in (*_TOP_FIRST, *_BOTTOM_FIRST):
        return True
    if context.name == "h264":
        return not _only_frames(bytes(context.extradata or b""))
    return context.name == "mpeg2video" and _has_fields(bytes(context.extradata or b""))


def _only_frames(extra: bytes) -> bool:
    """Return True if the parameter sets of H.264 allow no fields; if they cannot be read, assume that."""
    try:
        if extra[:1] == b"\1":
            return Configuration.parse(extra).is_progressive()
        sequences = tuple(unit.data for unit in from_start_codes(extra) if unit.kind == 7)
        return Configuration(b"", sequences, (), b"").is_progressive()
    except ValueError:
        return True


def _has_fields(extra: bytes) -> bool:
    """Return True if the sequence extension of MPEG-2 (H.262, 6.2.2.3) allows interlaced frames."""
    at = extra.find(b"\0\0\1\xb5")
    return at >= 0 and len(extra) > at + 5 and not extra[at + 5] & 8


def fields_of(container: InputContainer, stream: Any) -> tuple[Fields | None, str]:
    """Decode samples of a stream, and return the frames to deinterlace and a note for the user.

    `container` is opened anew for this; nothing else may read it.
    """
    import av

    graph = av.filter.Graph()
    source = graph.add_buffer(template=stream)
    detector, sink = graph.add("idet"), graph.add("buffersink")
    source.link_to(detector)
    detector.link_to(sink)
    graph.configure()
    kinds: Counter[str] = Counter()
    flagged = False
    size = None
    for frame in _samples(container, stream):
        flagged = flagged or frame.interlaced_frame
        shape = (frame.width, frame.height, frame.format.name)
        size = size or shape
        if shape != size:
            continue
        source.push(frame)
        while True:
            try:
                seen = sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            kinds[seen.metadata.get("lavfi.idet.multiple.current_frame", "")] += 1
    return _judged(kinds, flagged, stream.codec_context.field_order)


def _judged(kinds: Counter[str], flagged: bool, order: int) -> tuple[Fields | None, str]:
    combed, smooth = kinds["tff"] + kinds["bff"], kinds["progressive"]
    if flagged:
        if smooth >= _SURE and combed * 20 <= smooth:
            return None, "is flagged as interlaced, but its pictures are progressive: they stay as they are"
        return "flagged", "is interlaced: it is deinterlaced where its picture is encoded"
    if combed >= _SURE and combed > 4 * smooth and order in (*_TOP_FIRST, *_BOTTOM_FIRST):
        note = "is interlaced (as its container says): it is deinterlaced where its picture is encoded"
        return ("tff" if order in _TOP_FIRST else "bff"), note
    # Interlaced frames may follow elsewhere; only frames that are flagged would be changed.
    return "flagged", ""


def _samples(container: InputContainer, stream: Any) -> Iterator[Any]:
    """Yield frames from several places of a stream, each a run of successive frames."""
    import av

    length = stream.duration or int((container.duration or 0) / 1_000_000 / Fraction(stream.time_base))
    start = stream.start_time or 0
    for place in range(_PLACES):
        if place:
            try:
                container.seek(start + length * place // _PLACES, stream=stream, backward=True)
            except av.error.FFmpegError:
                return
        yield from islice(_frames(container, stream), _FRAMES)
        if not length:
            return


def _frames(container: InputContainer, stream: Any) -> Iterator[Any]:
    """Yield the frames from here on. Packets after a seek that cannot be decoded yield none."""
    import av

    for packet in container.demux(stream):
        with suppress(av.error.InvalidDataError):
            yield from packet.decode()
