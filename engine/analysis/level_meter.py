"""The meter of RMS levels, fed with blocks of samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tessera.context import LEVEL_HOP_MS

if TYPE_CHECKING:
    from tessera.analysis.voice_activity import Samples

__all__ = ["FLOOR_DBFS", "LevelMeter"]

FLOOR_DBFS = -100.0
"""The lowest level in dBFS; digital silence has it too."""


class LevelMeter:
    """The RMS level in dBFS of each step of `LEVEL_HOP_MS`, at `rate` samples/s."""

    def __init__(self, rate: int) -> None:
        self._hop = rate * LEVEL_HOP_MS // 1000
        self._levels: list[float] = []
        self._power = 0.0
        self._filled = 0

    def add(self, block: Samples) -> None:
        import numpy as np

        while len(block):
            room = self._hop - self._filled
            part, block = block[:room], block[room:]
            # The samples are 16-bit values: in double precision, their squares add up without rounding, so
            # the sum does not depend on the size of the blocks.
            self._power += float(np.square(part, dtype=np.float64).sum())
            self._filled += len(part)
            if self._filled == self._hop:
                self._close_step()

    def _close_step(self) -> None:
        mean = self._power / self._filled
        level = round(10 * math.log10(mean), 1) if mean > 0 else FLOOR_DBFS
        self._levels.append(max(level, FLOOR_DBFS))
        self._power, self._filled = 0.0, 0

    def levels(self) -> tuple[float, ...]:
        """Return all levels, including that of a last short step."""
        if self._filled:
            self._close_step()
        return tuple(self._levels)
