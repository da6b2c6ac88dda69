"""The first frame of a stream that a decoder can show, in files that begin within a group of pictures too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tessera.errors import MediaError

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["first_frame"]

_MAX_UNDECODED_PACKETS = 300
"""The number of packets after the first keyframe without a frame after which the search stops."""

_JUDGES_ITSELF = ("h264", "hevc", "mpeg2video", "mpeg1video")
"""Codecs whose decoders withhold pictures until these are whole, which may be without a keyframe (gradual
refresh). Other decoders show what lies before the first keyframe as grey areas.
"""


def first_frame(container: InputContainer, index: int, name: str, first_key: int | None = 0) -> Any:
    """Decode the first frame of a stream that can be shown.

    Parameters
    ----------
    container
        A freshly opened file: a seek to the start may miss the first packets.
    name
        The file's name, for messages.
    first_key
        The number of packets before the first keyframe, or None if there is no keyframe.

    Raises
    ------
    MediaError
        If no frame can be decoded.
    """
    stream: Any = container.streams[index]
    waits = bool(first_key) and stream.type == "video" and stream.codec_context.name not in _JUDGES_ITSELF
    for frame in _frames(container, stream, (first_key or 0) + _MAX_UNDECODED_PACKETS):
        if not frame.is_corrupt and not (waits and not frame.key_frame):
            return frame
    raise MediaError(f"{name}: no frame of its {stream.type} can be decoded")


def _frames(container: InputContainer, stream: Any, most_packets: int) -> Iterator[Any]:
    """Yield the frames of a stream; packets that cannot be decoded yield none."""
    import av

    for number, packet in enumerate(container.demux(stream)):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            # After an error, some decoders (VP9) take nothing more until they are reset.
            stream.codec_context.flush_buffers()
        if number > most_packets:
            return
