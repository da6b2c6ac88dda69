"""Workers in this process: the threads of the shared pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tessera.media.algebra.item import Image, Item, Video
from tessera.media.ffmpeg.encode_settings import EncodeSettings
from tessera.runner.workers.messages import Job, Key, Put, RenderJob, Stopped
from tessera.runner.workers.render_groups import RenderGroups
from tessera.runner.workers.thread_pool import Lane
from tessera.runner.workers.worker import Worker

__all__ = ["ThreadWorkers", "encode_memory"]

_BASE_BYTES = 64 << 20
_FRAMES_HELD = {"ultrafast": 40, "veryfast": 95}
"""Frames in memory during an encode, by x264 preset."""
_MAX_FRAMES_HELD = 160


def encode_memory(item: Item, target: EncodeSettings) -> int:
    """Return the approximate bytes that the encode of an item needs: x264 and its input hold a number of
    frames.

    Measured for pictures of 640×360 to 3840×2160: 50 MB to 1.7 GB.
    """
    if not isinstance(item.value, Video):
        return 0 if isinstance(item.value, Image) else _BASE_BYTES
    width, height = item.value.picture.width, item.value.picture.height
    longest = max(width, height)
    scale = min(1.0, target.longest / longest) if target.longest is not None else 1.0
    # A yuv420p frame takes 1.5 bytes per pixel.
    frame = int(width * height * scale * scale * 1.5)
    return _BASE_BYTES + _FRAMES_HELD.get(target.preset, _MAX_FRAMES_HELD) * frame


@dataclass(frozen=True)
class ThreadWorkers:
    """Does the jobs of one run in its lane of a pool."""

    lane: Lane
    worker: Worker
    target: EncodeSettings
    groups: RenderGroups

    def submit(self, work: Sequence[tuple[Job, Stopped]], put: Put) -> None:
        do = self.worker.do
        self.lane.add_all(
            [
                (partial(do, job, stopped, put), job.key, job.priority, self._bytes(job))
                for job, stopped in work
            ]
        )

    def _bytes(self, job: Job) -> int | None:
        """Return the bytes that an encode and the others of its group need, or None for any other work."""
        if isinstance(job, RenderJob):
            return sum(encode_memory(item, self.target) for item in self.groups.group_items(job.item))
        return None

    def drop(self, key: Key) -> None:
        self.lane.abandon(key)
