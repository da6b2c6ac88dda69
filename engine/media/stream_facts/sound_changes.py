"""Sounds whose rate or channels change within a stream, found in the headers of their packets.

Broadcasts change from stereo to 5.1 and back. Only the few bits that tell the rate and the channels are
compared; nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["SoundWatch"]


@dataclass(slots=True)
class SoundWatch:
    """Finds the first packet of a stream whose rate or channels differ from those before.

    `changed` is its time in ticks of the stream, or None.
    """

    changed: int | None = None
    _last: int | bytes | None = None
    _reader: Callable[[memoryview], int | None] | None = None
    _started: bool = False

    def note(self, packet: Any) -> None:
        """Compare the header of a packet. Every packet of the stream must be given, in order."""
        if self.changed is not None:
            return
        if not self._started:
            context = packet.stream.codec_context
            extra = bytes(context.extradata or b"")
            self._reader = None if extra else _READERS.get(context.name)
            self._last = _form_of(context.name, extra) if extra else None
            self._started = True
        form: int | bytes | None = None
        if self._reader is not None:
            form = self._reader(memoryview(packet))
        elif packet.has_sidedata("new_extradata"):
            new = bytes(packet.get_sidedata("new_extradata"))
            form = _form_of(packet.stream.codec_context.name, new)
        if form is None:
            return
        if self._last not in (None, form):
            self.changed = packet.pts if packet.pts is not None else packet.dts
        self._last = form


def _form_of(codec: str, extra: bytes) -> bytes:
    """Return the part of a decoder's configuration that tells the rate and the channels."""
    if codec == "aac" and len(extra) > 1:
        # AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): 5 bits of type, 4 of rate, 4 of channels.
        return (int.from_bytes(extra[:2]) & 0x7F8).to_bytes(2)
    return extra


def _adts(data: memoryview) -> int | None:
    """AAC with an ADTS header: the index of the rate, and the channels."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return None
    return data[2] >> 2 & 15 | (data[2] & 1) << 6 | (data[3] >> 6) << 4


def _mpeg_audio(data: memoryview) -> int | None:
    """MPEG-1 and -2 audio: the version, the rate, and whether there is one channel."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    return data[1] >> 3 & 3 | (data[2] >> 2 & 3) << 2 | (data[3] >> 6 == 3) << 4


def _ac3(data: memoryview) -> int | None:
    """AC-3 (ATSC A/52, 5.4): the rate, and the channels with the position of the bass channel's flag."""
    if len(data) < 8 or data[0] != 0x0B or data[1] != 0x77:
        return None
    mode = data[6] >> 5
    # Mix levels of two bits each stand between the mode and the flag of the bass channel.
    skipped = (2 if mode & 1 and mode != 1 else 0) + (2 if mode & 4 else 0) + (2 if mode == 2 else 0)
    bass = int.from_bytes(data[6:8]) >> (12 - skipped) & 1
    return data[4] >> 6 | mode << 2 | bass << 5


def _eac3(data: memoryview) -> int | None:
    """E-AC-3 (annex E): the rate and the channels of the first, independent substream."""
    if len(data) < 5 or data[0] != 0x0B or data[1] != 0x77:
        return None
    return data[4] & 0xCF


_READERS: dict[str, Callable[[memoryview], int | None]] = {
    "aac": _adts,
    "mp2": _mpeg_audio,
    "mp2float": _mpeg_audio,
    "mp3": _mpeg_audio,
    "mp3float": _mpeg_audio,
    "ac3": _ac3,
    "eac3": _eac3,
}
"""ffmpeg's decoder name → a function of a packet's bytes."""
