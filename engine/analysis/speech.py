"""The analysis of an asset's sound: find speech and measure levels in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from tessera.analysis.level_meter import FLOOR_DBFS, LevelMeter
from tessera.analysis.voice_activity import BLOCK, SAMPLE_RATE, VoiceDetector, speech_ranges
from tessera.context import LEVEL_HOP_MS
from tessera.errors import Cancelled, MediaError
from tessera.media.probe.info import MediaInfo
from tessera.text.wording import count

if TYPE_CHECKING:
    from tessera.analysis.voice_activity import Samples

__all__ = ["ANALYSER", "SoundFacts", "analyse_sound"]

ANALYSER = "silero-vad-onnx/1"
"""The name and version of the analysis, which the stored result carries."""

_JITTER = SAMPLE_RATE // 50
"""Tolerance for timestamps in samples: smaller differences are rounding by the container, not gaps."""


class SoundFacts(BaseModel):
    """Speech and levels of an asset on its own timeline (t = 0: its first video frame, else first sample).

    Attributes
    ----------
    speech
        Ranges [start, end) in ms, ordered, not touching, within the asset's duration.
    levels_dbfs
        The RMS level of each step of `level_hop_ms` (the last may be short), in dBFS, at least −100.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    analyser: str = ANALYSER
    speech: tuple[tuple[int, int], ...] = ()
    level_hop_ms: int = LEVEL_HOP_MS
    levels_dbfs: tuple[float, ...] = ()

    def is_valid(self) -> bool:
        """Return True if ranges and levels are valid. Facts from other machines and recordings may not be."""
        edges = [edge for span in self.speech for edge in span]
        return (
            all(before < after for before, after in pairwise([-1, *edges]))
            and all(FLOOR_DBFS <= level < math.inf for level in self.levels_dbfs)
            and self.level_hop_ms == LEVEL_HOP_MS
        )


def analyse_sound(
    path: Path, info: MediaInfo, *, cancelled: Callable[[], bool] = lambda: False
) -> SoundFacts:
    """Find speech and measure levels. Memory does not grow with the length of the sound.

    Raises
    ------
    MediaError
        If the sound cannot be decoded.
    Cancelled
        If `cancelled()` returns true.
    """
    if info.sound is None:
        return SoundFacts()
    total = math.ceil(info.duration * SAMPLE_RATE)
    detector, meter = VoiceDetector(), LevelMeter(SAMPLE_RATE)
    for index, block in enumerate(_blocks(path, info, total)):
        if index % 64 == 0 and cancelled():
            raise Cancelled("the run was cancelled")
        detector.add(block)
        meter.add(block[: total - index * BLOCK])
    speech = speech_ranges(detector.runs(), int(info.duration * 1000))
    return SoundFacts(speech=speech, levels_dbfs=meter.levels())


def _blocks(path: Path, info: MediaInfo, total: int) -> Iterator[Samples]:
    """Yield the sound as 16 kHz mono in blocks of `BLOCK`: `total` samples, the last block zero-padded."""
    import numpy as np

    pending: list[Samples] = []
    held = yielded = 0
    for part in _on_timeline(path, info, total):
        pending.append(part)
        held += len(part)
        if held < BLOCK:
            continue
        samples = np.concatenate(pending)
        cut = held - held % BLOCK
        for start in range(0, cut, BLOCK):
            yield samples[start : start + BLOCK]
        yielded += cut
        pending, held = [samples[cut:]], held - cut
    rest = np.concatenate([*pending, np.zeros(0, np.float32)])
    while yielded < total:
        yield np.pad(rest, (0, BLOCK - len(rest)))
        yielded += BLOCK
        rest = rest[:0]


def _on_timeline(path: Path, info: MediaInfo, total: int) -> Iterator[Samples]:
    """Yield the decoded sound from t = 0 on, at most `total` samples, with silence in the gaps."""
    import numpy as np

    picture, sound = info.picture, info.sound
    assert sound is not None
    zero = picture.start * picture.time_base if picture else None
    position = 0
    for time, samples in _decode(path, sound.index):
        if zero is None:
            zero = time
        start = position if time is None or zero is None else round((time - zero) * SAMPLE_RATE)
        if position and abs(start - position) < _JITTER:
            start = position
        while position < min(start, total):
            silence = min(start - position, SAMPLE_RATE, total - position)
            yield np.zeros(silence, np.float32)
            position += silence
        # Samples before t = 0, and any that overlap the piece before, are dropped.
        kept = samples[max(position - start, 0) :][: total - position]
        if len(kept):
            yield kept
            position += len(kept)
        if position >= total:
            return


def _decode(path: Path, index: int) -> Iterator[tuple[Fraction | None, Samples]]:
    """Decode the sound to 16 kHz mono: yield each piece with its time on the container's clock.

    Like ffmpeg, skip packets that cannot be decoded.

    Raises
    ------
    MediaError
        If no frame can be decoded, or more packets fail than frames succeed.
    """
    import av

    from tessera.media.probe.probe import open_media

    frame_count = bad_packets = 0
    resampler, sample_format = None, None
    with open_media(path) as container:
        try:
            for packet in container.demux(container.streams[index]):
                try:
                    frames: Any = packet.decode()
                except av.error.FFmpegError:
                    bad_packets += 1
                    continue
                for frame in frames:
                    frame_count += 1
                    if sample_format != (frame.format.name, frame.layout.name, frame.sample_rate):
                        if resampler is not None:
                            yield from map(_piece, resampler.resample(None))
                        sample_format = (frame.format.name, frame.layout.name, frame.sample_rate)
                        # In a float format the resampler adds channels up; in s16 it takes their mean.
                        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
                    assert resampler is not None
                    yield from map(_piece, resampler.resample(frame))
        except (av.error.FFmpegError, IndexError) as error:
            # A file that is cut off or damaged is used up to there. PyAV raises an IndexError for a stream
            # that was not there at first.
            if not frame_count:
                reason = getattr(error, "strerror", None) or error
                raise MediaError(f"the sound of {path.name} cannot be decoded: {reason}") from None
        if resampler is not None:
            yield from map(_piece, resampler.resample(None))
    if bad_packets > frame_count or not frame_count:
        invalid = f"{count(bad_packets, 'packet')} of it {'is' if bad_packets == 1 else 'are'} not valid"
        raise MediaError(f"the sound of {path.name} cannot be decoded: {invalid}")


def _piece(frame: Any) -> tuple[Fraction | None, Samples]:
    import numpy as np

    time = frame.pts * Fraction(frame.time_base) if frame.pts is not None else None
    return time, frame.to_ndarray()[0].astype(np.float32) / np.float32(32768)
